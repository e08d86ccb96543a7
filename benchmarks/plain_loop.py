"""A search as a good plain script runs it: Optuna's TPE in memory, PyTorch, torchvision's MobileNetV2.

Knows nothing of tlsearch. Written in good faith: pictures resized on disk beforehand, a loader worker for each core
(two at least) that stays and sends bytes, channels_last, the frozen part in inference mode and without gradients, one
evaluation a trial, torch's fused AdamW.

B1, the default, pushes every picture through the frozen part in every epoch of every trial, as search tools do.
B2, `--features-once`, extracts the features once before the search and indexes them in memory, as an expert writes it
by hand; where stages are trained, the values at the cut before them.

    python benchmarks/plain_loop.py FOLDER --weights mobilenet.pt --trials 4     # FOLDER: train/<class>/, val/<class>/
    python benchmarks/plain_loop.py --features FILE.npz     # B2 on features that are there already

Prints one JSON object: of each trial when it ended (seconds since the epoch), what it and its epochs took, its score;
with features also, on those to test on, the accuracy of the best trial's head and that of the same trial trained anew
on all others.
"""

import argparse
import copy
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import optuna
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from plain_network import FEATURES, Stem, load_network

PREDICT_BATCH = 64
WORKERS = max(2, len(os.sched_getaffinity(0)))
Batch = tuple[Tensor, Tensor]  # pictures or features, and labels


class Batches(Protocol):
    """Labelled data that can be gone through, again and again."""

    @property
    def classes(self) -> int:
        """How many there are."""
        ...

    def __len__(self) -> int:
        """How many pictures."""
        ...

    def batches(self, size: int, *, shuffle: bool) -> Iterable[Batch]:
        """One epoch in batches of a size."""
        ...


class Pictures(Dataset[Batch]):
    """Pictures of the network's size, one sub-folder a class, decoded by workers of a loader.

    Args:
        folder: Of the pictures.
        again: Whether they are gone through more than once: their workers stay in between. Workers that stay and are
            not needed any more would hold up the process for 15 s, when the garbage collector finds their loader.
    """

    def __init__(self, folder: Path, *, again: bool) -> None:
        names = sorted(sub.name for sub in folder.iterdir())
        self.classes = len(names)
        self.files = [(file, names.index(file.parent.name)) for file in sorted(folder.glob("*/*"))]
        self._again = again
        self._loaders: dict[tuple[int, bool], DataLoader[Batch]] = {}

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Batch:
        file, label = self.files[index]
        return torch.from_numpy(np.array(Image.open(file).convert("RGB"))), torch.tensor(label)  # (S, S, 3)

    def batches(self, size: int, *, shuffle: bool) -> DataLoader[Batch]:
        """One epoch in batches of a size."""
        if (size, shuffle) not in self._loaders:
            pinned = torch.cuda.is_available()
            self._loaders[size, shuffle] = DataLoader(
                self, size, shuffle=shuffle, num_workers=WORKERS, persistent_workers=self._again, pin_memory=pinned
            )
        return self._loaders[size, shuffle]


@dataclass(frozen=True)
class Kept:
    """Features in memory, extracted once."""

    features: Tensor
    labels: Tensor

    @property
    def classes(self) -> int:
        """How many there are."""
        return int(self.labels.max()) + 1

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, size: int, *, shuffle: bool) -> Iterator[Batch]:
        """One epoch in batches of a size."""
        order = (torch.randperm(len(self)) if shuffle else torch.arange(len(self))).to(self.labels.device)
        for rows in torch.split(order, size):
            yield self.features[rows], self.labels[rows]


@dataclass(frozen=True)
class Told:
    """What a trial tells: when it ended, what it took, and each of its epochs and its evaluation."""

    ended: float
    seconds: float
    epochs: list[float]
    evaluation: float
    score: float


