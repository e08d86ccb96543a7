"""A desk for dispatching: a store with trials, and executors whose workers do what a test says."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tlsearch.records import FailureReason, ModelFacts, StudyRecord, TrialKind, TrialRecord, TrialState
from tlsearch.runner.dispatch import Dispatcher, Watcher
from tlsearch.runner.journal import Journal
from tlsearch.store.store import Store
from tlsearch.training.recipe import Phase, Recipe
from tlsearch.work import Job, JobEnded, Row, RowResult, WorkerEvent

STUDY = StudyRecord(name="s", config={}, definition={}, context={}, created="now")
RECIPE = Recipe(backbone="tiny_a", head="linear", phases=(Phase(epochs=1),))
FINE_TUNED = Recipe(backbone="tiny_a", head="linear", phases=(Phase(epochs=1, unfrozen=1),))
FACTS = ModelFacts(unfrozen=0, stages=4, cut="x", parameters=9, trained_parameters=1, macs=9, trained_macs=1)
Worker = Callable[[Job], Sequence[WorkerEvent]]


class Scripted:
    """An executor whose worker is a function of the job."""

    def __init__(self, worker: Worker, capacity: int) -> None:
        self.worker, self.capacity = worker, capacity
        self.jobs: list[Job] = []
        self._waiting: list[Job] = []

    def submit(self, job: Job) -> None:
        self.jobs.append(job)
        self._waiting.append(job)

    def poll(self, timeout_s: float) -> Sequence[WorkerEvent]:
        return self.worker(self._waiting.pop(0)) if self._waiting else []

    def close(self, grace_s: float) -> None:
        self._waiting.clear()


def result(job: Job, row: Row, **changed: object) -> RowResult:
    log_probs = np.log(np.full((4, 2), 0.5, dtype=np.float32))
    done = {"state": TrialState.COMPLETED, "score": 0.5, "fold_scores": (0.5,), "log_probs": log_probs, "facts": FACTS}
    mine = {"job": job.id, "kind": job.kind, "trial": row.trial, "attempt": row.attempt, "repeat": job.repeat}
    return RowResult(**{**mine, **done, **changed})


def failed(job: Job, row: Row) -> RowResult:
    why = {"state": TrialState.FAILED, "reason": FailureReason.NON_FINITE, "detail": "nan", "score": None}
    return result(job, row, log_probs=None, **why)


def does_well(job: Job) -> list[WorkerEvent]:
    return [*(result(job, row) for row in job.rows), JobEnded(job=job.id)]


def fails(job: Job) -> list[WorkerEvent]:
    return [*(failed(job, row) for row in job.rows), JobEnded(job=job.id)]


def dies(job: Job) -> list[WorkerEvent]:
    return [JobEnded(job=job.id, reason=FailureReason.KILLED, detail="SIGKILL")]


class Desk:
    """A store with waiting trials, and dispatchers on it: each as a run of its own has one."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self.store = folder, store
        self._newest: Dispatcher | None = None
        store.define_study(STUDY)

    def ask(self, count: int, recipe: Recipe = RECIPE) -> list[TrialRecord]:
        first = len(self.store.trials("s"))
        records = [
            TrialRecord(
                number=first + n,
                kind=TrialKind.SEARCH,
                state=TrialState.WAITING,
                params={},
                recipe=recipe.to_json(),
            )
            for n in range(count)
        ]
        if self._newest is None:
            self.store.add_trials("s", records)
        else:
            self._newest.ledger.add(records, [record.number for record in records])
        return records

    def dispatcher(self, worker: Worker, *, workers: int = 1) -> tuple[Dispatcher, Scripted]:
        executor = Scripted(worker, workers)
        nobody = Watcher(trial=lambda _: None, epoch=lambda _: None, progress=lambda _: None, tick=lambda: None)
        journal = Journal(self.store, "s", self.folder / "events.jsonl", began=0.0)
        made = Dispatcher(
            store=self.store,
            study="s",
            executor=executor,
            results=self.folder / "results",
            journal=journal,
            watcher=nobody,
            folds=3,
            timeout_s=60,
        )
        self._newest = made
        return made, executor

    def states(self) -> list[TrialState]:
        return [trial.state for trial in self.store.trials("s")]

    def attempts(self, trial: int = 0) -> list[tuple[int, FailureReason | None]]:
        return [(a.attempt, a.reason) for a in self.store.attempts("s") if a.trial == trial]


def listen(dispatcher: Dispatcher) -> None:
    """Until nothing is in flight; a study that never ends would be a fault, so there is a limit."""
    for _ in range(50):
        if not dispatcher.jobs:
            return
        dispatcher.hear(0.0)
    raise AssertionError(f"still in flight: {dispatcher.jobs}")
