"""Checks of decoded pictures: unreadable files, equal pictures, leaks between ready parts, classes too small."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tlsearch.data.pixels import PixelStore
from tlsearch.errors import DataError
from tlsearch.records import Json

SHOWN = 3  # examples in a message
LISTED = 20  # pictures in a message that each need mending
SKIPPABLE = 0.05  # of a class: more unreadable files are a fault of the data, not of a few files
STRICTNESS = {"train": 0, "val": 1, "test": 2}  # a picture on both sides stays where it is held out most


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFindings:
    """What is worth knowing about the pictures of a study; nothing here stops one.

    Args:
        images: Pictures that the source lists.
        used: Those that the study uses.
        per_class: Used pictures of each class.
        ignored: Files that are no pictures by name.
        unreadable: Files that were skipped, and why.
        conversions: How many pictures each rule of decoding changed.
        enlarged: Pictures with a shorter side below what the largest backbone needs.
        duplicates: Lists of files that show the same pixels; each stays on one side of every split.
        dropped: Files left out because an equal picture or their group is in a part that is held out more.
        class_ratio: Used images of the largest class over those of the smallest.
        near: Pairs of files that show one photograph in other pixels, as `linking.near_findings` tells them; each
            stays on one side of every split.
        too_alike: Lists of files that are too many and too alike to be copies, and are not kept together.
    """

    images: int
    used: int
    per_class: Mapping[str, int]
    ignored: tuple[str, ...]
    unreadable: Mapping[str, str]
    conversions: Mapping[str, int]
    enlarged: int
    duplicates: tuple[tuple[str, ...], ...]
    dropped: tuple[str, ...]
    class_ratio: float
    near: tuple[Mapping[str, Json], ...] = ()
    too_alike: tuple[tuple[str, ...], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary for the store and for `--json`."""
        return asdict(self)


def unreadable(
    store: PixelStore,
    files: Sequence[str],
    labels: Sequence[int],
    classes: Sequence[str],
    policy: Literal["error", "skip"],
    listing: Path,
    *,
    listed: int = SHOWN,
) -> frozenset[int]:
    """Which pictures cannot be read.

    Args:
        store: Holds why.
        files: Their names.
        labels: Their classes.
        classes: Names in label order.
        policy: "skip" goes on without them, up to 5 % of a class.
        listing: The file that gets all of them, where they stop the study.
        listed: How many of them an error names; with 0 it only counts them.

    Raises:
        DataError: Where there are any and the policy is "error", or too many to skip.
    """
    bad = store.failures
    if not bad:
        return frozenset()
    lines = [f"{files[index]}: {reason}" for index, reason in sorted(bad.items())]
    listing.parent.mkdir(parents=True, exist_ok=True)
    listing.write_text("\n".join(lines) + "\n", encoding="utf-8")
    noun = "image" if len(files) == 1 else "images"
    message = f"{len(bad)} of {len(files)} {noun} cannot be read (listed in {listing})"
    message += f": {_some(lines, listed)}" if listed else ""
    if policy == "error":
        raise DataError(message, hint='repair or remove them, or set data.bad_images = "skip" (up to 5 % of a class)')
    of_class, bad_of_class = Counter(labels), Counter(labels[index] for index in bad)
    too_many = [
        f"{count} of {of_class[label]} in class '{classes[label]}'"
        for label, count in sorted(bad_of_class.items())
        if count > SKIPPABLE * of_class[label]
    ]
    if too_many:
        shares = ", ".join(too_many)
        raise DataError(message, hint=f'repair or remove them: {shares}, which is more than the 5 % that "skip" allows')
    return frozenset(bad)


def equal_pictures(hashes: Sequence[str], used: Iterable[int]) -> list[list[int]]:
    """Indices of pictures with equal pixels, at least two a list."""
    alike: dict[str, list[int]] = defaultdict(list)
    for index in used:
        alike[hashes[index]].append(index)
    return [linked for linked in alike.values() if len(linked) > 1]


def under_two_labels(linked: Sequence[int], labels: Sequence[int]) -> bool:
    """Whether pictures that belong together stand in several classes."""
    return len({labels[index] for index in linked}) > 1


def duplicates(
    hashes: Sequence[str],
    files: Sequence[str],
    labels: Sequence[int],
    classes: Sequence[str],
    used: Iterable[int],
    *,
    listed: int = LISTED,
) -> tuple[tuple[str, ...], ...]:
    """Files with equal pixels, as lists of names.

    Args:
        hashes: One a picture.
        files: Their names.
        labels: Their classes.
        classes: Names in label order.
        used: Indices of the pictures to look at.
        listed: How many faults an error names; with 0 it only counts them.

    Raises:
        DataError: Where equal pictures stand under two labels.
    """
    equal = equal_pictures(hashes, used)
    conflicts = [
        " = ".join(f"{files[index]} ({classes[labels[index]]})" for index in linked)
        for linked in equal
        if under_two_labels(linked, labels)
    ]
    if conflicts:
        noun = "picture stands" if len(conflicts) == 1 else "pictures stand"
        said = f"{len(conflicts)} {noun} under more than one label"
        raise _to_mend(said, conflicts, listed, hint="keep each in the class where it belongs")
    return tuple(tuple(files[index] for index in linked) for linked in equal)


