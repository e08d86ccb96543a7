"""Store: everything that is known about studies; written by the one coordinator."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Self, TypeVar

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from tlsearch.errors import StoreError
from tlsearch.records import EpochRecord, Event, FailureReason, Json, StudyRecord, TrialRecord, TrialState
from tlsearch.store import rows
from tlsearch.store.engine import open_engine
from tlsearch.store.opening import open_file, upgrade
from tlsearch.store.reading import Select, StudyReader
from tlsearch.store.recording import add_epochs, add_rows, now, record_results
from tlsearch.store.tables import attempts, events, files, studies, trials
from tlsearch.store.transactions import Transactions
from tlsearch.work import RowResult

T = TypeVar("T")


class Store(StudyReader):
    """Studies in one SQLite file. Every method is one transaction, on the disk when it returns; but see `together`.

    Every method raises StoreError where the file stays locked or cannot be read or written, or the study it names is
    not stored. Use `open`, and the store as a context manager.
    """

    def __init__(self, path: Path, transactions: Transactions) -> None:
        super().__init__(path)
        self._transactions = transactions

    @classmethod
    def open(cls, url: str, *, timeout_s: float = 60.0) -> Self:
        """Open the file that `sqlite:///path` names; it is created where it is missing.

        Args:
            url: Everything after `sqlite:///` is the path as it stands, `?` and braces included.
            timeout_s: How long locks of other processes are waited for.

        Raises:
            StoreError: No whole store of a known version; the file is left as it was.
        """
        path = open_file(url, readonly=False, timeout_s=timeout_s)
        transactions = Transactions(open_engine(path), path, timeout_s=timeout_s)
        transactions.run(lambda c: upgrade(c.exec_driver_sql))
        return cls(path, transactions)

    def close(self) -> None:
        """Close the file; its journal is moved into it."""
        self._transactions.close()

    def together(self) -> AbstractContextManager[None]:
        """What is called within is one transaction: on the disk when it ends, or, where it raises, as if never done."""
        return self._transactions.together()

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

    def add_trials(self, study: str, added: Sequence[TrialRecord]) -> None:
        """Add trials under their own numbers, which must be new."""
        if not added:
            return
        self._transactions.run(
            lambda c: add_rows(c, trials, self._id(c, study), [rows.trial_row(trial) for trial in added])
        )

    def start_attempts(self, study: str, job_id: str, started: Sequence[tuple[int, int]]) -> None:
        """Note that trials are dispatched in a job: new (trial, attempt) pairs. Those that waited now run."""
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
            return record_results(c, key, results)

        return self._transactions.run(work)

    def add_event(self, study: str, kind: str, data: Mapping[str, Json] | None = None) -> Event:
        """Note that something happened, and return it with its place in the order."""
        (event,) = self.add_events(study, kind, [data or {}])
        return event

    def add_events(self, study: str, kind: str, told: Sequence[Mapping[str, Json]]) -> list[Event]:
        """Note that something happened several times, with what there is to tell of each."""
        at = now()

        def work(c: Connection) -> list[Event]:
            key = self._id(c, study)
            last = c.execute(select(func.max(events.c.seq)).where(events.c.study == key)).scalar() or 0
            added = [Event(seq=last + n, kind=kind, at=at, data=dict(data)) for n, data in enumerate(told, 1)]
            add_rows(c, events, key, [asdict(event) for event in added])
            return added

        return self._transactions.run(work) if told else []

    def put_file(self, study: str, name: str, data: bytes) -> None:
        """Keep a small file under a name, in place of an earlier one."""

        def work(c: Connection) -> None:
            row = upsert(files).values(study=self._id(c, study), name=name, data=data)
            c.execute(row.on_conflict_do_update(index_elements=["study", "name"], set_={"data": data}))

        self._transactions.run(work)

    def _begun(self, c: Connection, name: str) -> bool:
        one = select(trials.c.number).join(studies).where(studies.c.name == name).limit(1)
        return c.execute(one).first() is not None

    def _id(self, c: Connection, name: str) -> int:
        key = c.execute(select(studies.c.id).where(studies.c.name == name)).scalar()
        if key is None:
            raise StoreError(f"the store {self.path} has no study '{name}'", hint="see what it has: tlsearch report")
        return int(key)

    def _reading(self, work: Callable[[Select], T]) -> T:
        return self._transactions.run(lambda c: work(_selecting(c)))


def _selecting(c: Connection) -> Select:
    def select_rows(statement: str, *values: str | int) -> list[rows.Row]:
        found = c.exec_driver_sql(statement, values)
        names = list(found.keys())
        return [dict(zip(names, row, strict=True)) for row in found]

    return select_rows
