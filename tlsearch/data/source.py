"""The source: what a dataset plugin found, checked before a pixel is read; names and groups of its pictures."""

import os
import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from tlsearch.errors import DataError
from tlsearch.specs import Dataset

SHOWN = 3  # faults named in a message; more make it unreadable


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """The pictures of a dataset as a plugin lists them, before any is opened; all but `classes` have one a picture.

    Args:
        classes: Names in label order, as valid Unicode.
        files: What reports call each picture.
        labels: Its class.
        groups: Its group's name; None where it has none.
        parts: Its ready part; empty where the dataset does not come split.
    """

    classes: tuple[str, ...]
    files: tuple[str, ...]
    labels: tuple[int, ...]
    groups: tuple[str | None, ...]
    parts: tuple[str, ...]


def listed(dataset: Dataset, group_by: str | None) -> Listed:
    """Check what a plugin found, and name it.

    Raises:
        DataError: Where there is nothing to look at, or the pattern does not fit.
    """
    check_dataset(dataset)
    files = relative_names(dataset)
    return Listed(
        classes=tuple(valid_text(name) for name in dataset.classes),
        files=files,
        labels=tuple(image.label for image in dataset.images),
        groups=group_names(dataset, files, group_by),
        parts=ready_parts(dataset),
    )


def check_dataset(dataset: Dataset) -> None:
    """Refuse a dataset that no classifier can be made of; raises DataError."""
    where = f"the pictures in {dataset.root}"
    if not dataset.images:
        raise DataError(f"there are no pictures in {dataset.root}", hint="make one sub-folder a class")
    if len(dataset.classes) < 2:
        names = ", ".join(f"'{name}'" for name in dataset.classes)
        raise DataError(f"{where} have one class: {names}", hint="a classifier needs at least two")
    _check_class_names(dataset.classes)
    wrong = [image.path for image in dataset.images if not 0 <= image.label < len(dataset.classes)]
    if wrong:
        raise DataError(f"{len(wrong)} pictures have a label that is no class: {_some(wrong)}")
    twice = [path for path, count in Counter(image.path for image in dataset.images).items() if count > 1]
    if twice:
        raise DataError(f"{len(twice)} files are listed more than once: {_some(twice)}")
    outside = [image.path for image in dataset.images if not image.path.is_relative_to(dataset.root)]
    if outside:
        raise DataError(f"{len(outside)} pictures lie outside of {dataset.root}: {_some(outside)}")


def relative_names(dataset: Dataset) -> tuple[str, ...]:
    """What reports call each picture: its path below the root, with `/`, as valid Unicode."""
    return tuple(valid_text(image.path.relative_to(dataset.root).as_posix()) for image in dataset.images)


def ready_parts(dataset: Dataset) -> tuple[str, ...]:
    """The part of each picture of a dataset that comes split, `train` where it has none; else empty."""
    parts = [image.part for image in dataset.images]
    return tuple(part or "train" for part in parts) if any(parts) else ()


def group_names(dataset: Dataset, files: tuple[str, ...], group_by: str | None) -> tuple[str | None, ...]:
    """The group of each picture: from the pattern where one is given, else as the dataset says.

    Args:
        dataset: Checked.
        files: Its `relative_names`.
        group_by: A regular expression that is searched in the names; its group `group`, else its first, else all
            that it matches names the group. A file that it does not match is in no group.

    Raises:
        DataError: Where the pattern is no regular expression, or matches no file.
    """
    if group_by is None:
        return tuple(image.group for image in dataset.images)
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise DataError(f"data.group_by: {group_by!r} is no regular expression: {error}") from error
    which: str | int = "group" if "group" in pattern.groupindex else min(1, pattern.groups)
    found = tuple(match[which] if (match := pattern.search(name)) else None for name in files)
    if not any(found):
        raise DataError(
            f"data.group_by: {group_by!r} matches no file, such as {files[0]!r}",
            hint="it is searched in the path below the data folder; name the part that makes the group (?P<group>…)",
        )
    return found


def valid_text(name: str) -> str:
    """A file's name as text that can be stored and shown; bytes that are no UTF-8 become \\x escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _check_class_names(classes: tuple[str, ...]) -> None:
    alike: dict[str, list[str]] = defaultdict(list)
    for name in classes:
        alike[unicodedata.normalize("NFC", name).casefold()].append(name)
    clashes = [f"{names[0]!a} and {names[1]!a}" for names in alike.values() if len(names) > 1]
    if clashes:
        raise DataError(
            f"class names differ only in case or Unicode form: {'; '.join(clashes[:SHOWN])}",
            hint="rename or merge the folders",
        )
    if not all(name.strip() for name in classes):
        raise DataError("a class has an empty name")


def _some(paths: list[Path]) -> str:
    shown = ", ".join(valid_text(str(path)) for path in paths[:SHOWN])
    return f"{shown}, …" if len(paths) > SHOWN else shown
