"""Opening a store: inspect first, then check its version and pages, and only then write."""

from pathlib import Path

from sqlalchemy import Connection

from tlsearch.errors import StoreError
from tlsearch.store import sqlite
from tlsearch.store.migrations import LATEST, migrate
from tlsearch.store.transactions import Transactions


def open_file(url: str, *, readonly: bool, timeout_s: float) -> tuple[Path, Transactions]:
    """The file that a URL names, and transactions on it; see `Store.open`.

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
    transactions = Transactions(sqlite.open_engine(path, readonly=readonly), path, timeout_s=timeout_s)
    if not readonly:
        transactions.run(_upgrade)
    return path, transactions


def _check(path: Path, *, readonly: bool, timeout_s: float) -> None:
    """Look at the version, and before writing at every page, through a connection that cannot write."""
    looking = Transactions(sqlite.open_engine(path, readonly=True), path, timeout_s=timeout_s)
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


def _version(c: Connection) -> int:
    return int(c.exec_driver_sql("PRAGMA user_version").scalar_one())


def _first_damage(c: Connection) -> str:
    return str(c.exec_driver_sql("PRAGMA quick_check(1)").scalar_one())


def _upgrade(c: Connection) -> None:
    version = _version(c)
    if version < LATEST:
        migrate(c.exec_driver_sql, version)
