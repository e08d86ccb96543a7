import math
from dataclasses import replace

import pytest
from search_world import BACKBONES, PROBES, SET, config, play, space_of

from tlsearch.records import FailureReason, TrialKind, TrialRecord, TrialState
from tlsearch.search import SearchSpace, next_round
from tlsearch.search.sampler import HISTORY, Asker, derived_seed
from tlsearch.search.telling import Missed


def completed(space: SearchSpace, number: int, params: dict, score: float) -> TrialRecord:
    recipe = space.recipe(params).to_json()
    return TrialRecord(
        number=number,
        kind=TrialKind.SEARCH,
        state=TrialState.COMPLETED,
        params=params,
        recipe=recipe,
        score=score,
    )


def near_the_edge(reason: FailureReason) -> tuple[SearchSpace, list[TrialRecord]]:
    """A history in which a larger learning rate is better, until it fails: above 0.1."""
    rates = {"low": 1e-4, "high": 10.0, "log": True}
    study = config(search={**SET, "head": {"linear": {"learning_rate": rates, "dropout": 0.0}}})
    space = space_of(study, BACKBONES[:1])
    asker = Asker(space, (), sampler="random", seed=3)
    history = []
    for number in range(40):
        params = asker.ask()
        rate = float(params["linear.learning_rate"])
        record = completed(space, number, params, score=math.log10(rate))
        if rate > 0.1:
            record = replace(record, state=TrialState.FAILED, score=None, reason=reason)
        history.append(record)
    return space, history


def asked(space: SearchSpace, history: list[TrialRecord], count: int = 30) -> list[dict]:
    asker = Asker(space, history, sampler="tpe", seed=11)
    return [asker.ask() for _ in range(count)]


@pytest.mark.parametrize("reason", [FailureReason.NON_FINITE, FailureReason.OUT_OF_MEMORY])
def test_where_values_brought_failure_is_avoided(reason: FailureReason) -> None:
    def beyond_the_edge(reason: FailureReason) -> int:
        space, history = near_the_edge(reason)
        found = [Asker(space, history, sampler="tpe", seed=seed).ask() for seed in range(10)]
        return sum(params["linear.learning_rate"] > 0.2 for params in found)

    assert beyond_the_edge(reason) == 0
    assert beyond_the_edge(FailureReason.EXCEPTION) > 5  # which says nothing about learning rates


def test_a_history_of_failures_alone_can_be_told() -> None:
    space, history = near_the_edge(FailureReason.NON_FINITE)
    failed = [record for record in history if record.state is TrialState.FAILED]

    assert len(failed) >= 10
    assert len(asked(space, failed, 5)) == 5


def test_a_sampler_prefers_what_scored_best() -> None:
    space = space_of(config(), BACKBONES[:2])
    draw = Asker(space, (), sampler="random", seed=5)
    history = []
    for number in range(60):
        params = draw.ask()
        score = {"small": 0.5, "middle": 0.7}[params["backbone"]] + 0.03 * params["unfrozen"]
        history.append(completed(space, number, params, score))

    found = asked(space, history)

    assert sum(p["backbone"] == "middle" for p in found) >= 24
    assert sum(p["unfrozen"] for p in found) / len(found) > 2.5


def test_trials_in_flight_keep_the_sampler_away() -> None:
    space = space_of(config(search={**SET, "epochs": {"low": 1, "high": 40}}), BACKBONES[:1])
    history = [
        completed(space, n, {"epochs": epochs}, score=1 - abs(epochs - 20) / 40)
        for n, epochs in enumerate(range(1, 41, 2))
    ]
    running = [
        replace(completed(space, 20 + n, {"epochs": epochs}, 0.0), state=TrialState.RUNNING, score=None)
        for n, epochs in enumerate(range(17, 26))
    ]

    def near(found: list[dict]) -> int:
        return sum(17 <= params["epochs"] <= 25 for params in found)

    assert near(asked(space, [*history, *running], 6)) < near(asked(space, history, 6))


def test_only_the_best_and_the_newest_are_told() -> None:
    space = space_of(config(search={**SET, "epochs": {"low": 1, "high": 500}}), BACKBONES[:1])
    history = [
        completed(space, n, {"epochs": n + 1}, score=1.0 if n % 4 == 0 and n < 300 else n / 1000) for n in range(500)
    ]
    forgotten = [r for r in history if r.number < 425 and r.score != 1.0]

    assert len(history) - len(forgotten) == HISTORY
    changed = [replace(r, score=0.0) if r in forgotten else r for r in history]
    assert asked(space, changed, 3) == asked(space, history, 3)


def test_what_lies_outside_the_space_is_not_told() -> None:
    space = space_of(config(search={**SET, "epochs": {"low": 1, "high": 40}}), BACKBONES[:1])
    history = [completed(space, n, {"epochs": n + 1}, score=n / 20) for n in range(20)]
    baseline = replace(history[0], number=20, kind=TrialKind.BASELINE, params={}, score=5.0)
    stranger = replace(history[0], number=21, params={"epochs": 99}, score=5.0)

    assert asked(space, [*history, baseline, stranger], 3) == asked(space, history, 3)


def test_a_baseline_inside_the_space_is_told() -> None:
    table = {"name": "ours", "backbone": "small", "start": "probe"}
    table |= {"epochs": 7, "batch_size": 16, "weight_decay": 1e-4}
    study = config(search={**SET, "epochs": {"low": 1, "high": 40}}, baselines=[{**table, "learning_rate": 0.01}])
    space = space_of(study, BACKBONES[:1])

    (baseline, *_) = next_round(space, [], config=study, probe_scores=PROBES, room=1)

    assert baseline.kind is TrialKind.BASELINE
    assert baseline.params == {"epochs": 7}


