"""What a store keeps, and what it refuses to count."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import MetaData, create_engine

from tlsearch.errors import StoreError
from tlsearch.records import EpochRecord, FailureReason, ModelFacts, StudyRecord, TrialKind, TrialRecord, TrialState
from tlsearch.store.store import Store
from tlsearch.store.tables import metadata
from tlsearch.work import JobKind, RowResult

MakeTrials = Callable[[int], list[TrialRecord]]
MakeResult = Callable[..., RowResult]
FACTS = ModelFacts(
    unfrozen=2, stages=19, cut="block_14", parameters=10, trained_parameters=4, macs=100, trained_macs=30
)


def test_a_study_comes_back_as_it_was_written(store: Store) -> None:
    study = store.study("celebs")
    assert study is not None
    assert study.config == {"search": {"epochs": {"low": 2, "high": 20}}}
    assert study.definition == {"space": "abc"}
    assert store.studies() == [study]
    assert store.study("other") is None


def test_a_continued_study_gets_its_new_configuration_and_keeps_the_rest(store: Store) -> None:
    before = store.study("celebs")
    store.update_study("celebs", config={"budget": 90})
    assert before is not None
    assert store.study("celebs") == replace(before, config={"budget": 90})


def test_a_study_can_be_defined_again_until_it_has_trials(store: Store) -> None:
    before = store.study("celebs")
    assert isinstance(before, StudyRecord)
    changed = replace(before, definition={"space": "def"})
    store.add_event("celebs", "prepared", {"backbone": "resnet18"})
    store.put_file("celebs", "data_check", b"{}")
    store.define_study(changed)
    assert store.studies() == [changed]
    assert store.events("celebs") == [], "they were about other pictures, or another network"
    assert store.get_file("celebs", "data_check") is None
    assert not store.has_trials("celebs")
    store.add_trials(
        "celebs", [TrialRecord(number=0, kind=TrialKind.SEARCH, state=TrialState.WAITING, params={}, recipe={})]
    )
    assert store.has_trials("celebs")
    with pytest.raises(StoreError, match="has trials of a study 'celebs'"):
        store.define_study(before)
    assert store.study("celebs") == changed


def test_a_study_that_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(StoreError, match="no study 'dogs'"):
        store.trials("dogs")


def test_a_trial_comes_back_as_it_was_written(store: Store) -> None:
    baseline = TrialRecord(
        number=0,
        kind=TrialKind.BASELINE,
        name="the article's recipe",
        state=TrialState.FAILED,
        params={},
        recipe={"phases": [{"epochs": 5}]},
        fold_scores=(0.25, 0.5),
        rung_score=0.3,
        reason=FailureReason.NON_FINITE,
        detail="loss is nan",
        facts=FACTS,
        seconds=3.5,
        probe_seconds=0.5,
    )
    store.add_trials("celebs", [baseline])
    assert store.trials("celebs") == [baseline]


def test_a_number_is_given_once(store: Store, make_trials: MakeTrials) -> None:
    store.add_trials("celebs", make_trials(2))
    with pytest.raises(StoreError):
        store.add_trials("celebs", make_trials(1))
    assert len(store.trials("celebs")) == 2


def test_a_result_ends_its_attempt_and_completes_its_trial(
    store: Store, make_trials: MakeTrials, make_result: MakeResult
) -> None:
    store.add_trials("celebs", make_trials(2))
    store.start_attempts("celebs", "j1", [(0, 1), (1, 1)])
    result = make_result(0, facts=FACTS)
    assert store.record("celebs", [result]) == []
    done, running = store.trials("celebs")
    assert (done.state, done.score, done.fold_scores, done.facts) == (TrialState.COMPLETED, 0.75, (0.5, 1.0), FACTS)
    assert (running.state, running.attempts) == (TrialState.RUNNING, 1)
    assert [(attempt.trial, attempt.job) for attempt in store.open_attempts("celebs")] == [(1, "j1")]
    kept = store.predictions("celebs")
    assert list(kept) == [0]
    assert kept[0].dtype == np.float32
    np.testing.assert_array_equal(kept[0], result.log_probs)


def test_a_result_told_twice_counts_once(store: Store, make_trials: MakeTrials, make_result: MakeResult) -> None:
    store.add_trials("celebs", make_trials(1))
    store.start_attempts("celebs", "j1", [(0, 1)])
    first, second = make_result(0), make_result(0, score=0.9)
    assert store.record("celebs", [first, second]) == [second]
    assert store.record("celebs", [second]) == [second]
    assert store.trials("celebs")[0].score == 0.75


@pytest.mark.parametrize("stranger", [{"attempt": 2}, {"job": "j9"}, {"trial": 7}])
def test_a_result_of_no_live_attempt_is_refused(
    store: Store, make_trials: MakeTrials, make_result: MakeResult, stranger: dict[str, object]
) -> None:
    store.add_trials("celebs", make_trials(1))
    store.start_attempts("celebs", "j1", [(0, 1)])
    late = replace(make_result(0), **stranger)
    assert store.record("celebs", [late]) == [late]
    assert store.trials("celebs")[0].state is TrialState.RUNNING


def test_a_late_result_of_a_lost_attempt_never_counts(
    store: Store, make_trials: MakeTrials, make_result: MakeResult
) -> None:
    store.add_trials("celebs", make_trials(1))
    store.start_attempts("celebs", "j1", [(0, 1)])
    store.end_attempt("celebs", 0, 1, FailureReason.INTERRUPTED, "the coordinator was killed")
    assert store.trials("celebs")[0].state is TrialState.WAITING
    store.start_attempts("celebs", "j2", [(0, 2)])
    late, valid = make_result(0, 1, score=0.1), make_result(0, 2, job="j2")
    assert store.record("celebs", [late, valid]) == [late]
    trial = store.trials("celebs")[0]
    assert (trial.score, trial.attempts) == (0.75, 2)
    first, second = store.attempts("celebs")
    assert (first.reason, first.detail) == (FailureReason.INTERRUPTED, "the coordinator was killed")
    assert second.reason is None
    assert second.ended is not None


def test_ending_an_ended_attempt_changes_nothing(
    store: Store, make_trials: MakeTrials, make_result: MakeResult
) -> None:
    store.add_trials("celebs", make_trials(1))
    store.start_attempts("celebs", "j1", [(0, 1)])
    store.record("celebs", [make_result(0)])
    store.end_attempt("celebs", 0, 1, FailureReason.KILLED, "too late")
    assert store.trials("celebs")[0].state is TrialState.COMPLETED
    assert store.attempts("celebs")[0].reason is None


def test_a_trial_that_no_result_will_come_of_fails_with_its_live_attempt(
    store: Store, make_trials: MakeTrials, make_result: MakeResult
) -> None:
    store.add_trials("celebs", make_trials(2))
    store.start_attempts("celebs", "j1", [(0, 1), (1, 1)])
    late = make_result(0)
    store.record("celebs", [make_result(1)])
    for number in (0, 1):
        store.fail_trial("celebs", number, FailureReason.KILLED, "three workers died of it")
    failed, completed = store.trials("celebs")
    assert (failed.state, failed.reason) == (TrialState.FAILED, FailureReason.KILLED)
    assert failed.detail == "three workers died of it"
    assert completed.state is TrialState.COMPLETED
    assert completed.reason is None
    assert store.open_attempts("celebs") == []
    assert store.record("celebs", [late]) == [late]


def test_an_attempt_is_dispatched_once(store: Store, make_trials: MakeTrials) -> None:
    store.add_trials("celebs", make_trials(1))
    store.start_attempts("celebs", "j1", [(0, 1)])
    with pytest.raises(StoreError, match="UNIQUE"):
        store.start_attempts("celebs", "j2", [(0, 1)])


def test_an_attempt_of_no_trial_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        store.start_attempts("celebs", "j1", [(3, 1)])


def test_a_failure_and_a_pruned_trial_keep_why(store: Store, make_trials: MakeTrials, make_result: MakeResult) -> None:
    store.add_trials("celebs", make_trials(2))
    store.start_attempts("celebs", "j1", [(0, 1), (1, 1)])
    no_score = {"score": None, "log_probs": None}
    failed = make_result(0, state=TrialState.FAILED, reason=FailureReason.OUT_OF_MEMORY, detail="8 GB", **no_score)
    pruned = make_result(1, state=TrialState.PRUNED, fold_scores=(0.4,), detail="in the worse half", **no_score)
    assert store.record("celebs", [failed, pruned]) == []
    first, second = store.trials("celebs")
    assert (first.state, first.reason, first.detail) == (TrialState.FAILED, FailureReason.OUT_OF_MEMORY, "8 GB")
    assert (second.state, second.reason, second.fold_scores) == (TrialState.PRUNED, None, (0.4,))
    assert store.predictions("celebs") == {}


def test_pruned_trial_keeps_its_epochs(store: Store, make_trials: MakeTrials, make_result: MakeResult) -> None:
    store.add_trials("celebs", make_trials(1))
    store.start_attempts("celebs", "j1", [(0, 1)])
    seen = [
        EpochRecord(trial=0, attempt=1, repeat=0, fold=0, epoch=epoch, train_loss=loss, seconds=0.1)
        for epoch, loss in enumerate([0.5, math.inf, math.nan])
    ]
    store.record("celebs", [make_result(0, state=TrialState.PRUNED, score=None)], seen)
    store.record("celebs", (), seen[:1])  # told again by a message that was late
    kept = store.epochs("celebs")
    assert kept[:2] == seen[:2]
    assert math.isnan(kept[2].train_loss)


def test_a_confirmation_leaves_the_trial_as_it_is(
    store: Store, make_trials: MakeTrials, make_result: MakeResult
) -> None:
    store.add_trials("celebs", make_trials(1))
    store.start_attempts("celebs", "j1", [(0, 1)])
    store.record("celebs", [make_result(0)])
    again = make_result(0, job="c1", kind=JobKind.CONFIRM, repeat=1, score=0.7)
    broken = replace(
        again, repeat=2, state=TrialState.FAILED, score=None, log_probs=None, reason=FailureReason.EXCEPTION
    )
    assert store.record("celebs", [again, broken]) == []
    assert store.record("celebs", [again]) == [again]
    assert store.trials("celebs")[0].score == 0.75
    first, second = store.confirmations("celebs")
    assert (first.trial, first.repeat, first.score, first.fold_scores) == (0, 1, 0.7, (0.5, 1.0))
    assert (second.score, second.reason) == (None, FailureReason.EXCEPTION)
    assert list(store.predictions("celebs", repeat=1)) == [0]
    assert store.predictions("celebs", repeat=2) == {}


def test_a_confirmation_that_failed_gives_way_to_one_that_does_not(
    store: Store, make_trials: MakeTrials, make_result: MakeResult
) -> None:
    store.add_trials("celebs", make_trials(1))
    again = make_result(0, job="c2", kind=JobKind.CONFIRM, repeat=1, score=0.7)
    why = {"state": TrialState.FAILED, "reason": FailureReason.TIMEOUT, "detail": "no result within 60 s"}
    failed = replace(again, job="c1", score=None, fold_scores=(), log_probs=None, **why)
    for result in (failed, failed, again):
        assert store.record("celebs", [result]) == []
    (kept,) = store.confirmations("celebs")
    assert (kept.score, kept.fold_scores, kept.reason, kept.detail) == (0.7, (0.5, 1.0), None, "")
    np.testing.assert_array_equal(store.predictions("celebs", repeat=1)[0], again.log_probs)
    assert store.record("celebs", [failed]) == [failed], "what has a score keeps it"
    assert store.confirmations("celebs") == [kept]


def test_a_fault_in_a_batch_leaves_none_of_it(store: Store, make_trials: MakeTrials, make_result: MakeResult) -> None:
    store.add_trials("celebs", make_trials(1))
    store.start_attempts("celebs", "j1", [(0, 1)])
    prepared = make_result(-1, kind=JobKind.PREPARE)
    with pytest.raises(ValueError, match="no trial's"):
        store.record("celebs", [make_result(0), prepared])
    assert store.trials("celebs")[0].state is TrialState.RUNNING
    assert store.predictions("celebs") == {}


def test_what_is_written_together_is_kept_or_undone_together(store: Store, make_trials: MakeTrials) -> None:
    def broken_off() -> None:
        with store.together():
            store.add_trials("celebs", make_trials(2))
            store.add_event("celebs", "asked", {"trials": [0, 1]})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()
    assert not store.has_trials("celebs")
    assert store.events("celebs") == []
    with store.together():
        store.add_trials("celebs", make_trials(2))
        store.start_attempts("celebs", "j1", [(0, 1)])
        assert [trial.state for trial in store.trials("celebs")] == [TrialState.RUNNING, TrialState.WAITING]
    assert len(store.open_attempts("celebs")) == 1


def test_events_keep_their_order_and_can_be_picked_by_kind(store: Store) -> None:
    told = [store.add_event("celebs", kind, {"n": n}) for n, kind in enumerate(["asked", "told", "asked"])]
    assert [event.seq for event in told] == [1, 2, 3]
    assert store.events("celebs") == told
    assert [event.data["n"] for event in store.events("celebs", {"asked"})] == [0, 2]
    more = store.add_events("celebs", "told", [{"n": 3}, {"n": 4}])
    assert store.events("celebs", {"told"})[1:] == more
    assert [event.seq for event in more] == [4, 5]
    assert store.add_events("celebs", "told", []) == []


def test_a_file_is_replaced_by_its_newer_version(store: Store) -> None:
    assert store.get_file("celebs", "importance.json") is None
    store.put_file("celebs", "importance.json", b"{}")
    store.put_file("celebs", "importance.json", b'{"a": 1}')
    assert store.get_file("celebs", "importance.json") == b'{"a": 1}'


@pytest.mark.parametrize("text", ["'; DROP TABLE trials;--", "a\udc80b", "\x00", "\x1b[2J", "x" * 300, "\u202e", "{a}"])
def test_hostile_text_is_only_text(store: Store, make_trials: MakeTrials, text: str) -> None:
    store.define_study(StudyRecord(name=text, config={text: text}, definition={}, context={}, created="now"))
    store.add_trials(text, [replace(make_trials(1)[0], params={text: text}, name=text)])
    store.start_attempts(text, text, [(0, 1)])
    store.end_attempt(text, 0, 1, FailureReason.EXCEPTION, text)
    found = store.study(text)
    assert found is not None
    assert found.config == {text: text}
    assert store.trials(text)[0].params == {text: text}
    assert store.trials("celebs") == []


def test_the_migrations_make_the_tables_that_the_code_knows(store: Store) -> None:
    engine = create_engine(f"sqlite:///{store.path}")
    found = MetaData()
    found.reflect(engine)
    engine.dispose()

    def shape(tables: MetaData) -> dict[str, object]:
        return {
            name: (
                {column.name: column.nullable for column in table.columns},
                {column.name for column in table.primary_key},
                {key.target_fullname for key in table.foreign_keys},
            )
            for name, table in tables.tables.items()
        }

    assert shape(found) == shape(metadata)
