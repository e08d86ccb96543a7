"""Arrays in files without a name: memory that the system may take back, and that is gone with the array."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tlsearch.disk import writing

Number = TypeVar("Number", bound=np.generic)


def mapped_rows(blocks: Iterable[NDArray[Number]], folder: Path) -> NDArray[Number]:
    """Write blocks of rows one after another, and map them as one array, read and written without the file's name.

    Args:
        blocks: `(any, …)` each; at least one.
        folder: Where there is room; it is made.

    Raises:
        StoreError: Where the disk does not take them.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed below, by a block that tells other faults
    with file:
        rows = 0
        for block in blocks:
            with writing(folder):
                file.write(np.ascontiguousarray(block).tobytes())
            rows += len(block)
        with writing(folder):
            file.flush()
        return np.memmap(file, dtype=block.dtype, mode="r+", shape=(rows, *block.shape[1:]))