def test_seeds_differ_between_rounds_and_studies() -> None:
    seeds = {derived_seed(seed, trials) for seed in range(5) for trials in range(20)}

    assert len(seeds) == 100
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_a_sampler_says_nothing(capfd) -> None:
    study = config(trials=12)
    play(study, space=lambda: space_of(study))

    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def floored(*, least: int) -> tuple[SearchSpace, list[TrialRecord], Missed]:
    """A history in which fewer epochs score better, and a floor that only trials with enough of them keep."""
    space = space_of(config(search={**SET, "epochs": {"low": 1, "high": 40}}), BACKBONES[:1])
    history = [completed(space, n, {"epochs": n + 1}, score=1 - n / 40) for n in range(40)]
    missed = {record.number: {"min_recall.cat": (least - record.number - 1) / 40} for record in history}
    return space, history, missed


def epochs_asked(space: SearchSpace, history: list[TrialRecord], missed: Missed) -> list[int]:
    seeds = range(20)
    return [int(Asker(space, history, sampler="tpe", seed=seed, missed=missed).ask()["epochs"]) for seed in seeds]


def test_a_sampler_stays_near_the_best_of_the_trials_that_keep_a_floor() -> None:
    space, history, missed = floored(least=25)

    kept = epochs_asked(space, history, missed)
    free = epochs_asked(space, history, {})

    assert sum(epochs < 15 for epochs in free) >= 15
    assert sum(epochs < 15 for epochs in kept) <= 2
    assert sum(20 <= epochs <= 32 for epochs in kept) >= 15


def test_where_no_trial_keeps_a_floor_a_sampler_goes_where_least_is_missed() -> None:
    space, history, missed = floored(least=80)

    assert sum(epochs > 30 for epochs in epochs_asked(space, history, missed)) >= 15


def test_a_failed_trial_is_worse_than_one_that_misses_a_floor_by_little() -> None:
    space, history, missed = floored(least=60)
    lost = range(20)
    failed = [
        replace(record, state=TrialState.FAILED, score=None, reason=FailureReason.NON_FINITE)
        if record.number in lost
        else record
        for record in history
    ]
    left = {number: values for number, values in missed.items() if number not in lost}

    assert sum(epochs > 30 for epochs in epochs_asked(space, failed, left)) >= 15


def test_trials_that_keep_a_floor_are_told_before_better_ones_that_do_not() -> None:
    space = space_of(config(search={**SET, "epochs": {"low": 1, "high": 900}}), BACKBONES[:1])
    history = [completed(space, n, {"epochs": n + 1}, score=1 - n / 1000) for n in range(600)]
    missed = {record.number: {"floor": -0.1 if 200 <= record.number < 210 else 0.3} for record in history}

    assert sum(epochs in range(190, 222) for epochs in epochs_asked(space, history, missed)) >= 10
    assert sum(epochs in range(190, 222) for epochs in epochs_asked(space, history, {})) <= 2


def two_heads(
    linear: int, mlp: int, *, longer_is: float = 0.1, unfrozen: object = 0
) -> tuple[SearchSpace, list[TrialRecord]]:
    """A history in which a linear head is better the shorter it is trained, and an MLP the longer."""
    study = config(search={"unfrozen": unfrozen, "epochs": {"low": 1, "high": 40}})
    space = space_of(study, BACKBONES[:1])
    draw = Asker(space, (), sampler="random", seed=5)
    history: list[TrialRecord] = []
    for head, count in (("linear", linear), ("mlp", mlp)):
        for _ in range(count):
            params = draw.ask({"head": head})
            share = float(params["epochs"]) / 40
            score = 0.5 - 0.1 * share if head == "linear" else 0.8 + longer_is * share
            history.append(completed(space, len(history), params, score))
    return space, history


def epochs_of_linear_heads(space: SearchSpace, history: list[TrialRecord]) -> list[int]:
    found = [Asker(space, history, sampler="tpe", seed=seed).ask({"head": "linear"}) for seed in range(20)]
    return [int(params["epochs"]) for params in found]


def test_what_is_good_for_another_head_is_not_asked_for() -> None:
    space, history = two_heads(40, 40)

    assert sum(epochs <= 16 for epochs in epochs_of_linear_heads(space, history)) >= 14


def test_a_head_with_few_trials_is_asked_for_what_is_good_for_all() -> None:
    space, history = two_heads(20, 60)

    assert sum(epochs <= 16 for epochs in epochs_of_linear_heads(space, history)) <= 6


def test_what_was_asked_of_all_trials_is_in_flight_for_those_of_one_head() -> None:
    space, history = two_heads(90, 90, longer_is=-0.1, unfrozen=[0, 1])
    frozen = {"head": "linear", "unfrozen": 0}

    def answers(*, before: int) -> list[dict]:
        asker = Asker(space, history, sampler="tpe", seed=1)
        asked = [asker.ask({"head": "linear"}) for _ in range(before)]
        assert sum(params["unfrozen"] == 0 for params in asked) >= before / 4
        return [asker.ask(frozen) for _ in range(6)]

    assert answers(before=4) == answers(before=4)
    assert answers(before=4) != answers(before=12)
