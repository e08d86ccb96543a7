"""The ledger knows what the store holds without asking it again, and writes a batch in one transaction."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, event

from tlsearch.errors import StoreError
from tlsearch.records import EpochRecord, FailureReason, StudyRecord, TrialKind, TrialRecord, TrialState
from tlsearch.runner.journal import Journal
from tlsearch.runner.ledger import Ledger
from tlsearch.store.store import Store
from tlsearch.training.recipe import Phase, Recipe
from tlsearch.work import Job, JobKind, Row, RowResult

STUDY = StudyRecord(name="s", config={}, definition={}, context={}, created="now")
RECIPE = Recipe(backbone="tiny_a", head="linear", phases=(Phase(epochs=1),))
ROWS = 5


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path / 's.db'}") as opened:
        opened.define_study(STUDY)
        yield opened


@pytest.fixture
def journal(store: Store, tmp_path: Path) -> Iterator[Journal]:
    with Journal(store, "s", tmp_path / "events.jsonl", began=0.0) as opened:
        yield opened


def job(first: int) -> Job:
    rows = tuple(Row(trial=first + n, attempt=1, recipe=RECIPE) for n in range(ROWS))
    return Job(id=f"j{first}", kind=JobKind.TRIALS, rows=rows)


def waiting(number: int) -> TrialRecord:
    recipe = json.loads(json.dumps(RECIPE.to_json()))  # as a store gives it back
    return TrialRecord(number=number, kind=TrialKind.SEARCH, state=TrialState.WAITING, params={}, recipe=recipe)


def result(of: Job, row: Row) -> RowResult:
    log_probs = np.log(np.full((4, 2), 0.5, dtype=np.float32))
    done = TrialState.COMPLETED
    return RowResult.of(of, row, done, score=row.trial / 100, fold_scores=(0.5, 0.25), log_probs=log_probs, seconds=2)


def one_batch(ledger: Ledger, first: int) -> None:
    """A job from its ask to its results."""
    asked = job(first)
    ledger.add([waiting(row.trial) for row in asked.rows], [row.trial for row in asked.rows])
    ledger.start(asked)
    epochs = [
        EpochRecord(trial=row.trial, attempt=1, repeat=0, fold=0, epoch=0, train_loss=0.5, seconds=0.1)
        for row in asked.rows
    ]
    ledger.tell([result(asked, row) for row in asked.rows], epochs)


@contextmanager
def counted() -> Iterator[dict[str, int]]:
    """Statements and commits of all stores."""
    seen = {"statements": 0, "commits": 0}

    def statement(*_: object) -> None:
        seen["statements"] += 1

    def commit(*_: object) -> None:
        seen["commits"] += 1

    event.listen(Engine, "before_cursor_execute", statement)
    event.listen(Engine, "commit", commit)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", statement)
        event.remove(Engine, "commit", commit)


def test_a_batch_takes_three_transactions_and_no_more_statements_as_trials_grow(store: Store, journal: Journal) -> None:
    ledger = Ledger(store, "s", journal)
    told = []
    for batch in range(12):
        with counted() as seen:
            one_batch(ledger, batch * ROWS)
        told.append((seen["statements"], seen["commits"]))
    assert {commits for _, commits in told} == {3}  # asked, dispatched, told
    assert len(set(told)) == 1


def test_it_knows_what_the_store_holds(store: Store, journal: Journal) -> None:
    ledger = Ledger(store, "s", journal)
    one_batch(ledger, 0)
    second = job(ROWS)
    ledger.add([waiting(row.trial) for row in second.rows], [row.trial for row in second.rows])
    ledger.start(second)
    first, lost, *_ = second.rows
    failed = RowResult.of(second, first, TrialState.FAILED, reason=FailureReason.NON_FINITE, detail="nan")
    assert [record.number for record in ledger.tell([failed], [])] == [first.trial]
    ledger.end_attempts([(lost.trial, 1)], FailureReason.KILLED, "SIGKILL")
    ledger.fail(lost.trial, FailureReason.KILLED, "SIGKILL")
    assert ledger.trials == store.trials("s")
    assert [ledger.next_attempt(trial.number) for trial in ledger.trials] == [2] * (2 * ROWS)
    read_again = Ledger(store, "s", journal)
    assert read_again.trials == ledger.trials
    read_again.end_attempts([(7, 1), (8, 1), (9, 1)], FailureReason.INTERRUPTED, "the coordinator went away")
    assert [[record.number for record in left] for left in read_again.left_together()] == [[7, 8, 9]]


def test_a_late_result_changes_nothing_that_it_knows(store: Store, journal: Journal) -> None:
    ledger = Ledger(store, "s", journal)
    one_batch(ledger, 0)
    before = list(ledger.trials)
    again = RowResult.of(job(0), job(0).rows[0], TrialState.COMPLETED, score=0.9)
    assert ledger.tell([again], []) == []
    assert ledger.trials == before == store.trials("s")


def test_what_the_store_does_not_take_is_not_known_either(store: Store, journal: Journal) -> None:
    ledger = Ledger(store, "s", journal)
    one_batch(ledger, 0)
    before, told = list(ledger.trials), store.events("s")
    with pytest.raises(StoreError, match="UNIQUE"):
        ledger.add([waiting(0)], [0])  # the number is taken
    assert ledger.trials == before == store.trials("s")
    assert store.events("s") == told, "the event that tells of it is undone with it"
