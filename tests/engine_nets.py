"""A plugin file for tests of the engine: a small network of four stages, and some like it that misbehave."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tlsearch import (
    Backbone,
    BackboneSpec,
    Dataset,
    DatasetSpec,
    FloatRange,
    HeadSpec,
    ImageFile,
    Params,
    hookimpl,
)

CLASSES = ("amber", "birch", "coral")
HEIGHT, WIDTH = 40, 44
CHANNELS = (3, 8, 8, 12, 16)
PARAMETERS = sum(9 * i * o + 2 * o for i, o in pairwise(CHANNELS))
MACS = sum(9 * CHANNELS[i] * CHANNELS[i + 1] * (16 >> i) ** 2 for i in range(4))  # of 32 px
HUES = np.array([[160, 110, 90], [100, 145, 105], [115, 95, 155]])


class Restless(nn.Module):
    """A layer that stays in training mode whatever it is told."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def train(self, mode: bool = True) -> "Restless":
        return super().train(True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.layer(x)
        return y


class Mixing(nn.Module):
    """Looks at a picture's neighbours."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(dim=0, keepdim=True)


class Overwriting(nn.Module):
    """Writes its answer over its input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mul_(0.5).add_(1.0)


class Hungry(nn.Module):
    """Has no memory for the gradients of more than `most` pictures; keeps in `refused` what it was asked for."""

    def __init__(self, most: int, *, always: bool = False) -> None:
        super().__init__()
        self.most, self.always = most, always
        self.refused: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > self.most and (self.always or torch.is_grad_enabled()):
            self.refused.append(len(x))
            raise torch.OutOfMemoryError(f"no memory for {len(x)} pictures")
        return x


class Faulty(nn.Module):
    """Loses the device as soon as it is trained, as an assertion in a kernel does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled():
            raise torch.AcceleratorError("CUDA error: device-side assert triggered")
        return x


class Deadly(nn.Module):
    """Kills its process as soon as it is trained."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled():
            os.kill(os.getpid(), signal.SIGKILL)
        return x


class NeverAlone(nn.Module):
    """Takes no single picture, in which form a network is measured."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) == 1:
            raise ValueError("one picture is too few")
        return x


def stage(index: int, *extra: nn.Module) -> nn.Sequential:
    """Half the side; with statistics of its own, as pretraining leaves them, so that it matters who uses them."""
    inputs, outputs = CHANNELS[index], CHANNELS[index + 1]
    norm = nn.BatchNorm2d(outputs)
    nn.init.normal_(norm.get_buffer("running_mean"), std=0.1)
    nn.init.uniform_(norm.get_buffer("running_var"), 0.05, 0.15)
    return nn.Sequential(*extra, nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), norm, nn.ReLU(), nn.Dropout(0.5))


def build(params: Params, image_px: int) -> Backbone:
    return Backbone(
        stages=[stage(index) for index in range(4)],  # (N, 3, S, S) -> (N, 16, S/16, S/16)
        pool=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        feature_dim=CHANNELS[-1],
        layer_names=[[f"block_{i}_{layer}" for layer in ("conv", "bn", "relu", "drop")] for i in range(4)],
    )


def build_odd(odd: Callable[[], nn.Module], params: Params, image_px: int) -> Backbone:
    """The same with something odd at the beginning of the third stage; it names no layers."""
    return Backbone(
        stages=[stage(0), stage(1), stage(2, odd()), stage(3)],
        pool=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        feature_dim=CHANNELS[-1],
    )


def load(backbone: Backbone, path: Path) -> None:
    raise AssertionError("these tests never read pretrained weights")


def build_map_head(params: Params, feature_dim: int, classes: int) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(feature_dim, classes))


def build_with(extra: Callable[[], nn.Module], params: Params, feature_dim: int, classes: int) -> nn.Sequential:
    """A linear head with something odd in front of it."""
    return nn.Sequential(extra(), nn.Linear(feature_dim, classes))


def build_none(params: Params, feature_dim: int, classes: int) -> nn.Sequential:
    raise ZeroDivisionError("this head cannot be built")


def draw(rng: np.random.Generator, label: int) -> np.ndarray:
    """Blotches whose mean colour hints at the class, uint8 `(HEIGHT, WIDTH, 3)`."""
    blotches = rng.integers(-60, 61, (5, 6, 3)).repeat(8, axis=0).repeat(8, axis=1)[:HEIGHT, :WIDTH]
    noise = rng.integers(-20, 21, (HEIGHT, WIDTH, 3))
    picture = np.clip(HUES[label] + blotches + noise, 0, 255)
    return np.asarray(picture, dtype=np.uint8)


def fresh(seed: int) -> Iterator[tuple[np.ndarray, int]]:
    rng = np.random.default_rng([seed, 99])
    while True:
        label = int(rng.integers(3))
        yield draw(rng, label), label


def load_blotches(options: Params, cache_dir: Path) -> Dataset:
    """What a TRUTH job asks for: the stream of fresh drawings."""
    images = tuple(ImageFile(path=cache_dir / f"{label}.png", label=label) for label in range(3))
    return Dataset(root=cache_dir, classes=CLASSES, images=images, fresh=fresh)


ODD: dict[str, Callable[[], nn.Module]] = {
    "small_moving": lambda: Restless(nn.BatchNorm2d(CHANNELS[2])),
    "small_dropping": lambda: Restless(nn.Dropout(0.1)),
    "small_mixing": Mixing,
    "small_overwriting": Overwriting,
    "small_hungry": lambda: Hungry(8),
    "small_starving": lambda: Hungry(0),
    "small_faulty": Faulty,
}
HEADS: dict[str, Callable[..., nn.Sequential]] = {
    "unbuildable": build_none,
    "never_alone": partial(build_with, NeverAlone),
    "faulty": partial(build_with, Faulty),
    "deadly": partial(build_with, Deadly),
}


@hookimpl
def tlsearch_backbones() -> Sequence[BackboneSpec]:
    def spec(name: str, build: Callable[..., Backbone]) -> BackboneSpec:
        return BackboneSpec(
            name=name,
            framework="torch",
            build=build,
            load=load,
            weights=(),
            image_px=32,
            min_image_px=16,
            parameters=PARAMETERS,
            gmacs=MACS / 1e9,
            paper="none",
            license="Apache-2.0",
        )

    return [spec("small", build), *(spec(name, partial(build_odd, odd)) for name, odd in ODD.items())]


@hookimpl
def tlsearch_heads() -> Sequence[HeadSpec]:
    rates = FloatRange(1e-3, 1e-1, log=True)
    odd = [HeadSpec(name=name, params=Params, build=build, learning_rate=rates) for name, build in HEADS.items()]
    return [HeadSpec(name="map_head", params=Params, build=build_map_head, learning_rate=rates, input="map"), *odd]


@hookimpl
def tlsearch_datasets() -> Sequence[DatasetSpec]:
    return [DatasetSpec(name="blotches", options=Params, load=load_blotches)]
