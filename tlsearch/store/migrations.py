"""How the store's tables came to be: a diary of SQL, oldest first. An entry is never changed once it is released."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step from the schema version before it.

    Args:
        version: The version that the store has afterwards.
        about: What it is good for.
        statements: Run in one transaction.
    """

    version: int
    about: str
    statements: tuple[str, ...]


FIRST = Migration(
    version=1,
    about="Studies, their trials, every dispatch of a trial, and what came of it.",
    statements=(
        """
        CREATE TABLE studies (
            id INTEGER NOT NULL PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            config JSON NOT NULL,
            definition JSON NOT NULL,
            context JSON NOT NULL,
            created TEXT NOT NULL
        )
        """,
        """
        CREATE TABLE trials (
            study INTEGER NOT NULL REFERENCES studies (id),
            number INTEGER NOT NULL,
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            state TEXT NOT NULL,
            params JSON NOT NULL,
            recipe JSON NOT NULL,
            score FLOAT,
            fold_scores JSON NOT NULL,
            rung_score FLOAT,
            reason TEXT,
            detail TEXT NOT NULL,
            duplicate_of INTEGER,
            facts JSON,
            seconds FLOAT NOT NULL,
            probe_seconds FLOAT NOT NULL,
            PRIMARY KEY (study, number)
        )
        """,
        """
        CREATE TABLE attempts (
            study INTEGER NOT NULL,
            trial INTEGER NOT NULL,
            attempt INTEGER NOT NULL,
            job TEXT NOT NULL,
            started TEXT NOT NULL,
            ended TEXT,
            reason TEXT,
            detail TEXT NOT NULL,
            PRIMARY KEY (study, trial, attempt),
            FOREIGN KEY (study, trial) REFERENCES trials (study, number)
        )
        """,
        """
        CREATE TABLE epochs (
            study INTEGER NOT NULL,
            trial INTEGER NOT NULL,
            attempt INTEGER NOT NULL,
            repeat INTEGER NOT NULL,
            fold INTEGER NOT NULL,
            epoch INTEGER NOT NULL,
            train_loss FLOAT,
            seconds FLOAT NOT NULL,
            PRIMARY KEY (study, trial, attempt, repeat, fold, epoch),
            FOREIGN KEY (study, trial) REFERENCES trials (study, number)
        )
        """,
        """
        CREATE TABLE predictions (
            study INTEGER NOT NULL,
            trial INTEGER NOT NULL,
            repeat INTEGER NOT NULL,
            images INTEGER NOT NULL,
            classes INTEGER NOT NULL,
            log_probs BLOB NOT NULL,
            PRIMARY KEY (study, trial, repeat),
            FOREIGN KEY (study, trial) REFERENCES trials (study, number)
        )
        """,
        """
        CREATE TABLE confirmations (
            study INTEGER NOT NULL,
            trial INTEGER NOT NULL,
            repeat INTEGER NOT NULL,
            score FLOAT,
            fold_scores JSON NOT NULL,
            seconds FLOAT NOT NULL,
            reason TEXT,
            detail TEXT NOT NULL,
            PRIMARY KEY (study, trial, repeat),
            FOREIGN KEY (study, trial) REFERENCES trials (study, number)
        )
        """,
        """
        CREATE TABLE files (
            study INTEGER NOT NULL REFERENCES studies (id),
            name TEXT NOT NULL,
            data BLOB NOT NULL,
            PRIMARY KEY (study, name)
        )
        """,
        """
        CREATE TABLE events (
            study INTEGER NOT NULL REFERENCES studies (id),
            seq INTEGER NOT NULL,
            kind TEXT NOT NULL,
            at TEXT NOT NULL,
            data JSON NOT NULL,
            PRIMARY KEY (study, seq)
        )
        """,
    ),
)

MIGRATIONS = (FIRST,)
LATEST = MIGRATIONS[-1].version


def migrate(execute: Callable[[str], object], version: int, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Run what a store of that version has not seen yet; the caller begins and commits the one transaction."""
    for migration in migrations:
        if migration.version > version:
            for statement in migration.statements:
                execute(statement)
            execute(f"PRAGMA user_version = {migration.version:d}")
