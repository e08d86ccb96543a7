"""A plugin file for `honesty.py`: feature sets drawn from a known law, and two networks that read them back.

A world is drawn by its number: how many classes, how many pictures, how skewed, how hard, how rare the rarest class is,
whether pictures come in groups that share luck, as shots of one scene do, and whether they are scored in folds or in
one part. A picture is tiny, 8 x 8 pixels, and carries its features as a random
mixture in its pixels; a backbone is one fixed random projection of the pixels, so its pooled features are the world's.
Fresh pictures follow the same law without end, in groups of their own: on them a model shows what it is worth.
"""

from __future__ import annotations  # torch is named in types only and loaded in build

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tlsearch import (
    Backbone,
    BackboneSpec,
    Choice,
    Dataset,
    DatasetSpec,
    FloatRange,
    HeadSpec,
    ImageFile,
    Params,
    hookimpl,
)

if TYPE_CHECKING:
    from torch import nn

SIDE_PX = 8
VALUES = SIDE_PX * SIDE_PX * 3
GREY, CONTRAST = 128.0, 24.0  # a mixed feature of 0 and of 1 standard deviation, in pixel values
GRAIN = 0.5  # of each pixel, as noise, in the same unit: no two pictures look alike, however few the features
WIDTHS = {"projection_16": 16, "projection_48": 48}  # features of each backbone: the narrow one loses some
FEW, FEWEST = 12, 5  # pictures of a class at least, and in one world of five: folds need some to deal
ONE_PART = 0.2  # of worlds are scored in one part

Labels = NDArray[np.int64]
Pixels = NDArray[np.uint8]  # (n, 8, 8, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The law that pictures of one feature set follow.

    Args:
        number: Decides all of it.
        counts: Pictures of each class.
        means: `(C, d)`: where each class lies; pictures scatter around with variance 1 in each direction.
        groups: "none"; "within": each group is of one class; "across": groups hold any classes.
        group_size: Of groups, on average; sizes are geometric, so most are small and some are large.
        shared: Share of the variance that all pictures of a group have in common.
        mixing: `(d, 192)`: from features to pixel values.
        one_part: Whether pictures are scored in one part, and not in folds.
    """

    number: int
    counts: tuple[int, ...]
    means: NDArray[np.float64]
    groups: str
    group_size: float
    shared: float
    mixing: NDArray[np.float64]
    one_part: bool

    @classmethod
    def of(cls, number: int) -> World:
        """Draw a world: 2 to 8 classes, 100 to 1500 pictures, the largest class up to 8 times the smallest."""
        rng, scarce = np.random.default_rng([number, 0]), np.random.default_rng([number, 3])
        classes, directions = int(rng.integers(2, 9)), int(rng.integers(6, 25))
        pictures = np.exp(rng.uniform(np.log(100), np.log(1500)))
        share = rng.uniform(1, 8) ** -np.linspace(0, 1, classes)
        fewest = FEWEST if scarce.random() < 0.2 else FEW
        counts = np.maximum(np.round(pictures * share / share.sum()), fewest).astype(int)
        apart = rng.uniform(1.5, 5.0)  # of two classes on average, in standard deviations
        upright = np.linalg.qr(rng.normal(size=(VALUES, directions)))[0].T
        return cls(
            number=number,
            counts=tuple(counts.tolist()),
            means=rng.normal(size=(classes, directions)) * apart / np.sqrt(2 * directions),
            groups=str(rng.choice(["none", "within", "across"], p=[0.5, 0.25, 0.25])),
            group_size=float(rng.uniform(2, 8)),
            shared=float(rng.uniform(0.1, 0.5)),
            mixing=upright * np.sqrt(VALUES / directions),
            one_part=bool(scarce.random() < ONE_PART),
        )

    def dataset(self) -> tuple[Pixels, Labels, Labels | None]:
        """The pictures to search on, their labels, and the group of each where there are groups."""
        rng = np.random.default_rng([self.number, 1])
        labels = rng.permutation(np.repeat(np.arange(len(self.counts)), self.counts))
        groups = self._groups(labels, rng)
        return self._pixels(labels, groups, rng), labels, groups

    def fresh(self, n: int, seed: int) -> tuple[Pixels, Labels]:
        """As many pictures as asked for, of the same law and classes in the same shares, each of another group."""
        rng = np.random.default_rng([self.number, 2, seed])
        labels = rng.choice(len(self.counts), n, p=np.array(self.counts) / sum(self.counts))
        return self._pixels(labels, None if self.groups == "none" else np.arange(n), rng), labels

    def _groups(self, labels: Labels, rng: np.random.Generator) -> Labels | None:
        if self.groups == "none":
            return None
        group = np.empty(len(labels), dtype=np.int64)
        kinds = labels if self.groups == "within" else np.zeros_like(labels)
        begun = 0
        for kind in np.unique(kinds):
            members = rng.permutation(np.flatnonzero(kinds == kind))
            most = max(1, len(members) // 10)
            at = 0
            while at < len(members):
                size = min(int(rng.geometric(1 / self.group_size)), most)
                group[members[at : at + size]] = begun
                at, begun = at + size, begun + 1
        return group

    def _pixels(self, labels: Labels, groups: Labels | None, rng: np.random.Generator) -> Pixels:
        own = rng.normal(size=(len(labels), self.means.shape[1]))
        if groups is not None:
            common = rng.normal(size=(groups.max() + 1, self.means.shape[1]))
            own = np.sqrt(1 - self.shared) * own + np.sqrt(self.shared) * common[groups]
        mixed = (self.means[labels] + own) @ self.mixing + GRAIN * rng.normal(size=(len(labels), VALUES))  # (n, 192)
        values = GREY + CONTRAST * mixed
        return values.round().clip(0, 255).astype(np.uint8).reshape(-1, SIDE_PX, SIDE_PX, 3)


class WorldOptions(Params):
    """Keys of `[data]` for this source."""

    world: int


def load(options: WorldOptions, cache_dir: Path) -> Dataset:
    """Write a world's pictures as files; the same ones for the same number."""
    world = World.of(options.world)
    pixels, labels, groups = world.dataset()
    root = cache_dir / f"world-{world.number}"
    root.mkdir(parents=True, exist_ok=True)
    images = []
    for index, (picture, label) in enumerate(zip(pixels, labels.tolist(), strict=True)):
        path = root / f"{index:05d}.bmp"
        if not path.exists():
            Image.fromarray(picture).save(path)
        group = None if groups is None else f"{groups[index]:05d}"
        images.append(ImageFile(path=path, label=label, group=group))
    names = tuple(f"class {label}" for label in range(len(world.counts)))
    return Dataset(root=root, classes=names, images=tuple(images), notes=("These pictures are drawn numbers.",))


