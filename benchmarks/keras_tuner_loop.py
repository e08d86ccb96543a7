"""B3: the same search as KerasTuner's users run it, on Keras's torch backend: BayesianOptimization over MobileNetV2.

Knows nothing of tlsearch. Written in good faith: pictures resized on disk beforehand, a loader worker for each core
(two at least) that stays and sends bytes, the frozen part not trainable and called with `training=False`, pooled in the
network. The network is built in `build`, as KerasTuner's guides have it; a trial's score is that of its best epoch,
which is KerasTuner's rule. Where stages are trained, they have the head's learning rate: Keras's optimizers have one.

    python benchmarks/keras_tuner_loop.py FOLDER --weights mobilenet.weights.h5 --trials 1
    python benchmarks/keras_tuner_loop.py --features FILE.npz     # heads alone, on features that are there already

Prints one JSON object: of each trial when it ended (seconds since the epoch), what it and its epochs took, its score;
with features also the accuracy of `get_best_models(1)` on those to test on.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import keras_tuner
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

IMAGE_PX, FEATURES = 160, 1280
PREDICT_BATCH = 64
WORKERS = max(2, len(os.sched_getaffinity(0)))
# The first layer of the trained part, by how many of the 19 stages are trained.
TRAINED_FROM = {1: "Conv_1", 2: "block_16_expand", 3: "block_15_expand", 4: "block_14_expand"}
Batch = tuple[Tensor, Tensor]


class Pictures(Dataset[Batch]):
    """Pictures of the network's size, one sub-folder a class, decoded when asked for."""

    def __init__(self, folder: Path, classes: int) -> None:
        names = sorted(sub.name for sub in folder.iterdir())
        self.files = [(file, names.index(file.parent.name)) for file in sorted(folder.glob("*/*"))]
        self.one_hot = torch.eye(classes)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Batch:
        file, label = self.files[index]
        return torch.from_numpy(np.array(Image.open(file).convert("RGB"))), self.one_hot[label]  # (S, S, 3)


