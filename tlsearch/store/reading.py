"""What is known of studies, in plain SQL: loads no sqlalchemy, so that a report starts at once."""

import sqlite3
from abc import abstractmethod
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from tlsearch.closable import Closable
from tlsearch.errors import StoreError
from tlsearch.records import AttemptRecord, ConfirmationRecord, EpochRecord, Event, StudyRecord, TrialRecord
from tlsearch.store import rows
from tlsearch.store.opening import open_file
from tlsearch.store.rows import Row, escaped
from tlsearch.store.sqlite import SqliteReader

T = TypeVar("T")


class Select(Protocol):
    """One statement in a transaction: its rows by column; each `?` in it stands for one of the values."""

    def __call__(self, statement: str, *values: str | int) -> Sequence[Row]:
        """Run it."""


class StudyReader(Closable):
    """Reads studies. Every method is one transaction.

    Every method raises StoreError where the file stays locked or cannot be read, or the study it names is not stored.
    Use it as a context manager.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def close(self) -> None:
        """Close the file."""

    @abstractmethod
    def _reading(self, work: Callable[[Select], T]) -> T:
        """Do the work in one transaction."""

    def study(self, name: str) -> StudyRecord | None:
        """The study of that name, if there is one."""
        found = self._reading(lambda select: select("SELECT * FROM studies WHERE name = ?", escaped(name)))
        return rows.study_record(found[0]) if found else None

    def studies(self) -> list[StudyRecord]:
        """All studies, oldest first."""
        found = self._reading(lambda select: select("SELECT * FROM studies ORDER BY id"))
        return [rows.study_record(row) for row in found]

    def names(self) -> list[str]:
        """The names of all studies, oldest first."""
        return [row["name"] for row in self._reading(lambda select: select("SELECT name FROM studies ORDER BY id"))]

    def has_trials(self, study: str) -> bool:
        """Whether a study of that name has begun: until then everything about it may change."""
        one = "SELECT 1 FROM trials WHERE study = (SELECT id FROM studies WHERE name = ?) LIMIT 1"
        return bool(self._reading(lambda select: select(one, escaped(study))))

    def trials(self, study: str) -> list[TrialRecord]:
        """All trials, by number."""
        counted = "SELECT trial, count(*) AS attempts FROM attempts WHERE study = ? GROUP BY trial"

        def work(select: Select) -> list[TrialRecord]:
            key = self._key(select, study)
            counts = {row["trial"]: row["attempts"] for row in select(counted, key)}
            found = select("SELECT * FROM trials WHERE study = ? ORDER BY number", key)
            return [rows.trial_record(row, counts.get(row["number"], 0)) for row in found]

        return self._reading(work)

    def attempts(self, study: str) -> list[AttemptRecord]:
        """Every dispatch of every trial, by trial and attempt."""
        found = self._of(study, "SELECT * FROM attempts WHERE study = ? ORDER BY trial, attempt")
        return [rows.attempt_record(row) for row in found]

    def open_attempts(self, study: str) -> list[AttemptRecord]:
        """The attempts that nobody has ended: those in flight, or lost with an earlier coordinator."""
        live = "SELECT * FROM attempts WHERE study = ? AND ended IS NULL ORDER BY trial, attempt"
        return [rows.attempt_record(row) for row in self._of(study, live)]

    def epochs(self, study: str) -> list[EpochRecord]:
        """All epochs, by trial, attempt, repeat, fold and epoch."""
        ordered = "SELECT * FROM epochs WHERE study = ? ORDER BY trial, attempt, repeat, fold, epoch"
        return [rows.epoch_record(row) for row in self._of(study, ordered)]

    def predicted(self, study: str, repeat: int = 0) -> list[int]:
        """The numbers of the trials of which there are predictions; see `predictions`, which reads them as well."""
        known = "SELECT trial FROM predictions WHERE study = ? AND repeat = ? ORDER BY trial"
        return [row["trial"] for row in self._of(study, known, repeat)]

    def predictions(
        self, study: str, repeat: int = 0, *, trials: Collection[int] | None = None
    ) -> dict[int, NDArray[np.float32]]:
        """Out-of-fold log-probabilities (development images, classes) of completed trials, by number.

        Args:
            study: The study's name.
            repeat: 0 while searching; 1 and up in confirmations.
            trials: Only of these; None: of all.
        """
        only = "" if trials is None else f" AND trial IN ({_marks(trials)})"
        # an index on (study, trial, repeat) gives the order
        statement = f"SELECT * FROM predictions WHERE study = ? AND repeat = ?{only} ORDER BY trial"
        found = self._of(study, statement, repeat, *(trials or ()))
        return {row["trial"]: rows.prediction(row) for row in found}

    def confirmations(self, study: str) -> list[ConfirmationRecord]:
        """What came of scoring the best and the baselines again, by trial and repeat."""
        found = self._of(study, "SELECT * FROM confirmations WHERE study = ? ORDER BY trial, repeat")
        return [rows.confirmation_record(row) for row in found]

    def events(self, study: str, kinds: Collection[str] | None = None) -> list[Event]:
        """What happened, in order; only of some kinds where they are given."""
        only = "" if kinds is None else f" AND kind IN ({_marks(kinds)})"
        statement = f"SELECT * FROM events WHERE study = ?{only} ORDER BY seq"
        return [rows.event_record(row) for row in self._of(study, statement, *(kinds or ()))]

    def get_file(self, study: str, name: str) -> bytes | None:
        """A kept file, if there is one of that name."""
        found = self._of(study, "SELECT data FROM files WHERE study = ? AND name = ?", escaped(name))
        return bytes(found[0]["data"]) if found else None

    def _of(self, study: str, statement: str, *values: str | int) -> Sequence[Row]:
        """Rows of one study, whose key is the statement's first value."""
        return self._reading(lambda select: select(statement, self._key(select, study), *values))

    def _key(self, select: Select, name: str) -> int:
        found = select("SELECT id FROM studies WHERE name = ?", escaped(name))
        if not found:
            raise StoreError(f"the store {self.path} has no study '{name}'", hint="see what it has: tlsearch report")
        return int(found[0]["id"])


class StoreReader(StudyReader):
    """Studies in one SQLite file, for reading: works while a run writes, and from a read-only folder. Use `open`."""

    def __init__(self, path: Path, file: SqliteReader) -> None:
        super().__init__(path)
        self._file = file

    @classmethod
    def open(cls, url: str, *, timeout_s: float = 60.0) -> Self:
        """Open the file that `sqlite:///path` names.

        Args:
            url: As for `Store.open`.
            timeout_s: How long locks of other processes are waited for.

        Raises:
            StoreError: No whole store of this version.
        """
        path = open_file(url, readonly=True, timeout_s=timeout_s)
        return cls(path, SqliteReader(path, timeout_s=timeout_s))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _reading(self, work: Callable[[Select], T]) -> T:
        return self._file.run(lambda connection: work(_selecting(connection)))


def _selecting(connection: sqlite3.Connection) -> Select:
    def select(statement: str, *values: str | int) -> list[Row]:
        cursor = connection.execute(statement, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    return select


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))