def leaks(keys: Sequence[str], parts: Sequence[str], used: Iterable[int]) -> list[tuple[int, int]]:
    """Pictures of ready parts whose equal, near copy or group is in a part that is held out more, each with one such.

    Args:
        keys: One a picture; those with equal keys belong together.
        parts: One a picture.
        used: Indices of the pictures to look at.
    """
    of_key: dict[str, list[int]] = defaultdict(list)
    for index in used:
        of_key[keys[index]].append(index)
    held_out = {key: max(linked, key=lambda index: STRICTNESS[parts[index]]) for key, linked in of_key.items()}
    return [
        (index, held_out[key])
        for key, linked in of_key.items()
        for index in linked
        if parts[index] != parts[held_out[key]]
    ]


def leaking(
    keys: Sequence[str],
    parts: Sequence[str],
    files: Sequence[str],
    used: Iterable[int],
    policy: Literal["error", "drop"],
    *,
    listed: int = LISTED,
) -> frozenset[int]:
    """The pictures that `leaks` finds.

    Args:
        keys: One a picture; those with equal keys belong together.
        parts: One a picture.
        files: Their names.
        used: Indices of the pictures to look at.
        policy: "drop" goes on without them.
        listed: How many faults an error names; with 0 it only counts them.

    Raises:
        DataError: Where there are any and the policy is "error".
    """
    found = leaks(keys, parts, used)
    if found and policy == "error":
        noun = "picture is" if len(found) == 1 else "pictures are"
        why = "an equal or nearly equal picture, or one of the same group, is held out"
        said = f"{len(found)} {noun} on both sides of the ready parts ({why})"
        lines = [f"{files[lost]} ({parts[lost]}) and {files[kept]} ({parts[kept]})" for lost, kept in found]
        hint = 'remove them, or set data.leaks = "drop" to keep each on the side that is held out'
        raise _to_mend(said, lines, listed, hint=hint)
    return frozenset(lost for lost, _ in found)


def check_class_sizes(
    classes: Sequence[str],
    labels: Sequence[int],
    keys: Sequence[str],
    folds: int,
    *,
    needed: int,
    for_holdout: bool = False,
) -> None:
    """Refuse classes that cannot be split; images that must stay together count once.

    Args:
        classes: Names in label order.
        labels: One an image.
        keys: Images with equal keys stay together.
        folds: Into which they will be dealt; 1 for one part.
        needed: Keys that a class needs.
        for_holdout: Whether that includes what will be held out.

    Raises:
        DataError: Names the classes that have too few.
    """
    distinct: dict[int, set[str]] = defaultdict(set)
    for label, key in zip(labels, keys, strict=True):
        distinct[label].add(key)
    images = Counter(labels)
    small = [
        f"class '{name}' has {_images(images[label], len(distinct[label]))}"
        for label, name in enumerate(classes)
        if len(distinct[label]) < needed
    ]
    if small:
        fewest = min(len(distinct[label]) for label in range(len(classes)))
        dealt = "one part" if folds == 1 else f"{folds} folds"
        raise DataError(
            f"{_some(small)}; a study with {dealt} needs at least {needed} of each class",
            hint="add pictures or remove the class" + _settings(fewest, folds, needed, for_holdout=for_holdout),
        )


def _settings(fewest: int, folds: int, needed: int, *, for_holdout: bool) -> str:
    """What in the study file makes so few pictures enough; where nothing does, what makes fewer enough."""
    fewer = fewest - (needed - folds)
    fitting = [f"data.folds = {fewer}"] if fewest > 1 and 1 <= fewer < folds else []
    fitting += ["data.holdout = 0"] if for_holdout and fewest >= max(2, folds) else []
    if fitting:
        return f", or set {' or '.join(fitting)}"
    return "; with a lower data.folds, or data.holdout = 0, fewer are enough" if for_holdout and folds > 1 else ""


def check_parts(classes: Sequence[str], labels: Sequence[int], parts: Sequence[str]) -> None:
    """Refuse ready parts that lack a class; raises DataError."""
    have = {(part, label) for part, label in zip(parts, labels, strict=True)}
    lacking = [
        f"part '{part}' has no image of class '{name}'"
        for part in sorted(set(parts) | {"train"}, key=STRICTNESS.__getitem__)
        for label, name in enumerate(classes)
        if (part, label) not in have
    ]
    if lacking:
        raise DataError(_some(lacking, mark="; "), hint="every class needs images in every part")


def _images(images: int, distinct: int) -> str:
    text = "1 image" if images == 1 else f"{images} images"
    return text if images == distinct else f"{text} in {distinct} group{'s' if distinct != 1 else ''}"


def _to_mend(said: str, lines: Sequence[str], listed: int, *, hint: str) -> DataError:
    """The error for pictures that each need mending."""
    if 0 < listed < len(lines):
        hint += "; tlsearch data check STUDY lists all"
    return DataError(f"{said}: {_some(lines, listed)}" if listed else said, hint=hint)


def _some(lines: Sequence[str], most: int = SHOWN, *, mark: str = "; ") -> str:
    shown = mark.join(lines[:most])
    return f"{shown}{mark}…" if len(lines) > most else shown
