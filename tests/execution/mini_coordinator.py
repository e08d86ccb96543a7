"""The smallest coordinator that keeps the promises: 20 trials in jobs of 4, continued by the same command."""

import sys
from pathlib import Path

from fake_workbench import context, recipe

from tlsearch.execution.local import LocalExecutor
from tlsearch.execution.lock import StudyLock
from tlsearch.execution.results import read_results, results_file
from tlsearch.records import FailureReason, StudyRecord, TrialKind, TrialRecord, TrialState
from tlsearch.store.store import Store
from tlsearch.work import Job, JobEnded, JobKind, Row, RowResult

STUDY = StudyRecord(name="fake", config={}, definition={}, context={}, created="now")
TRIALS = 20


def main(folder: Path) -> None:
    results = folder / "results"
    with (
        StudyLock(folder / "study.lock"),
        Store.open(f"sqlite:///{folder / 'study.db'}") as store,
        LocalExecutor([context()], results=results, logs=folder, workbench="fake_workbench:open_workbench") as executor,
    ):
        begin(store)
        resume(store, results)
        while waiting := [trial for trial in store.trials("fake") if trial.state is TrialState.WAITING][:4]:
            run(store, executor, waiting)


def begin(store: Store) -> None:
    if store.study("fake") is None:
        store.define_study(STUDY)
    if not store.trials("fake"):
        state, made = TrialState.WAITING, recipe().to_json()
        added = [
            TrialRecord(number=number, kind=TrialKind.SEARCH, state=state, params={}, recipe=made)
            for number in range(TRIALS)
        ]
        store.add_trials("fake", added)


def resume(store: Store, results: Path) -> None:
    for attempt in store.open_attempts("fake"):
        lines = read_results(results_file(results, attempt.job))
        mine = [line for line in lines if (line.trial, line.attempt) == (attempt.trial, attempt.attempt)]
        if mine:
            store.record("fake", mine)
        else:
            store.end_attempt("fake", attempt.trial, attempt.attempt, FailureReason.INTERRUPTED, "killed")


def run(store: Store, executor: LocalExecutor, waiting: list[TrialRecord]) -> None:
    rows = tuple(Row(trial=trial.number, attempt=trial.attempts + 1, recipe=recipe()) for trial in waiting)
    job = Job(id=f"j{len(store.attempts('fake'))}", kind=JobKind.TRIALS, rows=rows)
    store.start_attempts("fake", job.id, [(row.trial, row.attempt) for row in rows])
    executor.submit(job)
    ended = False
    while not ended:
        events = executor.poll(1.0)
        store.record("fake", [event for event in events if isinstance(event, RowResult)])
        ended = any(isinstance(event, JobEnded) for event in events)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
