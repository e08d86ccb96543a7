"""Splits: which pictures are held out, and which fold each of the others is in. Pure functions of content."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tlsearch.data.components import linked_components
from tlsearch.data.spreading import spread

OF_GROUP = "group:"  # begins the keys of pictures whose group has a name
ONE_PART = 0.2  # the share of the development images in the one part where there are no folds
FOLDS_BELOW = ((500, 5), (2000, 3))  # (development images, folds); above the last, one part


def group_keys(
    hashes: Sequence[str], names: Sequence[str | None], links: Iterable[tuple[str, str]] = ()
) -> tuple[str, ...]:
    """Link pictures that must stay on one side of every split: equal or linked pixels, or one group's name.

    Args:
        hashes: Of each picture's pixels.
        names: Of each picture's group; None where it has none.
        links: Pairs of hashes whose pictures show one photograph.

    Returns:
        One key a picture, equal for all that are linked: the group's name, else the smallest pixel hash.
    """
    alike: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, (pixels, name) in enumerate(zip(hashes, names, strict=True)):
        alike["pixels", pixels].append(index)
        if name is not None:
            alike["group", name].append(index)
    pairs = [pair for linked in alike.values() for pair in pairwise(linked)]
    pairs += [(alike["pixels", one][0], alike["pixels", other][0]) for one, other in links]
    key_of: dict[int, str] = {}
    for linked in linked_components(len(hashes), pairs):
        key_of |= dict.fromkeys(linked, _key(linked, hashes, names))
    return tuple(key_of[index] for index in range(len(hashes)))


def holdout_mask(labels: Sequence[int], keys: Sequence[str], share: float, *, leave: int = 1) -> NDArray[np.bool_]:
    """Choose the holdout by content: a picture is in it where the sha256 of its key lies below the share.

    So a grown folder keeps its holdout. Two exceptions in small classes: one that would have no picture in the
    holdout gives the one nearest to the threshold, and one that would keep too few for the folds takes its
    farthest back; those may move again when pictures are added.

    Args:
        labels: One a picture.
        keys: What `group_keys` says; pictures with equal keys stay together.
        share: Of the pictures, 0 to below 1; 0 holds out nothing.
        leave: How many keys of a class stay at least for development.
    """
    place = {key: _unit(key) for key in keys}
    held = {key for key, at in place.items() if at < share}
    if share > 0:
        for of_class in _keys_by_class(labels, keys):
            ordered = sorted(of_class, key=place.__getitem__)
            if held.isdisjoint(of_class):
                held.add(ordered[0])
            developed = [key for key in ordered if key not in held]
            spare = [key for key in ordered if key in held][1:]
            held -= set(spare[::-1][: max(0, leave - len(developed))])
    return np.array([key in held for key in keys], dtype=np.bool_)


def fold_count(folds: Literal["auto"] | int, images: int) -> int:
    """How many folds so many development images get; 1 means one part that is scored."""
    if folds != "auto":
        return folds
    return next((count for below, count in FOLDS_BELOW if images < below), 1)


def fold_partitions(
    labels: Sequence[int],
    groups: Sequence[str],
    folds: int,
    repeats: int,
    seed: int,
    *,
    one_part: float = ONE_PART,
) -> tuple[tuple[int, ...], ...]:
    """Deal the development images into folds: stratified, groups together, another deal for each repeat.

    Args:
        labels: One a development image.
        groups: Images with equal keys stay in one fold.
        folds: At least 1; with 1 a share of the images is fold 0 and the others are -1: only trained on.
        repeats: How many partitions.
        seed: The study's.
        one_part: That share.

    Returns:
        For each repeat the fold of each image; a pure function of keys, labels and seed, not of the order.
    """
    weights = [one_part, 1 - one_part] if folds == 1 else [1 / folds] * folds
    deals = (_deal(labels, groups, weights, f"{seed}/{repeat}") for repeat in range(repeats))
    if folds == 1:
        return tuple(tuple(0 if part == 0 else -1 for part in deal) for deal in deals)
    return tuple(deals)


def _deal(labels: Sequence[int], groups: Sequence[str], weights: Sequence[float], salt: str) -> tuple[int, ...]:
    """The part of each image: group after group, large ones first, goes where its classes are most wanting.

    Where that leaves a part without a class, groups that hold several are moved.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for label, group in zip(labels, groups, strict=True):
        members[group].append(label)
    # large groups first balance equal parts; into one small part they would go every time
    by_size = len(set(weights)) == 1
    order = sorted(members, key=lambda group: (-len(members[group]) * by_size, _unit(f"{salt}/{group}"), group))
    total = Counter(labels)
    have = [Counter[int]() for _ in weights]  # for each part, images of each class
    size = [0] * len(weights)
    part_of = {}
    for group in order:
        of_group = members[group]

        def fullness(part: int, of_group: Sequence[int] = of_group) -> tuple[float, float, int]:
            """Of the group's classes, then of all, then the first; rounded, so that equal is equal."""
            filled = sum(have[part][label] / total[label] for label in of_group)
            return round(filled / weights[part], 6), round(size[part] / weights[part], 6), part

        part = min(range(len(weights)), key=fullness)
        have[part].update(of_group)
        size[part] += len(of_group)
        part_of[group] = part
    if any(present.keys() < total.keys() for present in have):
        part_of = spread({group: members[group] for group in order}, part_of, len(weights))
    return tuple(part_of[group] for group in groups)


def _key(linked: Sequence[int], hashes: Sequence[str], names: Sequence[str | None]) -> str:
    named = [name for index in linked if (name := names[index]) is not None]
    return f"{OF_GROUP}{min(named)}" if named else f"pixels:{min(hashes[index] for index in linked)}"


def _keys_by_class(labels: Sequence[int], keys: Sequence[str]) -> Iterable[set[str]]:
    of_class: dict[int, set[str]] = defaultdict(set)
    for label, key in zip(labels, keys, strict=True):
        of_class[label].add(key)
    return [of_class[label] for label in sorted(of_class)]


def _unit(key: str) -> float:
    """A number in [0, 1) that a key alone decides."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
