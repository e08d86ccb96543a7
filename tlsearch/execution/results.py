"""Result lines: a synced, checksummed line for each row that ended, so that no finished trial is lost.

A line is `1 LENGTH SHA256 JSON`: the format's version, the length of the JSON in bytes and its digest.
"""

import errno
import hashlib
import json
import os
import time
from pathlib import Path

from tlsearch.closable import Closable
from tlsearch.disk import sync_folder, writing
from tlsearch.execution.codec import result_from_json, result_to_json
from tlsearch.work import RowResult

VERSION = b"1"
SYNC_S = 2.0  # what ends together, or soon after, is synced at once: a durable write takes milliseconds


def results_file(folder: Path, job_id: str) -> Path:
    """Where a job's result lines are kept."""
    return folder / f"{job_id}.jsonl"


class ResultWriter(Closable):
    """Appends results to a file; each is on the disk when `append` returns.

    Args:
        path: Created where it is missing, with its folders; a torn last line of an earlier writer stays harmless.

    Raises:
        StoreError: Where the disk does not take it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._synced = time.monotonic()
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b", buffering=0)
            sync_folder(path.parent)
            end = self._file.seek(0, os.SEEK_END)
            if end:
                self._file.seek(end - 1)
                if self._file.read(1) != b"\n":
                    self._file.write(b"\n")

    def append(self, *results: RowResult) -> None:
        """Write a line for each, and sync them all at once.

        Raises:
            StoreError: Where the disk does not take them.
        """
        lines = b"".join(map(_encode, results))
        with writing(self._path):
            if self._file.write(lines) < len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether the last sync, or the beginning, is so long ago that what has ended should wait no longer."""
        return time.monotonic() - self._synced >= SYNC_S

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_results(path: Path) -> list[RowResult]:
    """The results of all whole, valid lines, in order; torn and damaged ones are as if never written.

    Returns:
        Nothing where the file does not exist: no row of that job ended.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    return [result for line in lines[:-1] if (result := _decode(line)) is not None]


def _encode(result: RowResult) -> bytes:
    body = json.dumps(result_to_json(result)).encode("ascii")  # ASCII: no line break can hide in it
    return b"%b %d %b %b\n" % (VERSION, len(body), hashlib.sha256(body).hexdigest().encode(), body)


def _decode(line: bytes) -> RowResult | None:
    version, _, rest = line.partition(b" ")
    length, _, rest = rest.partition(b" ")
    digest, _, body = rest.partition(b" ")
    if version != VERSION or length != b"%d" % len(body) or digest != hashlib.sha256(body).hexdigest().encode():
        return None
    return result_from_json(json.loads(body))
