"""folder: one's own photos, one sub-folder a class; or ready train, val and test folders of such."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tlsearch import DataError, Dataset, DatasetSpec, ImageFile, Params, hookimpl

Part = Literal["train", "val", "test"]

PARTS: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
# What systems leave behind, and what lies beside photos. Pictures are recognised by content, so no list of
# their endings is needed; a picture behind one of these endings is counted as ignored.
SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})
SYSTEM_FOLDERS = frozenset({"__macosx", "@eadir", "$recycle.bin", "system volume information"})
TEXTS = frozenset({".csv", ".htm", ".html", ".ini", ".json", ".log", ".md", ".pdf", ".tsv", ".txt", ".yaml", ".yml"})
OTHERS = frozenset({".aae", ".avi", ".db", ".mov", ".mp4", ".pp3", ".xml", ".xmp", ".zip"})
SIDECARS = TEXTS | OTHERS


class FolderOptions(Params):
    """Keys of `[data]` for this source."""

    path: str


@dataclass
class _Walk:
    """What a walk through the folders collects; faults are reported together."""

    root: Path
    ignored: list[Path] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def fault(self, path: Path, why: str) -> None:
        self.faults.append(f"{self.name(path)} ({why})")


def load(options: FolderOptions, cache_dir: Path) -> Dataset:
    """Find the classes and their files; reads no picture.

    Raises:
        DataError: Where the folder is missing, is laid out in another way, or holds links out of itself, loops,
            pipes or what may not be read.
    """
    del cache_dir  # the photos are where they are
    root = _existing(Path(options.path).expanduser())
    walk = _Walk(root)
    top = _folders(root, walk)
    found = list(_ready_parts(top, walk)) if _are_parts(top) else list(_classes(top, None, walk))
    if walk.faults:
        shown = ", ".join(walk.faults[:5]) + (", …" if len(walk.faults) > 5 else "")
        raise DataError(
            f"{len(walk.faults)} entries of {root} cannot be used: {shown}",
            hint="remove them; in place of a link, put a copy of what it points to",
        )
    classes = tuple(sorted({name for name, _, _ in found}))
    if not classes:
        raise DataError(f"{root} has no sub-folders", hint="make one sub-folder a class and put its photos there")
    images = [
        ImageFile(path=path, label=classes.index(name), part=part) for name, part, files in found for path in files
    ]
    ignored = tuple(sorted(walk.name(path) for path in walk.ignored))
    return Dataset(root=root, classes=classes, images=tuple(images), ignored=ignored)


def _existing(path: Path) -> Path:
    if not path.exists():
        raise DataError(f"data.path: {path} does not exist", hint="it is relative to where the command runs")
    if not path.is_dir():
        raise DataError(f"data.path: {path} is not a folder", hint="name the folder that holds one sub-folder a class")
    return path.resolve()


def _are_parts(folders: Sequence[Path]) -> bool:
    """Whether all sub-folders are parts: `train` and at least another."""
    parts = [PARTS.get(folder.name.casefold()) for folder in folders]
    return "train" in parts and len(parts) > 1 and None not in parts


def _ready_parts(folders: Sequence[Path], walk: _Walk) -> Iterator[tuple[str, Part | None, list[Path]]]:
    parts = [PARTS[folder.name.casefold()] for folder in folders]
    if len(set(parts)) < len(parts):
        names = ", ".join(folder.name for folder in folders)
        raise DataError(f"{walk.root} has two folders for one part: {names}", hint="merge them")
    for folder, part in zip(folders, parts, strict=True):
        yield from _classes(_folders(folder, walk), part, walk)


def _classes(folders: Sequence[Path], part: Part | None, walk: _Walk) -> Iterator[tuple[str, Part | None, list[Path]]]:
    for folder in folders:
        yield folder.name, part, list(_files(folder, walk))


def _folders(folder: Path, walk: _Walk) -> list[Path]:
    """The sub-folders in which classes or parts lie; files beside them are ignored, and counted."""
    entries = _entries(folder, walk)
    walk.ignored += [path for path, kind in entries if kind == "file"]
    return [path for path, kind in entries if kind == "folder"]


def _files(folder: Path, walk: _Walk) -> Iterator[Path]:
    """The files of one class, at any depth, in an order that doesn't depend on the file system."""
    for path, kind in _entries(folder, walk):
        if kind == "folder":
            yield from _files(path, walk)
        elif path.suffix.lower() in SIDECARS:
            walk.ignored.append(path)
        else:
            yield path


def _entries(folder: Path, walk: _Walk) -> list[tuple[Path, Literal["file", "folder"]]]:
    """Sorted files and folders; hidden ones are ignored, and what is neither is a fault."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        walk.fault(folder, str(error.strerror))
        return []
    entries: list[tuple[Path, Literal["file", "folder"]]] = []
    for path in paths:
        if _is_hidden(path):
            walk.ignored.append(path)
        elif (why := _unusable(path, walk.root)) is not None:
            walk.fault(path, why)
        else:
            entries.append((path, "folder" if path.is_dir() else "file"))
    return entries


def _is_hidden(path: Path) -> bool:
    name = path.name.casefold()
    return name.startswith(".") or name in SYSTEM_FILES or name in SYSTEM_FOLDERS


def _unusable(path: Path, root: Path) -> str | None:
    """Why an entry is neither a file nor a folder of this data; nothing is opened."""
    if path.is_symlink():
        try:
            target = path.resolve(strict=True)
        except (OSError, RuntimeError):  # RuntimeError: a link that leads to itself, before Python 3.13
            return "a link that leads nowhere"
        if not target.is_relative_to(root):
            return "a link out of the folder"
        if path.parent.resolve().is_relative_to(target):
            return "a link in a circle"
    if not (path.is_file() or path.is_dir()):
        return "neither a file nor a folder"
    return None if os.access(path, os.R_OK) else "may not be read"


@hookimpl
def tlsearch_datasets() -> Sequence[DatasetSpec]:
    """One's own photos."""
    return [DatasetSpec(name="folder", options=FolderOptions, load=load)]
