"""Where a bundle may be written: never among the pictures, and never over what is not ours. Loads no torch."""

import os
from pathlib import Path

from tlsearch.export.facts import StudyFacts
from tlsearch.export.manifest import BundleError, names_in, read_manifest


def refuse_target(target: Path, facts: StudyFacts, *, force: bool) -> None:
    """Raise BundleError where the target is not ours to write.

    Args:
        target: The folder to write.
        facts: The study, whose pictures are left alone.
        force: Whether an earlier bundle may be replaced.
    """
    place = target.resolve()
    for folder in _photos(facts):
        if place.is_relative_to(folder):
            raise BundleError(f"{target} lies in the folder of the pictures, {folder}", hint="name a folder outside it")
    if target.is_symlink() or target.exists():
        if not _ours(target):
            raise BundleError(
                f"{target} exists and is no bundle of tlsearch, so it is left as it is", hint="name a new folder"
            )
        if not force:
            raise BundleError(f"{target} exists", hint="name a new folder, or replace the bundle with --force")
    parent = next(folder for folder in place.parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise BundleError(f"{target} cannot be written: {parent} is not writable", hint="name another folder")


def _photos(facts: StudyFacts) -> list[Path]:
    """The folders of the pictures, without links.

    A source that walks through its folder would take a bundle below it for pictures. One that reads a list would not,
    and the list may lie in the folder where its user works: then the folders that hold pictures are meant, but not it.
    """
    root = facts.root.resolve()
    if facts.walked:
        return [root]
    folders = {(root / file).parent for file in (*facts.development, *facts.holdout)}
    return sorted({folder.resolve() for folder in folders} - {root})


def _ours(target: Path) -> bool:
    """Whether a folder is a bundle with no file of anybody else in it."""
    if target.is_symlink() or not target.is_dir():
        return False
    try:
        return names_in(target) <= set(read_manifest(target).files)
    except BundleError:
        return False