class Search:
    """The objective of the search, and what its trials share.

    Args:
        frozen: Never trained; the identity where the data are features already.
        suffix: Trained from its pretrained weights in every trial; the identity where nothing but heads is.
        given: The command line's `heads`, `epochs` and `stop_after`.
    """

    def __init__(
        self, frozen: nn.Module, suffix: nn.Module, train: Batches, validation: Batches, given: argparse.Namespace
    ) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.frozen, self.suffix, self.given = frozen.to(self.device), suffix.to(self.device), given
        self.train, self.validation = train, validation
        self.told: list[Told] = []
        self.best: tuple[float, nn.Module] = (-1.0, suffix)

    def objective(self, trial: optuna.trial.BaseTrial) -> float:
        """Train one network and return its accuracy on the validation pictures."""
        began = time.perf_counter()
        suffix = copy.deepcopy(self.suffix)  # in inference mode: BatchNorm stays as it was pretrained
        head, rate = self.suggest_head(trial)
        head.to(self.device)
        groups = [{"params": list(head.parameters()), "lr": rate}]
        if trained := list(suffix.parameters()):
            suffix.requires_grad_(True)
            groups.append({"params": trained, "lr": rate * trial.suggest_float("suffix_lr_scale", 1e-3, 0.3, log=True)})
        decay = trial.suggest_float("weight_decay", 1e-6, 1e-1, log=True)
        optimizer = torch.optim.AdamW(groups, weight_decay=decay, fused=True)
        seconds = self.fit(trial, suffix, head, optimizer)
        evaluated = time.perf_counter()
        network = nn.Sequential(suffix, head.eval())
        score = self.accuracy(network, self.validation)
        self.best = max(self.best, (score, network), key=lambda pair: pair[0])
        now = time.perf_counter()
        self.told.append(Told(time.time(), now - began, seconds, now - evaluated, score))
        return score

    def fit(
        self, trial: optuna.trial.BaseTrial, suffix: nn.Module, head: nn.Module, optimizer: torch.optim.Optimizer
    ) -> list[float]:
        """Train as the trial says; returns the seconds of each epoch."""
        size = trial.suggest_categorical("batch_size", [16, 32, 64])
        smoothing = trial.suggest_categorical("label_smoothing", [0.0, 0.1])
        steps = self.given.epochs * -(-len(self.train) // size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        seconds = []
        for _ in range(self.given.stop_after or self.given.epochs):
            began = time.perf_counter()
            for pictures, labels in self.fed(self.train, size, shuffle=True):
                with torch.no_grad():
                    inputs = self.frozen(pictures)
                loss = F.cross_entropy(head(suffix(inputs)), labels, label_smoothing=smoothing)
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
            seconds.append(time.perf_counter() - began)
        return seconds

    def suggest_head(self, trial: optuna.trial.BaseTrial) -> tuple[nn.Module, float]:
        """A head with random weights, and its learning rate."""
        classes = self.train.classes
        if trial.suggest_categorical("head", self.given.heads) == "linear":
            dropout = trial.suggest_categorical("linear.dropout", [0.0, 0.2, 0.5])
            rate = trial.suggest_float("linear.learning_rate", 1e-3, 1e-1, log=True)
            return nn.Sequential(nn.Dropout(dropout), nn.Linear(FEATURES, classes)), rate
        hidden = trial.suggest_categorical("mlp.hidden", [64, 128, 256, 512])
        dropout = trial.suggest_categorical("mlp.dropout", [0.0, 0.2, 0.5])
        rate = trial.suggest_float("mlp.learning_rate", 1e-4, 1e-2, log=True)
        layers: list[nn.Module] = []
        width = FEATURES
        for _ in range(trial.suggest_int("mlp.layers", 1, 3)):
            layers += [nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout)]
            width = hidden
        return nn.Sequential(*layers, nn.Linear(width, classes)), rate

    @torch.no_grad()
    def accuracy(self, network: nn.Module, data: Batches) -> float:
        """Share of right labels."""
        batches = self.fed(data, PREDICT_BATCH, shuffle=False)
        right = [network(self.frozen(pictures)).argmax(1) == labels for pictures, labels in batches]
        return float(torch.cat(right).float().mean())

    def fed(self, data: Batches, size: int, *, shuffle: bool) -> Iterator[Batch]:
        """One epoch in batches of a size, on the device."""
        for pictures, labels in data.batches(size, shuffle=shuffle):
            yield pictures.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)


@torch.no_grad()
def extract(frozen: nn.Module, pictures: Pictures) -> Kept:
    """Every picture's features, computed once; they stay on the device."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    batches = pictures.batches(PREDICT_BATCH, shuffle=False)
    found, labels = zip(*[(frozen(x.to(device)), y.to(device)) for x, y in batches], strict=True)
    return Kept(torch.cat(found), torch.cat(labels))


def command_line() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--weights", type=Path, help="state dict of torchvision's mobilenet_v2().features")
    parser.add_argument("--features", type=Path, help="an .npz with train_x, train_y, val_x, val_y, test_x, test_y")
    parser.add_argument("--features-once", action="store_true")
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--stop-after", type=int, default=0, help="epochs of each trial that are run; 0: all")
    parser.add_argument("--unfrozen", type=int, default=0, help="stages trained, counted from the head")
    parser.add_argument("--heads", nargs="+", default=["linear", "mlp"])
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def on_pictures(given: argparse.Namespace) -> Search:
    """The search on a folder of pictures."""
    stages = load_network(given.weights)
    kept = len(stages) - given.unfrozen
    frozen, suffix = nn.Sequential(Stem(), *stages[:kept]), nn.Sequential(*stages[kept:])
    again = not given.features_once
    train, validation = (Pictures(given.folder / part, again=again) for part in ("train", "val"))
    if given.features_once:
        frozen.to("cuda" if torch.cuda.is_available() else "cpu")
        return Search(nn.Identity(), suffix, extract(frozen, train), extract(frozen, validation), given)
    return Search(frozen, suffix, train, validation, given)


def kept(file: Path, *parts: str) -> Kept:
    """Parts of the features in a file, one after another."""
    arrays = np.load(file)
    x, y = (np.concatenate([arrays[f"{part}_{of}"] for part in parts]) for of in "xy")
    return Kept(torch.from_numpy(x), torch.from_numpy(y))


def main() -> None:
    """Run the search that the command line asks for."""
    given = command_line()
    torch.manual_seed(given.seed)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if given.features:
        train, validation, test = (kept(given.features, part) for part in ("train", "val", "test"))
        search = Search(nn.Identity(), nn.Sequential(), train, validation, given)
    else:
        search = on_pictures(given)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=given.seed))
    study.optimize(search.objective, n_trials=given.trials)
    told: dict[str, object] = {"trials": [asdict(one) for one in search.told]}
    if given.features:
        told["test"] = search.accuracy(search.best[1], test)
        again = Search(nn.Identity(), nn.Sequential(), kept(given.features, "train", "val"), test, given)
        told["refitted"] = again.objective(optuna.trial.FixedTrial(study.best_trial.params))
    print(json.dumps(told))


if __name__ == "__main__":
    main()
