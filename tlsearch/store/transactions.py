"""One transaction at a time, through SQLAlchemy: waits for locks, and every fault is a StoreError."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from tlsearch.store.locks import Locks

T = TypeVar("T")


class Transactions:
    """Runs work in transactions of one engine.

    Args:
        engine: Its connections begin as `engine.open_engine` tells them to.
        path: The file, for messages.
        timeout_s: How long locks of other processes are waited for.
    """

    def __init__(self, engine: Engine, path: Path, *, timeout_s: float) -> None:
        self._engine = engine
        self._locks = Locks(path=path, timeout_s=timeout_s, faults=DBAPIError)

    def run(self, work: Callable[[Connection], T]) -> T:
        """Do the work in one transaction: all of it is on the disk when this returns, or nothing.

        Args:
            work: Is run again from its beginning after a lock, so it must change nothing but the database.

        Raises:
            StoreError: The store stayed locked, or cannot be read or written.
        """

        def once() -> T:
            with self._engine.begin() as connection:
                return work(connection)

        return self._locks.wait(once)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()
