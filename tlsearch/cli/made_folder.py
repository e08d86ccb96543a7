"""A run's folder: made by `tlsearch run`, and taken away again where the study is refused before it was stored."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tlsearch.disk import writing
from tlsearch.errors import DataError, DeviceError, PluginError, StudyFileError, UnknownNameError, WeightsError
from tlsearch.store.reading import StoreReader

# what these say is all that there is to say: of other errors the logs of workers, in the folder, tell more
REFUSALS = (StudyFileError, UnknownNameError, PluginError, DataError, WeightsError, DeviceError)


@contextmanager
def made_folder(folder: Path, *, store: str, study: str) -> Iterator[None]:
    """Make the folder of a run; a study that is refused before it was stored leaves none.

    Args:
        folder: Of the run; one that was there before stays.
        store: The URL of its store, which is closed when this ends.
        study: The study's name.

    Raises:
        StoreError: Where it cannot be made, or taken away.
    """
    was_there = folder.exists()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except REFUSALS:
        if not was_there and not _is_stored(store, study):
            with writing(folder):
                _take_away(folder)
        raise


def _is_stored(store: str, study: str) -> bool:
    with StoreReader.open(store) as opened:
        return opened.study(study) is not None


def _take_away(folder: Path) -> None:
    shutil.rmtree(folder)
    if not any(folder.parent.iterdir()):
        folder.parent.rmdir()