class Clock(keras.callbacks.Callback):  # type: ignore[misc]  # keras publishes no types
    """The seconds of each epoch, its validation included."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start."""
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stop."""
        self.seconds.append(time.perf_counter() - self.began)


class Heads(keras_tuner.HyperModel):  # type: ignore[misc]  # keras_tuner publishes no types
    """What is searched: the same space as the other contenders'.

    Args:
        body: Makes the network below the head, from its input to `(N, 1280)`.
        data: Makes a loader of batches of a size: `(part, size, shuffle)`.
        classes: How many.
        given: The command line's `heads`, `epochs`, `stop_after` and `unfrozen`.
    """

    def __init__(
        self,
        body: Callable[[], tuple[Any, Any]],
        data: Callable[[str, int, bool], Iterable[Batch]],
        classes: int,
        given: argparse.Namespace,
    ) -> None:
        super().__init__()
        self.body, self.data, self.classes, self.given = body, data, classes, given
        self.told: list[dict[str, Any]] = []
        self.began = 0.0

    def build(self, hp: Any) -> Any:
        """Put a head on the network."""
        self.began = time.perf_counter()
        inputs, features = self.body()
        kind = hp.Choice("head", list(self.given.heads))
        with hp.conditional_scope("head", [kind]):
            x, rate = self.linear(hp, features) if kind == "linear" else self.mlp(hp, features)
        model = keras.Model(inputs, keras.layers.Dense(self.classes)(x))
        size = hp.Choice("batch_size", [16, 32, 64])
        steps = self.given.epochs * len(self.data("train", size, True))  # type: ignore[arg-type]
        model.compile(
            optimizer=keras.optimizers.AdamW(
                keras.optimizers.schedules.CosineDecay(rate, steps),
                weight_decay=hp.Float("weight_decay", 1e-6, 1e-1, sampling="log"),
            ),
            loss=keras.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=hp.Choice("label_smoothing", [0.0, 0.1])
            ),
            metrics=["accuracy"],
        )
        return model

    def linear(self, hp: Any, features: Any) -> tuple[Any, float]:
        """What stands before the last layer of a linear head, and its learning rate."""
        x = keras.layers.Dropout(hp.Choice("linear.dropout", [0.0, 0.2, 0.5]))(features)
        return x, hp.Float("linear.learning_rate", 1e-3, 1e-1, sampling="log")

    def mlp(self, hp: Any, features: Any) -> tuple[Any, float]:
        """The hidden layers of an MLP head, and its learning rate."""
        hidden = hp.Choice("mlp.hidden", [64, 128, 256, 512])
        dropout = hp.Choice("mlp.dropout", [0.0, 0.2, 0.5])
        x = features
        for _ in range(hp.Int("mlp.layers", 1, 3)):
            x = keras.layers.Dropout(dropout)(keras.layers.Dense(hidden, activation="relu")(x))
        return x, hp.Float("mlp.learning_rate", 1e-4, 1e-2, sampling="log")

    def fit(self, hp: Any, model: Any, *args: Any, callbacks: list[Any], **kwargs: Any) -> Any:
        """Train as the trial says."""
        clock = Clock()
        history = model.fit(
            self.data("train", hp.get("batch_size"), True),
            validation_data=self.data("val", PREDICT_BATCH, False),
            epochs=self.given.stop_after or self.given.epochs,
            callbacks=[*callbacks, clock],
            verbose=0,
        )
        self.told.append(
            {
                "ended": time.time(),
                "seconds": time.perf_counter() - self.began,  # the network's building included
                "epochs": clock.seconds,
                "evaluation": 0.0,  # in the epochs: Keras scores after each
                "score": max(history.history["val_accuracy"]),
            }
        )
        return history


def network(weights: Path, unfrozen: int) -> Callable[[], tuple[Any, Any]]:
    """Makes MobileNetV2 from bytes to pooled features, its frozen part not trainable."""

    def body() -> tuple[Any, Any]:
        inputs = keras.Input((IMAGE_PX, IMAGE_PX, 3))
        base = keras.applications.MobileNetV2(
            include_top=False, weights=None, input_shape=(IMAGE_PX, IMAGE_PX, 3), pooling="avg"
        )
        base.load_weights(weights)
        base.trainable = unfrozen > 0
        if unfrozen:
            names = [layer.name for layer in base.layers]
            for layer in base.layers[: names.index(TRAINED_FROM[unfrozen])]:
                layer.trainable = False
        return inputs, base(keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs), training=False)

    return body


def features_as_they_are() -> tuple[Any, Any]:
    """No network: the input is the features."""
    inputs = keras.Input((FEATURES,))
    return inputs, inputs


def kept_loaders(parts: dict[str, Dataset[Any]], workers: int) -> Callable[[str, int, bool], DataLoader[Any]]:
    """Makes loaders whose workers stay from one trial to the next."""
    made: dict[tuple[str, int], DataLoader[Any]] = {}

    def loader(part: str, size: int, shuffle: bool) -> DataLoader[Any]:
        if (part, size) not in made:
            made[part, size] = DataLoader(
                parts[part], size, shuffle=shuffle, num_workers=workers, persistent_workers=workers > 0
            )
        return made[part, size]

    return loader


def search(heads: Heads, given: argparse.Namespace, folder: str) -> Any:
    """Run the trials; returns the tuner."""
    tuner = keras_tuner.BayesianOptimization(
        heads, objective="val_accuracy", max_trials=given.trials, seed=given.seed, directory=folder
    )
    tuner.search(verbose=0)
    return tuner


def command_line() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--features", type=Path, help="an .npz with train_x, train_y, val_x, val_y, test_x, test_y")
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--stop-after", type=int, default=0, help="epochs of each trial that are run; 0: all")
    parser.add_argument("--unfrozen", type=int, default=0, help="stages trained, counted from the head")
    parser.add_argument("--heads", nargs="+", default=["linear", "mlp"])
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    """Run the search that the command line asks for."""
    given = command_line()
    keras.utils.set_random_seed(given.seed)
    with tempfile.TemporaryDirectory(prefix="keras-tuner-") as scratch:
        if given.features:
            arrays = np.load(given.features)
            classes = int(arrays["train_y"].max()) + 1
            parts: dict[str, Dataset[Any]] = {
                part: TensorDataset(torch.from_numpy(arrays[f"{part}_x"]), torch.eye(classes)[arrays[f"{part}_y"]])
                for part in ("train", "val", "test")
            }
            heads = Heads(features_as_they_are, kept_loaders(parts, 0), classes, given)
            (best,) = search(heads, given, scratch).get_best_models(1)
            answers = best.predict(arrays["test_x"], batch_size=1024, verbose=0).argmax(1)
            print(json.dumps({"trials": heads.told, "test": float((answers == arrays["test_y"]).mean())}))
        else:
            classes = len(list((given.folder / "train").iterdir()))
            parts = {part: Pictures(given.folder / part, classes) for part in ("train", "val")}
            heads = Heads(network(given.weights, given.unfrozen), kept_loaders(parts, WORKERS), classes, given)
            search(heads, given, scratch)
            print(json.dumps({"trials": heads.told}))


if __name__ == "__main__":
    main()
