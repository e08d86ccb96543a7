"""Entries on disk: arrays under the hash of all that decides them, checked before they are used."""

import contextlib
import hashlib
import json
import math
import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tlsearch.disk import writing
from tlsearch.errors import TlsearchError
from tlsearch.records import Json

FORMAT = 2  # changes when the files of an entry do

STALE_S = 3600.0  # an unfinished file that nobody wrote to for so long belongs to a process that is gone


def key_digest(key: Mapping[str, Json]) -> str:
    """sha256 of a key: everything that decides an entry's values."""
    text = json.dumps({"format": FORMAT, **key}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class FeatureCache:
    """Arrays by key. A damaged, torn or missing entry is a miss, never wrong values.

    Args:
        folder: Made where it does not exist. Several processes may share it.
        max_bytes: The least recently used entries go once more is taken; those that this process uses stay.

    Raises:
        StoreError: Where the folder cannot be made; later, where the disk does not take an entry.
    """

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._in_use: set[str] = set()
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._sweep()

    def open(self, key: Mapping[str, Json]) -> NDArray[np.generic] | None:
        """Map an entry read-only, or None where there is no sound one. Verified once a call: keep the array."""
        digest = key_digest(key)
        data, meta = self._paths(digest)
        try:
            told = json.loads(meta.read_text())
            shape, dtype = tuple(told["shape"]), np.dtype(told["dtype"])
            if data.stat().st_size != _bytes(shape, dtype) or _checksum(data, shape, dtype) != told["checksum"]:
                return None
            array = np.memmap(data, dtype=dtype, mode="r", shape=shape)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        self._in_use.add(digest)
        with contextlib.suppress(OSError):  # another process may have evicted it by now: what is mapped stays
            os.utime(meta)  # the age that eviction goes by
        return array

    def create(self, key: Mapping[str, Json], shape: tuple[int, ...], dtype: DTypeLike) -> "EntryWriter":
        """Begin an entry; it exists once the writer's context ends without an error.

        Raises:
            TlsearchError: Where the entry alone is larger than the cache may be.
        """
        self.check_room(_bytes(shape, np.dtype(dtype)), f"{key.get('cut')}: its features")
        return EntryWriter(self, key_digest(key), shape, np.dtype(dtype))

    def check_room(self, wanted: int, whose: str) -> None:
        """Refuse what is larger than the cache may be.

        Args:
            wanted: Bytes that are to be kept at the same time.
            whose: What they are, for the message.

        Raises:
            TlsearchError: Where it is too large.
        """
        if wanted > self.max_bytes:
            raise TlsearchError(
                f"{whose} take {_size(wanted)}, and the cache may take {_size(self.max_bytes)}",
                hint="raise run.cache_gb, or lower search.unfrozen.high, data.views or image_px",
            )

    def _paths(self, digest: str) -> tuple[Path, Path]:
        return self.folder / f"{digest}.bin", self.folder / f"{digest}.json"

    def _commit(
        self, digest: str, temporary: Path, shape: tuple[int, ...], dtype: np.dtype[np.generic], checksum: str
    ) -> NDArray[np.generic]:
        data, told = self._paths(digest)
        os.replace(temporary, data)
        array = np.memmap(data, dtype=dtype, mode="r", shape=shape)
        meta = {"shape": list(shape), "dtype": dtype.str, "checksum": checksum}
        fresh = told.with_suffix(f".{uuid.uuid4().hex}.tmp")
        fresh.write_text(json.dumps(meta))
        os.replace(fresh, told)
        self._in_use.add(digest)
        self._evict()
        return array

    def _sweep(self) -> None:
        """Remove what killed processes left: unfinished files, and data that no entry tells of."""
        for file in [*self.folder.glob("*.tmp"), *self.folder.glob("*.bin")]:
            with contextlib.suppress(OSError):  # another process is removing it
                left = file.suffix == ".tmp" or not file.with_suffix(".json").exists()
                if left and time.time() - file.stat().st_mtime > STALE_S:
                    file.unlink()

    def _evict(self) -> None:
        """Remove the longest unused entries until the rest fits."""
        entries = []
        for meta in self.folder.glob("*.json"):
            try:
                entries.append((meta.stat().st_mtime, meta.with_suffix(".bin").stat().st_size, meta))
            except OSError:
                continue  # another process is removing it
        taken = sum(size for _, size, _ in entries)
        for _, size, meta in sorted(entries, key=lambda entry: entry[0]):
            if taken <= self.max_bytes:
                return
            if meta.stem not in self._in_use:
                meta.unlink(missing_ok=True)
                meta.with_suffix(".bin").unlink(missing_ok=True)
                taken -= size


class EntryWriter:
    """Rows of one entry, written in order; renamed into place at the end of its context.

    `array` maps it read-only from then on, whatever other processes do to the entry.
    """

    array: NDArray[np.generic]

    def __init__(self, cache: FeatureCache, digest: str, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> None:
        self._cache = cache
        self._digest = digest
        self._shape = shape
        self._dtype = dtype
        self._temporary = cache.folder / f"{digest}.{uuid.uuid4().hex}.tmp"
        with writing(cache.folder):
            self._file = self._temporary.open("wb")
        self._hash = hashlib.blake2b(digest_size=16)

    def write(self, rows: NDArray[np.generic]) -> None:
        """Append rows `(n, …)`."""
        block = np.ascontiguousarray(rows, dtype=self._dtype).tobytes()
        with writing(self._cache.folder):
            self._file.write(block)
        self._hash.update(block)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with writing(self._cache.folder):
                self._file.close()
                if kind is None:
                    self.array = self._finished()
        finally:
            self._temporary.unlink(missing_ok=True)

    def _finished(self) -> NDArray[np.generic]:
        size, expected = self._temporary.stat().st_size, _bytes(self._shape, self._dtype)
        assert size == expected, f"{size} bytes written of {expected}"
        self._hash.update(_header(self._shape, self._dtype))
        return self._cache._commit(self._digest, self._temporary, self._shape, self._dtype, self._hash.hexdigest())


def _size(count: int) -> str:
    """A number of bytes in words."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _bytes(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> int:
    return math.prod(shape) * dtype.itemsize


def _header(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> bytes:
    return json.dumps([shape, dtype.str]).encode()


def _checksum(path: Path, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    digest.update(_header(shape, dtype))
    return digest.hexdigest()
