"""Which model is better, which cannot be told apart, and which is named best."""

import numpy as np
import pytest

from tlsearch.stats import Candidate, Difference, Verdict, cannot_tell_apart, choose, difference

Array = np.ndarray


def model(right: Array, labels: Array) -> Array:
    predicted = np.where(right, labels, 1 - labels)
    return np.log(np.where(np.eye(2)[predicted] > 0, 0.8, 0.2)).astype(np.float32)


def pictures(n: int, *truths: float, seed: int = 0) -> tuple[list[Array], Array]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    return [model(rng.random(n) < truth, labels) for truth in truths], labels


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "macro_f1"])
def test_equal_answers_on_few_pictures_do_not_prove_two_models_equal(metric: str) -> None:
    (one,), labels = pictures(100, 0.8)
    found = difference(one, one, labels, metric)
    assert found.value == 0.0
    assert found.low < -0.02
    assert found.high > 0.02
    assert found.verdict is Verdict.ALIKE


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
def test_four_pictures_of_a_hundred_tell_nothing_apart(metric: str) -> None:
    labels = np.arange(100) % 2
    right = np.arange(100) >= 20
    better = right.copy()
    better[:8:2] = True  # exact McNemar: p = 0.125
    found = difference(model(better, labels), model(right, labels), labels, metric)
    assert found.value == pytest.approx(0.04)
    assert found.verdict is Verdict.ALIKE


def test_a_difference_moves_and_widens() -> None:
    found = Difference(value=0.05, low=0.02, high=0.09).moved(0.03)
    assert (found.value, found.low, found.high) == pytest.approx((0.03, 0.0, 0.07))
    wide = found.with_noise(0.04 / 1.96)
    assert (wide.value, wide.low, wide.high) == pytest.approx((0.03, 0.03 - 0.05, 0.03 + 0.0566), abs=1e-4)


def test_pairing_shows_what_two_separate_intervals_would_hide() -> None:
    labels = np.zeros(200, dtype=int)
    right = np.arange(200) % 4 != 0  # 75 %
    better = right.copy()
    better[np.flatnonzero(~right)[:14]] = True  # right wherever the other is, and 14 times more
    found = difference(model(better, labels), model(right, labels), labels, "accuracy")
    assert found.value == pytest.approx(0.07)
    assert found.verdict is Verdict.BETTER
    assert difference(model(right, labels), model(better, labels), labels, "accuracy").verdict is Verdict.WORSE


def test_the_paired_interval_covers_a_difference_of_nothing() -> None:
    verdicts = []
    for seed in range(60):
        (one, other), labels = pictures(150, 0.8, 0.8, seed=seed)
        verdicts.append(difference(one, other, labels, "accuracy", repeats=400).verdict)
    assert verdicts.count(Verdict.ALIKE) >= 53


def test_five_equal_candidates_are_seldom_told_apart() -> None:
    whole = 0
    for seed in range(40):
        models, labels = pictures(150, *[0.8] * 5, seed=seed)
        whole += cannot_tell_apart([[one] for one in models], labels, "accuracy", repeats=400) == (0, 1, 2, 3, 4)
    assert whole >= 34


def test_a_difference_that_other_folds_and_seeds_turn_around_tells_nothing_apart() -> None:
    models, labels = pictures(3000, 0.90, 0.87, 0.87, 0.90, 0.87, 0.87, 0.80, 0.87, 0.92)
    now, stable, turned = [[one] for one in models[:3]], models[3:6], models[6:]
    assert cannot_tell_apart(now, labels, "accuracy", before=stable) == (0,)
    assert cannot_tell_apart(now, labels, "accuracy", before=turned) == (0, 1, 2)


def test_what_seeds_turn_around_is_seen_although_both_times_other_pictures_were_scored() -> None:
    labels = np.zeros(800, dtype=int)
    first, second = np.arange(800) < 400, np.arange(800) >= 400
    lower = np.arange(800) % 10 != 0
    higher = lower | (np.arange(800) % 70 == 0)  # 1.5 points more, by six pictures of each half
    one, other = model(higher, labels), model(lower, labels)
    now = [[np.where(second[:, None], each, np.nan)] for each in (one, other)]
    turned = [np.where(first[:, None], each, np.nan) for each in (other, one)]
    alone = [[each[0][second]] for each in now]
    assert cannot_tell_apart(alone, labels[second], "accuracy", before=[each[0] for each in alone]) == (0,)
    assert cannot_tell_apart(now, labels, "accuracy", before=turned) == (0, 1)


def test_a_much_worse_candidate_is_told_apart() -> None:
    models, labels = pictures(400, 0.9, 0.6, 0.89)
    assert cannot_tell_apart([[one] for one in models], labels, "balanced_accuracy") == (0, 2)


def test_repeats_are_averaged_and_may_differ_in_number() -> None:
    models, labels = pictures(300, 0.9, 0.9, 0.7, 0.7, 0.7)
    assert cannot_tell_apart([models[:2], models[2:]], labels, "accuracy") == (0,)


def test_repeats_may_predict_different_pictures() -> None:
    models, labels = pictures(600, 0.9, 0.9, 0.7, 0.7)
    for k, one in enumerate(models):
        one[(np.arange(600) % 2) == k % 2] = np.nan
    assert cannot_tell_apart([models[:2], models[2:]], labels, "accuracy") == (0,)


def test_identical_candidates_cannot_be_told_apart() -> None:
    (one,), labels = pictures(50, 0.8)
    assert cannot_tell_apart([[one], [one]], labels, "accuracy") == (0, 1)
    assert cannot_tell_apart([[one]], labels, "accuracy") == (0,)


def test_the_cheapest_of_those_that_cannot_be_told_apart_is_chosen() -> None:
    candidates = [
        Candidate(trial=7, score=0.93, macs=300, parameters=20),
        Candidate(trial=3, score=0.92, macs=100, parameters=30),
        Candidate(trial=9, score=0.91, macs=100, parameters=25),
        Candidate(trial=4, score=0.80, macs=1, parameters=1),
    ]
    assert choose(candidates, (0, 1, 2)).trial == 9
    assert choose(candidates, (0, 1)).trial == 3
    assert choose(candidates, (0,)).trial == 7


def test_at_equal_cost_the_higher_score_is_chosen() -> None:
    twins = [Candidate(trial=t, score=s, macs=5, parameters=5) for t, s in ((1, 0.90), (2, 0.91))]
    assert choose(twins, (0, 1)).trial == 2
