"""One transaction at a time, through SQLAlchemy: waits for locks, and every fault is a StoreError."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
        self._shared: Connection | None = None  # of a transaction that holds several pieces of work

    def run(self, work: Callable[[Connection], T]) -> T:
        """Do the work in one transaction: all of it is on the disk when this returns, or nothing.

        Within `together` it is on the disk when that ends.

        Args:
            work: Is run again from its beginning after a lock, so it must change nothing but the database.

        Raises:
            StoreError: The store stayed locked, or cannot be read or written.
        """
        if self._shared is not None:
            return work(self._shared)  # faults are `together`'s to tell

        def once() -> T:
            with self._engine.begin() as connection:
                return work(connection)

        return self._locks.wait(once)

    @contextmanager
    def together(self) -> Iterator[None]:
        """All work that is run within is one transaction: on the disk when this ends, or, where it raises, undone.

        Raises:
            StoreError: As `run` does.
        """
        connection = self._locks.wait(self._begun)
        self._shared = connection
        try:
            yield
            self._locks.wait(lambda: connection.exec_driver_sql("COMMIT"))  # SQLAlchemy's own cannot be tried again
            connection.commit()
        except DBAPIError as error:
            raise self._locks.fault(error) from error
        finally:
            self._shared = None
            connection.close()  # what was not committed is undone

    def _begun(self) -> Connection:
        connection = self._engine.connect()
        try:
            connection.begin()  # takes the lock: in WAL mode what follows waits for nobody
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()
