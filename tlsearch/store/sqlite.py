"""How a SQLite file is found, inspected, opened and made, so that a file that is not ours is never touched."""

import os
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tlsearch.errors import StoreError
from tlsearch.store.locks import Locks
from tlsearch.store.migrations import LATEST, migrate

T = TypeVar("T")

APPLICATION_ID = 0x746C7365  # "tlse", at byte 68 of the file; https://www.sqlite.org/fileformat.html
MAGIC = b"SQLite format 3\x00"
HEADER_BYTES = 100
URL = re.compile(r"(?P<scheme>[\w+]+://)(?:(?P<user>[^:/@?]*)(?P<password>:[^@]*)?@)?(?P<rest>[^?]*)", re.DOTALL)


def sqlite_path(url: str) -> Path:
    """The file that a `sqlite:///path` URL names; everything after the slashes is the path, `?` and `%` included.

    Raises:
        StoreError: For another kind of URL, shown without its password.
    """
    path = url.removeprefix("sqlite:///")
    if path == url:
        raise StoreError(f"the store {masked(url)} is not a SQLite file", hint="write it as sqlite:///path/to/study.db")
    if not path or path == ":memory:" or "\0" in path:
        raise StoreError(
            f"the store {url!r} names no file", hint="write it as sqlite:///path/to/study.db: a study outlives its run"
        )
    return Path(path).absolute()


def masked(url: str) -> str:
    """The URL as it may be shown: its password hidden, and everything after a `?`, where another may stand."""
    read = URL.match(url)
    if read is None:
        return "URL"
    user = "" if read["user"] is None else f"{read['user']}{':***' if read['password'] else ''}@"
    return f"'{read['scheme']}{user}{read['rest']}'"


class SqliteReader:
    """Reads a file that has been inspected through one connection of the standard library, opened when it is needed.

    Args:
        path: The file.
        timeout_s: How long locks of other processes are waited for.
    """

    def __init__(self, path: Path, *, timeout_s: float) -> None:
        self._path = path
        self._locks = Locks(path=path, timeout_s=timeout_s, faults=sqlite3.Error)
        self._connection: sqlite3.Connection | None = None

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the work in one transaction: it sees the file as it is at one moment.

        Raises:
            StoreError: The file stayed locked, or cannot be read.
        """

        def once() -> T:
            self._connection = self._connection or connect(self._path, readonly=True)
            self._connection.execute("BEGIN")
            try:
                return work(self._connection)
            finally:
                self._connection.rollback()

        return self._locks.wait(once)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def exists(path: Path) -> bool:
    """Whether there is anything of that name."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreError(f"cannot read the store {path}: {error.strerror}") from error
    return True


def inspect_file(path: Path) -> None:
    """Look at a file's first bytes, and refuse it where it is not a whole store of a version that we know.

    SQLite itself would create a missing file, fill an empty one, and recover another program's.
    """
    try:
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
            size = file.seek(0, os.SEEK_END)
    except OSError as error:
        raise StoreError(f"cannot read the store {path}: {error.strerror}") from error
    if size == 0:
        raise StoreError(f"the store {path} is empty", hint="delete it, or write the study elsewhere")
    if header[:16] != MAGIC or len(header) < HEADER_BYTES:
        way_out = "restore a copy of it, or move it away and run again"
        raise StoreError(f"{path} is not a SQLite database", hint=way_out)
    if _number(header, 68) != APPLICATION_ID:
        raise StoreError(f"{path} is a database of another program", hint="name another file as the store")
    page = _number(header, 16, 2) or 1
    page_bytes = 65_536 if page == 1 else page
    if size < _number(header, 28) * page_bytes and not _has_wal(path):
        raise StoreError(f"the store {path} is truncated: {size} bytes", hint="restore it from a copy")
    refuse_newer(path, _number(header, 60))


def refuse_newer(path: Path, version: int) -> None:
    """Raise StoreError where a store was written by a later version of tlsearch."""
    if version > LATEST:
        raise StoreError(
            f"the store {path} was written by a newer tlsearch (schema {version}, this one knows up to {LATEST})",
            hint="upgrade tlsearch",
        )


def refuse_readonly(path: Path) -> None:
    """Raise StoreError where a writer could not write the file, or its journal beside it."""
    for place in (path, path.parent):
        if not _writable(place):
            raise StoreError(f"the store {path} cannot be written: {place} is read-only", hint="make it writable")


def create_file(path: Path) -> None:
    """Make an empty store: under another name first, so that a kill never leaves half of one.

    The caller holds the study's lock, so nobody else creates it.
    """
    draft = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in (draft, *_beside(draft)):
            leftover.unlink(missing_ok=True)
        connection = _connected(_uri(draft, "rwc"), readonly=False)
        try:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            migrate(connection.execute, 0)
            connection.execute("COMMIT")
        finally:
            connection.close()  # the last one to leave moves the journal into the file
        draft.replace(path)
    except OSError as error:
        raise StoreError(f"cannot create the store {path}: {error.strerror}", hint="name another place") from error
    except sqlite3.Error as error:
        raise StoreError(f"cannot create the store {path}: {error}", hint="name another place") from error


def connect(path: Path, *, readonly: bool) -> sqlite3.Connection:
    """A connection on which every transaction is ours to begin; locks are waited for by the caller, with jitter."""
    return _connected(_uri(path, "ro" if readonly else "rw"), readonly=readonly)


def _connected(uri: str, *, readonly: bool) -> sqlite3.Connection:
    # no timeout of its own, and no implicit transactions: both are the store's
    connection = sqlite3.connect(uri, uri=True, timeout=0.05, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA foreign_keys = ON")
    if not readonly:
        connection.execute("PRAGMA synchronous = FULL")  # a commit survives a power cut
    return connection


def _uri(path: Path, mode: str) -> str:
    """SQLite's own URI of a file; `as_uri` quotes what would end the path: `?`, `#` and `%`."""
    frozen = mode == "ro" and not _has_wal(path) and not (_writable(path.parent) and _writable(path))
    # without a journal to read or a place to make one, the file is all there is, and nobody changes it
    return f"{path.as_uri()}?mode={mode}{'&immutable=1' if frozen else ''}"


def _beside(path: Path) -> tuple[Path, Path]:
    return path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def _has_wal(path: Path) -> bool:
    wal, _ = _beside(path)
    return wal.is_file() and wal.stat().st_size > 0


def _writable(path: Path) -> bool:
    """Whether it may be written; root is asked to respect a write protection as well."""
    return os.access(path, os.W_OK) and bool(path.stat().st_mode & 0o222)


def _number(header: bytes, offset: int, length: int = 4) -> int:
    return int.from_bytes(header[offset : offset + length], "big")
