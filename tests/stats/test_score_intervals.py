"""Wilson and BCa intervals: closed forms, scipy's as reference, groups, and the ends of the scale."""

import numpy as np
import pytest
from scipy import stats as reference

from tlsearch.stats import score_interval, wilson
from tlsearch.stats.intervals import bca

Array = np.ndarray


def answers(right: Array) -> tuple[Array, Array]:
    """Predictions of two classes whose rows are right where told."""
    labels = np.arange(len(right)) % 2
    predicted = np.where(right, labels, 1 - labels)
    log_probs = np.log(np.where(np.eye(2)[predicted] > 0, 0.9, 0.1)).astype(np.float32)
    return log_probs, labels


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (7, 10), (10, 10), (431, 500)])
def test_wilson_is_the_published_interval(successes: int, n: int) -> None:
    expected = reference.binomtest(successes, n).proportion_ci(method="wilson")
    found = wilson(successes, n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_bca_agrees_with_scipy() -> None:
    values = np.random.default_rng(0).exponential(size=80)
    expected = reference.bootstrap((values,), np.mean, n_resamples=9999, method="BCa", rng=np.random.default_rng(1))
    rng = np.random.default_rng(2)
    samples = values[rng.integers(0, 80, (9999, 80))].mean(axis=1)
    left_out = (values.sum() - values) / 79
    found = bca(float(values.mean()), samples, left_out)
    ends = (expected.confidence_interval.low, expected.confidence_interval.high)
    assert (found.low, found.high) == pytest.approx(ends, abs=0.02)


def test_accuracy_has_wilsons_interval() -> None:
    right = np.arange(100) % 5 != 0
    assert score_interval("accuracy", *answers(right)) == wilson(80, 100)


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1", "log_loss"])
def test_the_interval_of_another_metric_holds_its_score_and_narrows_with_pictures(metric: str) -> None:
    few = score_interval(metric, *answers(np.arange(50) % 5 != 0))
    many = score_interval(metric, *answers(np.arange(2000) % 5 != 0))
    assert many.high - many.low < (few.high - few.low) / 3
    expected = 0.8 * np.log(0.9) + 0.2 * np.log(0.1) if metric == "log_loss" else 0.8
    assert many.low < expected < many.high


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "macro_f1"])
def test_all_right_is_no_proof_of_perfection(metric: str) -> None:
    interval = score_interval(metric, *answers(np.ones(40, dtype=bool)))
    of_class = wilson(20, 20).low
    below = {
        "accuracy": 1 - wilson(40, 40).low,
        "balanced_accuracy": np.hypot(1 - of_class, 1 - of_class) / 2,
        "macro_f1": np.hypot(*[1 - 2 * of_class / (1 + of_class)] * 2) / 2,
    }
    assert interval.low == pytest.approx(1 - below[metric])
    assert interval.high == 1.0


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1"])
def test_two_pictures_of_a_rare_class_promise_little(metric: str) -> None:
    labels = np.array([0] * 200 + [1] * 2)
    predicted = labels.copy()
    predicted[0] = 1
    log_probs = np.log(np.where(np.eye(2)[predicted] > 0, 0.9, 0.1)).astype(np.float32)
    interval = score_interval(metric, log_probs, labels)
    assert interval.low < 0.7
    assert interval.high == pytest.approx(1.0, abs=0.02 if metric == "balanced_accuracy" else 0.1)


def test_pictures_that_come_in_groups_tell_less() -> None:
    groups = np.arange(400) // 20
    right = np.random.default_rng(0).random(20)[groups] < 0.8  # a whole group is right or wrong
    alone = score_interval("accuracy", *answers(right))
    grouped = score_interval("accuracy", *answers(right), groups=groups.tolist())
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)


def test_groups_of_one_picture_each_are_no_groups() -> None:
    given = answers(np.arange(100) % 5 != 0)
    assert score_interval("accuracy", *given, groups=[f"picture {i}" for i in range(100)]) == wilson(80, 100)


def test_the_same_seed_gives_the_same_interval() -> None:
    given = answers(np.arange(60) % 4 != 0)
    assert score_interval("macro_f1", *given, seed=3) == score_interval("macro_f1", *given, seed=3)


def test_pictures_without_a_prediction_do_not_count() -> None:
    log_probs, labels = answers(np.arange(100) % 5 != 0)
    log_probs[50:] = np.nan
    assert score_interval("accuracy", log_probs, labels) == wilson(40, 50)
