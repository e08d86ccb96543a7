"""Small files beside the cache: written aside and renamed, so that they are there whole or not at all."""

import os
import uuid
from pathlib import Path

from tlsearch.disk import writing


def write_whole(file: Path, content: bytes) -> None:
    """Write a file whole or not at all; its folder is made where it does not exist.

    Raises:
        StoreError: Where the disk does not take it.
    """
    temporary = file.with_suffix(f".{uuid.uuid4().hex}.tmp")
    try:
        with writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
            os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)
