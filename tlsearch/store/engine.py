"""SQLAlchemy's engine on a store's file: what writing needs, and reading does without."""

import sqlite3
from pathlib import Path

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event

from tlsearch.store.sqlite import connect


def open_engine(path: Path) -> Engine:
    """An engine on a file that has been inspected; every transaction is ours to begin, and locks ours to wait for.

    It begins with BEGIN IMMEDIATE: a transaction that starts by reading and then wants to write would fail at once
    where another process wrote in between. A file that was restored from a copy need not be in WAL mode any more, in
    which no reader keeps a transaction from its end: it is put back.
    """

    def connect_in_wal_mode() -> sqlite3.Connection:
        connection = connect(path, readonly=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except BaseException:
            connection.close()
            raise
        return connection

    engine = create_engine("sqlite://", creator=connect_in_wal_mode, poolclass=QueuePool)

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "begin", begin)
    return engine
