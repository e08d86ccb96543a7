"""A holdout that was opened stays a fresh test as long as nothing was searched and no other model chosen after it."""

from typing import Any

from tlsearch.records import Event
from tlsearch.report.evidence import Evidence
from tlsearch.report.verdict import holdout_seen

Records = Any  # the conftest's


def opened(records: Records) -> Records:
    records.tell("holdout_opened", trial=13, final="abc", n=30, accuracy=0.9, score=0.89, low=0.75, high=0.97)
    return records


def seen(records: Records) -> bool:
    return holdout_seen(Evidence(study=records.study(), trials=records.trials, events=records.events))


def last_choice(records: Records) -> Event:
    return next(event for event in reversed(records.events) if event.kind == "chosen")


def test_a_run_that_only_records_its_choice_once_more_has_learned_nothing_from_the_holdout(finished: Records) -> None:
    again = dict(last_choice(opened(finished)).data)
    finished.tell("chosen", **again)
    finished.tell("run_ended", why="trials")
    assert finished.summary().holdout.n == 30
    assert not finished.summary().holdout_seen


def test_another_temperature_makes_another_model(finished: Records) -> None:
    again = dict(last_choice(opened(finished)).data)
    finished.tell("chosen", **again, calibration={"temperature": 1.5})
    assert seen(finished)


def test_a_model_that_was_given_up_and_chosen_again_is_no_fresh_choice(finished: Records) -> None:
    opened(finished)
    finished.choose(12)
    finished.choose(13)
    assert seen(finished)


def test_a_baseline_that_is_run_after_the_opening_changes_no_choice(finished: Records) -> None:
    opened(finished)
    finished.tell("told", trial=0)
    assert not seen(finished)
    finished.tell("told", trial=11)
    assert seen(finished)
