"""Sides: which pictures are developed with, held out and in which fold, whether they came split or not."""

from collections.abc import Sequence
from dataclasses import dataclass

from tlsearch.data import check, source
from tlsearch.data.split import ONE_PART, fold_count, fold_partitions, group_keys, holdout_mask
from tlsearch.errors import DataError
from tlsearch.specs import Dataset
from tlsearch.study import DataTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Checked pictures before they are split; every list has one entry a picture, but `used` and an empty `parts`.

    Args:
        classes: Names in label order.
        labels: Indices into them.
        keys: Pictures with equal keys stay on one side.
        parts: Of a dataset that comes split; empty elsewhere.
        used: Indices of the pictures that the study uses, ascending.
    """

    classes: Sequence[str]
    labels: Sequence[int]
    keys: Sequence[str]
    parts: Sequence[str]
    used: Sequence[int]

    @property
    def comes_split(self) -> bool:
        """Whether the dataset has ready parts."""
        return bool(self.parts)

    def in_part(self, part: str) -> list[int]:
        """Used pictures of a ready part."""
        return [index for index in self.used if self.parts[index] == part]

    def of(self, indices: Sequence[int]) -> tuple[list[int], list[str]]:
        """Labels and keys of some pictures."""
        return [self.labels[i] for i in indices], [self.keys[i] for i in indices]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Indices ascending; for each repeat the fold of each development image, -1 where it is only ever trained on."""

    development: tuple[int, ...]
    holdout: tuple[int, ...]
    folds: tuple[tuple[int, ...], ...]


def check_sides(dataset: Dataset, config: DataTable) -> None:
    """Refuse a checked dataset that cannot be split, before a pixel is read, as `choose_sides` does afterwards.

    Raises:
        DataError: Where a class is too small, or lacks in a ready part.
    """
    found = source.listed(dataset, config.group_by)
    pictures = Labelled(
        classes=found.classes,
        labels=found.labels,
        keys=group_keys(found.files, found.groups),  # equal pixels are not known yet
        parts=found.parts,
        used=range(len(found.files)),
    )
    choose_sides(pictures, config, seed=0, repeats=0)


def choose_sides(pictures: Labelled, config: DataTable, *, seed: int, repeats: int) -> Sides:
    """Split the pictures, or respect the parts they came in: `test` is the holdout, `val` the one fold.

    What a ready split lacks is made of its `train`: a holdout by content, or folds. `val` serves the search; what it
    picked is confirmed on other pictures: further repeats deal `train` and `val` anew, in the same sizes. With no
    repeats nothing is dealt, only checked.

    Raises:
        DataError: Where a class is too small, lacks in a ready part, or cannot be had in every fold.
    """
    if not pictures.comes_split:
        return _own_sides(pictures, config, seed, repeats)
    labels, _ = pictures.of(pictures.used)
    check.check_parts(pictures.classes, labels, [pictures.parts[i] for i in pictures.used])
    holdout, val, train = (pictures.in_part(part) for part in ("test", "val", "train"))
    if not val:
        return _dealt(pictures, train, holdout, config, seed, repeats)
    if not holdout and config.holdout > 0:
        check.check_class_sizes(pictures.classes, *pictures.of(train), folds=1, needed=2)
        train, holdout = _held_out(pictures, train, config.holdout, leave=1)
    scored = frozenset(val)
    development = tuple(sorted(train + val))
    ready = tuple(0 if index in scored else -1 for index in development)
    share = len(val) / len(development)
    dealt = _folds(pictures, development, 1, repeats, seed, one_part=share, first=1)  # its own sides are the first
    return Sides(development=development, holdout=tuple(holdout), folds=(ready, *dealt[1:]))


def _own_sides(pictures: Labelled, config: DataTable, seed: int, repeats: int) -> Sides:
    """A holdout by content, the rest in folds."""
    about, _ = _held_out(pictures, pictures.used, config.holdout, leave=1)
    folds = fold_count(config.folds, len(about))
    labels, keys = pictures.of(pictures.used)
    for_holdout = config.holdout > 0
    needed = folds + 2 if for_holdout else max(2, folds)
    check.check_class_sizes(pictures.classes, labels, keys, folds, needed=needed, for_holdout=for_holdout)
    development, holdout = _held_out(pictures, pictures.used, config.holdout, leave=max(2, folds))
    return _dealt(pictures, development, holdout, config, seed, repeats)


def _dealt(
    pictures: Labelled, development: Sequence[int], holdout: Sequence[int], config: DataTable, seed: int, repeats: int
) -> Sides:
    labels, keys = pictures.of(development)
    folds = fold_count(config.folds, len(development))
    # fails where groups hold several classes, and taking one class's share has emptied another
    check.check_class_sizes(pictures.classes, labels, keys, folds, needed=max(2, folds))
    dealt = _folds(pictures, development, folds, repeats, seed)
    return Sides(development=tuple(development), holdout=tuple(holdout), folds=dealt)


def _folds(
    pictures: Labelled,
    indices: Sequence[int],
    folds: int,
    repeats: int,
    seed: int,
    *,
    one_part: float = ONE_PART,
    first: int = 0,
) -> tuple[tuple[int, ...], ...]:
    """What `fold_partitions` says of some pictures; those before the `first` are not used, and may lack a class.

    Raises:
        DataError: Where a fold would have no picture of a class to score, or none to train on.
    """
    labels, keys = pictures.of(indices)
    partitions = fold_partitions(labels, keys, folds, repeats, seed, one_part=one_part)
    sides = (-1, 0) if folds == 1 else range(folds)  # a class on all of them is scored and trained on in every fold
    there = [set(zip(labels, partition, strict=True)) for partition in partitions[first:]]
    lacking = [
        f"'{name}'"
        for label, name in enumerate(pictures.classes)
        if any((label, side) not in dealt for dealt in there for side in sides)
    ]
    if lacking:
        fewer = "set a lower data.folds, " if folds > 2 else ""
        raise DataError(
            f"no deal was found in which every fold trains on and scores class {', '.join(lacking)}: the few groups "
            "with its pictures hold other classes too",
            hint=f"{fewer}add pictures of it in groups of their own, or make smaller groups",
        )
    return partitions


def _held_out(pictures: Labelled, indices: Sequence[int], share: float, *, leave: int) -> tuple[list[int], list[int]]:
    """What stays and what is held out."""
    mask = holdout_mask(*pictures.of(indices), share, leave=leave)
    return [i for i, out in zip(indices, mask, strict=True) if not out], [
        i for i, out in zip(indices, mask, strict=True) if out
    ]
