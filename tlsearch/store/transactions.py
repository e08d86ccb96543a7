"""One transaction at a time: waits for locks, and turns every fault of the database into a StoreError."""

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from tlsearch.errors import StoreError

T = TypeVar("T")


class Transactions:
    """Runs work in transactions of one engine.

    Args:
        engine: Its connections begin as `sqlite.open_engine` tells them to.
        path: The file, for messages.
        timeout_s: How long locks of other processes are waited for.
    """

    def __init__(self, engine: Engine, path: Path, *, timeout_s: float) -> None:
        self._engine = engine
        self._path = path
        self._timeout_s = timeout_s

    def run(self, work: Callable[[Connection], T]) -> T:
        """Do the work in one transaction: all of it is on the disk when this returns, or nothing.

        Args:
            work: Is run again from its beginning after a lock, so it must change nothing but the database.

        Raises:
            StoreError: The store stayed locked, or cannot be read or written.
        """
        until = time.monotonic() + self._timeout_s
        while True:
            try:
                with self._engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                if not _is_lock(error) or time.monotonic() > until:
                    raise self._fault(error) from error
                # jitter: two waiters must not meet again and again
                time.sleep(random.uniform(0.005, 0.1))  # noqa: S311 - no secret depends on it

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _fault(self, error: DBAPIError) -> StoreError:
        if _is_lock(error):
            waited = f"locked by another process for {self._timeout_s:g} s"
            return StoreError(f"the store {self._path} is {waited}", hint="end that process, then run this again")
        full = "full" in str(error.orig)
        hint = "make room on the disk, then run the same command again" if full else "check the disk and the file"
        return StoreError(f"the store {self._path} failed: {error.orig}", hint=hint)


def _is_lock(error: DBAPIError) -> bool:
    name = getattr(error.orig, "sqlite_errorname", "")
    return name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or "is locked" in str(error.orig)
