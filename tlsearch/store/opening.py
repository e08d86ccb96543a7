"""Opening a store: inspect first, then check its version and pages, and only then write."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tlsearch.errors import StoreError
from tlsearch.store import sqlite
from tlsearch.store.migrations import LATEST, migrate


def open_file(url: str, *, readonly: bool, timeout_s: float) -> Path:
    """The file that a URL names: there and whole; a writer has yet to `upgrade` it.

    Raises:
        StoreError: No whole store of a known version; the file is left as it was.
    """
    path = sqlite.sqlite_path(url)
    if not sqlite.exists(path):
        if readonly:
            raise StoreError(f"there is no store at {path}", hint="run a study first, or name another with --store")
        sqlite.create_file(path)
    sqlite.inspect_file(path)
    if not readonly:
        sqlite.refuse_readonly(path)
    _check(path, readonly=readonly, timeout_s=timeout_s)
    return path


def _check(path: Path, *, readonly: bool, timeout_s: float) -> None:
    """Look at the version, and before writing at every page, through a connection that cannot write."""
    looking = sqlite.SqliteReader(path, timeout_s=timeout_s)
    try:
        version = looking.run(_version)
        sqlite.refuse_newer(path, version)
        if readonly and version < LATEST:
            raise StoreError(
                f"the store {path} was written by an older tlsearch (schema {version})",
                hint="continue its study once with tlsearch run, which brings it up to date",
            )
        found = "ok" if readonly else looking.run(_first_damage)
        if found != "ok":
            raise StoreError(f"the store {path} is damaged: {found}", hint="restore it from a copy")
    finally:
        looking.close()


def upgrade(execute: Callable[[str], Any]) -> None:
    """Bring a file up to date, in a transaction of its writer's own."""
    version = int(execute("PRAGMA user_version").fetchone()[0])
    if version < LATEST:
        migrate(execute, version)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _first_damage(connection: sqlite3.Connection) -> str:
    return str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
