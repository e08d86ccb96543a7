from dataclasses import replace

import optuna
import pytest
from search_world import BACKBONES, SET, config, space_of

from tlsearch.records import FailureReason, TrialKind, TrialRecord, TrialState
from tlsearch.search import SearchSpace
from tlsearch.search.informed import quiet
from tlsearch.search.sampler import Asker
from tlsearch.search.telling import Missed, Telling, ToldTrial


def world() -> tuple[SearchSpace, list[TrialRecord]]:
    """Thirty trials: every fifth failed, every seventh was pruned, the last three are running."""
    space = space_of(config(search={**SET, "epochs": {"low": 1, "high": 40}}), BACKBONES[:1])
    history = []
    for number in range(30):
        params = {"epochs": number + 1}
        record = TrialRecord(
            number=number,
            kind=TrialKind.SEARCH,
            state=TrialState.COMPLETED,
            params=params,
            recipe=space.recipe(params).to_json(),
            score=0.5 + number / 100,
        )
        if number % 5 == 4:
            failed = TrialState.FAILED
            record = replace(record, state=failed, score=None, reason=FailureReason.NON_FINITE)
        elif number % 7 == 6:
            record = replace(record, state=TrialState.PRUNED, score=None, fold_scores=(0.4,))
        if number > 26:
            record = replace(record, state=TrialState.RUNNING, score=None)
        history.append(record)
    return space, history


def said(trials: list[ToldTrial]) -> list[tuple[object, ...]]:
    return [(t.state, t.values, t.params, t.intermediate_values, t.constraints) for t in trials]


def test_what_optuna_hears_passes_its_own_checks() -> None:
    space, history = world()
    with quiet():
        study = optuna.create_study(direction="maximize")

    study.add_trials(Telling(space).trials(history, {0: {"floor": -0.2}}))

    assert [trial.params for trial in study.trials] == [record.params for record in history]
    assert [trial.number for trial in study.trials] == list(range(30))
    assert study.best_trial.value == max(record.score for record in history if record.score is not None)


def test_a_trial_is_put_into_words_once() -> None:
    space, history = world()
    telling = Telling(space)

    first, again = telling.trials(history), telling.trials(history)

    ended = [place for place, record in enumerate(history) if record.state.ended]
    assert all(first[place] is again[place] for place in ended)


LOWER = {"score": 0.1}
ENDED = {"state": TrialState.COMPLETED, "score": 0.9}
FAILED = {"state": TrialState.FAILED, "score": None, "reason": FailureReason.NON_FINITE}


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({28: ENDED}, {}),
        ({28: FAILED}, {}),
        ({0: LOWER}, {}),  # what failed counts as the worst of all
        ({}, {0: {"floor": 0.3}}),  # as what missed most
        ({28: ENDED}, {28: {"floor": -0.1}, 0: {"floor": 0.3}}),
    ],
)
def test_what_changed_is_told_anew(changes: dict[int, dict], missed: Missed) -> None:
    space, history = world()
    telling = Telling(space)
    telling.trials(history)
    later = [replace(record, **changes.get(record.number, {})) for record in history]

    assert said(telling.trials(later, missed)) == said(Telling(space).trials(later, missed))
    assert said(telling.trials(later, missed)) != said(Telling(space).trials(history))


def test_asking_changes_nothing_that_was_told() -> None:
    space, history = world()
    telling = Telling(space)
    before = said(telling.trials(history))

    first = [Asker(space, history, sampler="tpe", seed=5, telling=telling).ask() for _ in range(2)]

    assert first[0] == first[1]
    assert said(telling.trials(history)) == before
    assert {trial.number for trial in telling.trials(history)} == {-1}


def test_a_trial_whose_values_changed_belongs_no_more() -> None:
    space, history = world()
    telling = Telling(space)
    assert telling.belongs(history[3])

    assert not telling.belongs(replace(history[3], params={"epochs": 99}))
    assert not telling.belongs(replace(history[3], params={}))