def projection(width: int) -> Callable[[Params, int], Backbone]:
    """A builder of the backbone that mixes all pixel values into so many features, always in the same way."""

    def build(params: Params, image_px: int) -> Backbone:
        import torch
        from torch import nn

        weights = np.random.default_rng(width).normal(size=(width, 3, SIDE_PX, SIDE_PX)) / np.sqrt(VALUES)
        stage = nn.Conv2d(3, width, SIDE_PX)  # (N, 3, 8, 8) -> (N, width, 1, 1)
        scaled = weights * 255 / CONTRAST
        bias = -scaled.sum(axis=(1, 2, 3)) * GREY / 255
        stage.load_state_dict({"weight": torch.from_numpy(scaled), "bias": torch.from_numpy(bias)})
        return Backbone(stages=[stage], pool=nn.Flatten(), feature_dim=width)

    return build


def load_weights(backbone: Backbone, path: Path) -> None:
    """Never called: a projection is built with its weights."""
    raise AssertionError("random weights are never read from a file")


class TicketParams(Params):
    """A number that changes nothing: configurations that differ in it alone are equal."""

    ticket: Annotated[int, Choice(*range(1, 200), strict=False)] = 1


def build_ticket(params: TicketParams, feature_dim: int, classes: int) -> nn.Sequential:
    """One small network, whatever the ticket: `(N, feature_dim)` to `(N, classes)`."""
    from torch import nn

    return nn.Sequential(nn.Linear(feature_dim, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, classes))


@hookimpl
def tlsearch_datasets() -> Sequence[DatasetSpec]:
    """Feature sets by number."""
    return [DatasetSpec(name="worlds", options=WorldOptions, load=load)]


@hookimpl
def tlsearch_backbones() -> Sequence[BackboneSpec]:
    """Projections to few and to many features."""
    return [
        BackboneSpec(
            name=name,
            framework="torch",
            build=projection(width),
            load=load_weights,
            weights=(),
            image_px=SIDE_PX,
            min_image_px=SIDE_PX,
            parameters=width * (VALUES + 1),
            gmacs=width * VALUES / 1e9,
            paper="none",
            license="Apache-2.0",
        )
        for name, width in WIDTHS.items()
    ]


@hookimpl
def tlsearch_heads() -> Sequence[HeadSpec]:
    """A head whose one parameter is a lottery ticket."""
    rate = FloatRange(1e-3, 1e-1, log=True)
    return [HeadSpec(name="ticket", params=TicketParams, build=build_ticket, learning_rate=rate)]
