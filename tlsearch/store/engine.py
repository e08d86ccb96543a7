"""SQLAlchemy's engine on a store's file: what writing needs, and reading does without."""

from pathlib import Path

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event

from tlsearch.store.sqlite import connect


def open_engine(path: Path) -> Engine:
    """An engine on a file that has been inspected; every transaction is ours to begin, and locks ours to wait for.

    It begins with BEGIN IMMEDIATE: a transaction that starts by reading and then wants to write would fail at once
    where another process wrote in between.
    """
    engine = create_engine("sqlite://", creator=lambda: connect(path, readonly=False), poolclass=QueuePool)

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "begin", begin)
    return engine
