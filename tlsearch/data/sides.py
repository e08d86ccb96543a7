"""Sides: which pictures are developed with, held out and in which fold, whether they came split or not."""

from collections.abc import Sequence
from dataclasses import dataclass

from tlsearch.data import check
from tlsearch.data.split import fold_count, fold_partitions, holdout_mask
from tlsearch.study import DataTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Checked pictures before they are split; every list has one entry a picture, but `used`.

    Args:
        classes: Names in label order.
        labels: Indices into them.
        keys: Pictures with equal keys stay on one side.
        parts: Of a dataset that comes split; None elsewhere.
        used: Indices of the pictures that the study uses, ascending.
    """

    classes: Sequence[str]
    labels: Sequence[int]
    keys: Sequence[str]
    parts: Sequence[str | None]
    used: Sequence[int]

    @property
    def comes_split(self) -> bool:
        """Whether the dataset has ready parts; a picture without one is in `train`."""
        return any(part is not None for part in self.parts)

    def in_part(self, part: str) -> list[int]:
        """Used pictures of a ready part."""
        return [index for index in self.used if (self.parts[index] or "train") == part]

    def of(self, indices: Sequence[int]) -> tuple[list[int], list[str]]:
        """Labels and keys of some pictures."""
        return [self.labels[i] for i in indices], [self.keys[i] for i in indices]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Indices ascending; for each repeat the fold of each development image, -1 where it is only ever trained on."""

    development: tuple[int, ...]
    holdout: tuple[int, ...]
    folds: tuple[tuple[int, ...], ...]


def choose_sides(pictures: Labelled, config: DataTable, *, seed: int, repeats: int) -> Sides:
    """Split the pictures, or respect the parts they came in: `test` is the holdout, `val` the one fold.

    What a ready split lacks is made of its `train`: a holdout by content, or folds.

    Raises:
        DataError: Where a class is too small, or lacks in a ready part.
    """
    if not pictures.comes_split:
        return _own_sides(pictures, config, seed, repeats)
    labels, _ = pictures.of(pictures.used)
    check.check_parts(pictures.classes, labels, [pictures.parts[i] or "train" for i in pictures.used])
    holdout, val, train = (pictures.in_part(part) for part in ("test", "val", "train"))
    if not val:
        return _dealt(pictures, train, holdout, config, seed, repeats)
    if not holdout and config.holdout > 0:
        check.check_class_sizes(pictures.classes, *pictures.of(train), folds=1, needed=2)
        train, holdout = _held_out(pictures, train, config.holdout, leave=1)
    scored = frozenset(val)
    development = tuple(sorted(train + val))
    fold = tuple(0 if index in scored else -1 for index in development)
    return Sides(development=development, holdout=tuple(holdout), folds=(fold,) * repeats)


def _own_sides(pictures: Labelled, config: DataTable, seed: int, repeats: int) -> Sides:
    """A holdout by content, the rest in folds."""
    about, _ = _held_out(pictures, pictures.used, config.holdout, leave=1)
    folds = fold_count(config.folds, len(about))
    labels, keys = pictures.of(pictures.used)
    check.check_class_sizes(pictures.classes, labels, keys, folds, needed=folds + 2)
    development, holdout = _held_out(pictures, pictures.used, config.holdout, leave=max(2, folds))
    return _dealt(pictures, development, holdout, config, seed, repeats)


def _dealt(
    pictures: Labelled, development: Sequence[int], holdout: Sequence[int], config: DataTable, seed: int, repeats: int
) -> Sides:
    labels, keys = pictures.of(development)
    folds = fold_count(config.folds, len(development))
    # fails where groups hold several classes, and taking one class's share has emptied another
    check.check_class_sizes(pictures.classes, labels, keys, folds, needed=max(2, folds))
    partitions = fold_partitions(labels, keys, folds, repeats, seed)
    return Sides(development=tuple(development), holdout=tuple(holdout), folds=partitions)


def _held_out(pictures: Labelled, indices: Sequence[int], share: float, *, leave: int) -> tuple[list[int], list[int]]:
    """What stays and what is held out."""
    mask = holdout_mask(*pictures.of(indices), share, leave=leave)
    return [i for i, out in zip(indices, mask, strict=True) if not out], [
        i for i, out in zip(indices, mask, strict=True) if out
    ]
