"""Where a command may write: never among the photos, where every sub-folder is a class."""

import shlex
from pathlib import Path

from tlsearch.errors import DataError
from tlsearch.paths import run_folder
from tlsearch.study import StudyConfig


def refuse_among_photos(photos: Path, place: Path, *, hint: str) -> None:
    """Raise DataError where a place lies in the folder of the photos."""
    if place.resolve().is_relative_to(photos.resolve()):
        raise DataError(f"{place} would lie in the photos' folder, where every sub-folder is a class", hint=hint)


def refuse_run_among_photos(config: StudyConfig) -> None:
    """Raise DataError where the folder of a study's run would lie in the folder of its photos."""
    if config.data.source == "folder":
        photos = Path(config.data.options["path"]).expanduser()
        hint = f"run it from the folder above, with data.path as it is seen from there: {to_folder_above(photos)}"
        refuse_among_photos(photos, run_folder(config.study.name), hint=hint)


def to_folder_above(photos: Path) -> str:
    """The command that leaves the photos, as a shell reads it."""
    return shlex.join(["cd", str(photos.resolve().parent)])
