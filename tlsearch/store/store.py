"""Store: everything that is known about studies; written by the one coordinator, read by reports."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, RowMapping, Table, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from tlsearch.errors import StoreError
from tlsearch.records import (
    AttemptRecord,
    ConfirmationRecord,
    EpochRecord,
    Event,
    FailureReason,
    Json,
    StudyRecord,
    TrialRecord,
    TrialState,
)
from tlsearch.store import rows
from tlsearch.store.opening import open_file
from tlsearch.store.recording import add_epochs, add_rows, now, record_result
from tlsearch.store.tables import attempts, confirmations, epochs, events, files, predictions, studies, trials
from tlsearch.store.transactions import Transactions
from tlsearch.work import RowResult


class Store:
    """Studies in one SQLite file. Every method is one transaction, on the disk when it returns.

    Every method raises StoreError where the file stays locked or cannot be read or written, or the study it names is
    not stored. Use `open`, and the store as a context manager.
    """

    def __init__(self, path: Path, transactions: Transactions) -> None:
        self.path = path
        self._transactions = transactions

    @classmethod
    def open(cls, url: str, *, readonly: bool = False, timeout_s: float = 60.0) -> Self:
        """Open the file that `sqlite:///path` names; a writer creates it where it is missing.

        Args:
            url: Everything after `sqlite:///` is the path as it stands, `?` and braces included.
            readonly: For reports: works while a run writes, and from a read-only folder.
            timeout_s: How long locks of other processes are waited for.

        Raises:
            StoreError: No whole store of a known version; the file is left as it was.
        """
        return cls(*open_file(url, readonly=readonly, timeout_s=timeout_s))

    def close(self) -> None:
        """Close the file; its journal is moved into it."""
        self._transactions.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def study(self, name: str) -> StudyRecord | None:
        """The study of that name, if there is one."""
        named = select(studies).where(studies.c.name == name)
        row = self._transactions.run(lambda c: c.execute(named).mappings().one_or_none())
        return None if row is None else rows.study_record(row)

    def studies(self) -> list[StudyRecord]:
        """All studies, oldest first."""
        found = self._transactions.run(lambda c: c.execute(select(studies).order_by(studies.c.id)).mappings().all())
        return [rows.study_record(row) for row in found]

    def has_trials(self, study: str) -> bool:
        """Whether a study of that name has begun: until then everything about it may change."""
        return self._transactions.run(lambda c: self._begun(c, study))

    def define_study(self, record: StudyRecord) -> None:
        """Add a study, or define one again that has no trials yet; all that was kept of the former one is forgotten."""
        values = {
            "config": dict(record.config),
            "definition": dict(record.definition),
            "context": dict(record.context),
            "created": record.created,
        }
        added = upsert(studies).values(name=record.name, **values)

        def work(c: Connection) -> None:
            if self._begun(c, record.name):
                raise StoreError(f"the store {self.path} has trials of a study '{record.name}'")
            c.execute(added.on_conflict_do_update(index_elements=["name"], set_=values))
            key = self._id(c, record.name)
            for table in (events, files):  # the others hold what belongs to trials
                c.execute(delete(table).where(table.c.study == key))

        self._transactions.run(work)

    def update_study(
        self, name: str, *, config: Mapping[str, Json] | None = None, context: Mapping[str, Json] | None = None
    ) -> None:
        """Replace a study's configuration or context, as a continued run may."""
        given = {"config": config, "context": context}
        values = {key: dict(value) for key, value in given.items() if value is not None}

        def work(c: Connection) -> None:
            study = self._id(c, name)
            if values:
                c.execute(update(studies).where(studies.c.id == study).values(values))

        self._transactions.run(work)

    def next_number(self, study: str) -> int:
        """The number that the next trial gets: one above the highest."""

        def work(c: Connection) -> int:
            highest = select(func.max(trials.c.number)).where(trials.c.study == self._id(c, study))
            number = c.execute(highest).scalar()
            return 0 if number is None else number + 1

        return self._transactions.run(work)

    def add_trials(self, study: str, added: Sequence[TrialRecord]) -> None:
        """Add trials under their own numbers, which must be new."""
        if not added:
            return
        self._transactions.run(
            lambda c: add_rows(c, trials, self._id(c, study), [rows.trial_row(trial) for trial in added])
        )

    def trials(self, study: str) -> list[TrialRecord]:
        """All trials, by number."""

        def work(c: Connection) -> list[TrialRecord]:
            key = self._id(c, study)
            dispatched = select(attempts.c.trial, func.count()).where(attempts.c.study == key)
            counts: dict[int, int] = dict(c.execute(dispatched.group_by(attempts.c.trial)).all())
            found = c.execute(select(trials).where(trials.c.study == key).order_by(trials.c.number)).mappings()
            return [rows.trial_record(row, counts.get(row["number"], 0)) for row in found]

        return self._transactions.run(work)

    def start_attempts(self, study: str, job_id: str, started: Sequence[tuple[int, int]]) -> None:
        """Note that trials are dispatched in a job: new (trial, attempt) pairs. Trials that had not ended now run."""
        if not started:
            return
        row = {"job": job_id, "started": now(), "ended": None, "reason": None, "detail": ""}

        def work(c: Connection) -> None:
            key = self._id(c, study)
            add_rows(c, attempts, key, [{"trial": trial, "attempt": number, **row} for trial, number in started])
            given = trials.c.number.in_([trial for trial, _ in started])
            waiting = (trials.c.study == key, given, trials.c.state == TrialState.WAITING)
            c.execute(update(trials).where(*waiting).values(state=TrialState.RUNNING))

        self._transactions.run(work)

    def attempts(self, study: str) -> list[AttemptRecord]:
        """Every dispatch of every trial, by trial and attempt."""
        return [rows.attempt_record(row) for row in self._all(study, attempts)]

    def open_attempts(self, study: str) -> list[AttemptRecord]:
        """The attempts that nobody has ended: those in flight, or lost with an earlier coordinator."""
        return [rows.attempt_record(row) for row in self._all(study, attempts, attempts.c.ended.is_(None))]

    def end_attempt(self, study: str, trial: int, attempt: int, reason: FailureReason, detail: str) -> None:
        """End a live attempt without a result: its trial waits for another. An ended one is left as it is."""

        def work(c: Connection) -> None:
            key = self._id(c, study)
            mine = (attempts.c.study == key, attempts.c.trial == trial, attempts.c.attempt == attempt)
            ended = {"ended": now(), "reason": reason, "detail": detail}
            live = update(attempts).where(*mine, attempts.c.ended.is_(None)).values(ended)
            if c.execute(live).rowcount:
                running = (trials.c.study == key, trials.c.number == trial, trials.c.state == TrialState.RUNNING)
                c.execute(update(trials).where(*running).values(state=TrialState.WAITING))

        self._transactions.run(work)

    def fail_trial(self, study: str, number: int, reason: FailureReason, detail: str) -> None:
        """Fail a trial that no result will come of, with its live attempts; an ended one is left as it is."""

        def work(c: Connection) -> None:
            key = self._id(c, study)
            why = {"reason": reason, "detail": detail}
            live = (attempts.c.study == key, attempts.c.trial == number, attempts.c.ended.is_(None))
            c.execute(update(attempts).where(*live).values(ended=now(), **why))
            open_states = trials.c.state.in_([TrialState.WAITING, TrialState.RUNNING])
            mine = (trials.c.study == key, trials.c.number == number, open_states)
            c.execute(update(trials).where(*mine).values(state=TrialState.FAILED, **why))

        self._transactions.run(work)

    def record(self, study: str, results: Sequence[RowResult], seen: Sequence[EpochRecord] = ()) -> list[RowResult]:
        """Take results in, all in one transaction: attempts end, trials get their outcome and predictions.

        Args:
            study: The study's name.
            results: Of TRIALS jobs, for live attempts; of CONFIRM jobs, each (trial, repeat) until it has a score.
            seen: Epochs to keep with them.

        Returns:
            The results that were refused: of attempts that are no longer live, or told a second time.
        """
        if not results and not seen:
            return []

        def work(c: Connection) -> list[RowResult]:
            key = self._id(c, study)
            add_epochs(c, key, seen)
            return [result for result in results if not record_result(c, key, result)]

        return self._transactions.run(work)

    def epochs(self, study: str) -> list[EpochRecord]:
        """All epochs, by trial, attempt, repeat, fold and epoch."""
        return [rows.epoch_record(row) for row in self._all(study, epochs)]

    def predictions(
        self, study: str, repeat: int = 0, *, trials: Collection[int] | None = None
    ) -> dict[int, NDArray[np.float32]]:
        """Out-of-fold log-probabilities (development images, classes) of completed trials, by number.

        Args:
            study: The study's name.
            repeat: 0 while searching; 1 and up in confirmations.
            trials: Only of these; None: of all.
        """
        only = () if trials is None else (predictions.c.trial.in_(list(trials)),)
        found = self._all(study, predictions, predictions.c.repeat == repeat, *only)
        return {row["trial"]: rows.prediction(row) for row in found}

    def confirmations(self, study: str) -> list[ConfirmationRecord]:
        """What came of scoring the best and the baselines again, by trial and repeat."""
        return [rows.confirmation_record(row) for row in self._all(study, confirmations)]

    def add_event(self, study: str, kind: str, data: Mapping[str, Json] | None = None) -> Event:
        """Note that something happened, and return it with its place in the order."""
        at, told = now(), dict(data or {})

        def work(c: Connection) -> Event:
            key = self._id(c, study)
            last = c.execute(select(func.max(events.c.seq)).where(events.c.study == key)).scalar()
            event = Event(seq=(last or 0) + 1, kind=kind, at=at, data=told)
            add_rows(c, events, key, [{"seq": event.seq, "kind": kind, "at": at, "data": told}])
            return event

        return self._transactions.run(work)

    def events(self, study: str, kinds: Collection[str] | None = None) -> list[Event]:
        """What happened, in order; only of some kinds where they are given."""
        only = () if kinds is None else (events.c.kind.in_(list(kinds)),)
        return [rows.event_record(row) for row in self._all(study, events, *only)]

    def put_file(self, study: str, name: str, data: bytes) -> None:
        """Keep a small file under a name, in place of an earlier one."""

        def work(c: Connection) -> None:
            row = upsert(files).values(study=self._id(c, study), name=name, data=data)
            c.execute(row.on_conflict_do_update(index_elements=["study", "name"], set_={"data": data}))

        self._transactions.run(work)

    def get_file(self, study: str, name: str) -> bytes | None:
        """A kept file, if there is one of that name."""

        def work(c: Connection) -> bytes | None:
            key = self._id(c, study)
            found: bytes | None = c.execute(
                select(files.c.data).where(files.c.study == key, files.c.name == name)
            ).scalar()
            return found

        return self._transactions.run(work)

    def _begun(self, c: Connection, name: str) -> bool:
        one = select(trials.c.number).join(studies).where(studies.c.name == name).limit(1)
        return c.execute(one).first() is not None

    def _id(self, c: Connection, name: str) -> int:
        key = c.execute(select(studies.c.id).where(studies.c.name == name)).scalar()
        if key is None:
            raise StoreError(f"the store {self.path} has no study '{name}'", hint="see what it has: tlsearch report")
        return int(key)

    def _all(self, study: str, table: Table, *only: ColumnElement[bool]) -> Sequence[RowMapping]:
        """A study's rows of a table, in the order of its key."""

        def work(c: Connection) -> Sequence[RowMapping]:
            mine = select(table).where(table.c.study == self._id(c, study), *only)
            return c.execute(mine.order_by(*table.primary_key.columns)).mappings().all()

        return self._transactions.run(work)
