"""Files of ours on the disk: on it once a call returns, and a disk that takes no more is told as what it is."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tlsearch.errors import StoreError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What is done within writes to a path of ours.

    Raises:
        StoreError: For every OSError: a full disk, a folder that is read-only.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror or error}",
            hint="make room on the disk, or the folder writable, then run the same command again",
        ) from error


def write_synced(path: Path, content: bytes) -> None:
    """Write a file that outlasts a loss of power; its folder is synced apart. Raises StoreError."""
    with writing(path), path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where folders can be synced (not on Windows). Raises StoreError."""
    if os.name != "posix":
        return
    with writing(folder):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
