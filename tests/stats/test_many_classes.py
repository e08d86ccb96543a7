"""Many classes: what is held at once is a few times pictures times classes, however many networks there are."""

import numpy as np
import pytest
from numpy.typing import NDArray
from stats_memory import peak_of

from tlsearch.stats import calibration, labels, metrics
from tlsearch.stats.calibration import fit_temperature, tempered
from tlsearch.stats.labels import suspects, together
from tlsearch.stats.learning import Deal, learning_curve
from tlsearch.stats.metrics import Outcomes, plain_scores, weighted_scores
from tlsearch.stats.ridge import probe

PICTURES, CLASSES = 2_000, 400
ONE = PICTURES * CLASSES * 8  # bytes: an answer about all of them
TRUTH = np.arange(PICTURES) % CLASSES


def features(width: int = 16, *, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (2 * rng.normal(size=(CLASSES, width))[TRUTH] + rng.normal(size=(PICTURES, width))).astype(np.float32)


def said() -> NDArray[np.float64]:
    return tempered(np.random.default_rng(3).normal(size=(PICTURES, CLASSES)), 1.0)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (calibration, labels):
        monkeypatch.setattr(module, "VALUES_AT_ONCE", PICTURES * CLASSES // 16)


def test_a_probe_holds_no_more_than_its_fits_take() -> None:
    peak, _ = peak_of(lambda: probe(features(), TRUTH, CLASSES))
    assert peak < 5 * ONE


def test_a_learning_curve_of_several_networks_holds_one_networks_answers_beside_their_mean() -> None:
    rng = np.random.default_rng(1)
    probes = [probe(features(seed=seed), TRUTH, CLASSES) for seed in range(4)]
    deal = Deal(fold=rng.integers(0, 5, PICTURES), quarter=rng.integers(0, 4, PICTURES))
    for metric in ("accuracy", "balanced_accuracy"):
        peak, _ = peak_of(lambda: learning_curve(probes, TRUTH, CLASSES, [deal], metric=metric))  # noqa: B023
        assert peak < 5 * ONE, metric


def test_networks_are_added_up_one_at_a_time() -> None:
    one = said()
    peak, mean = peak_of(lambda: together(one.copy() for _ in range(6)))
    assert peak < 2.5 * ONE
    np.testing.assert_allclose(mean, one, atol=1e-12)


def test_suspects_are_found_some_pictures_at_a_time() -> None:
    log_probs = said().astype(np.float32)
    peak, found = peak_of(lambda: suspects(log_probs, TRUTH, most=10))
    assert peak < ONE / 2
    assert len(found) == 10


def test_what_is_computed_some_rows_at_a_time_is_the_same_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    log_probs = said()
    stacked = np.stack([log_probs, log_probs[::-1], log_probs[:, ::-1]])
    assert np.array_equal(together(stacked), np.logaddexp.reduce(stacked) - np.log(3))

    def answers() -> tuple[object, ...]:
        singles = log_probs.astype(np.float32)
        found = suspects(log_probs, TRUTH, most=PICTURES)
        both = (tempered(log_probs, 0.7).tobytes(), tempered(singles, np.float64(1.3)).tobytes())
        return (*both, fit_temperature(log_probs, TRUTH), fit_temperature(singles, TRUTH), found)

    pieces = answers()
    for module in (calibration, labels):
        monkeypatch.setattr(module, "VALUES_AT_ONCE", 10**9)
    assert answers() == pieces


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1"])
def test_resampled_scores_do_not_hold_every_class_of_every_sample(metric: str) -> None:
    outcomes = Outcomes.of([said()] * 8, TRUTH)
    weights = np.random.default_rng(2).integers(0, 3, (300, PICTURES)).astype(np.float32)
    peak, scores = peak_of(lambda: weighted_scores(metric, outcomes, weights))
    assert peak < scores.nbytes * CLASSES / 2
    assert np.array_equal(scores, stacked_mean(metric, outcomes, weights))
    once = np.ones((1, PICTURES), dtype=np.float32)
    assert np.array_equal(
        plain_scores(metric, outcomes.only(0)), stacked_mean(metric, outcomes.only(0), once).reshape(-1)
    )


def stacked_mean(metric: str, outcomes: Outcomes, weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """The metric by way of all classes' values at once."""
    kept = metrics._mean_of_known
    try:
        metrics._mean_of_known = by_stacking
        return weighted_scores(metric, outcomes, weights)
    finally:
        metrics._mean_of_known = kept


def by_stacking(parts: object) -> NDArray[np.float64]:
    stacked = np.stack(list(parts))  # type: ignore[call-overload]
    known = ~np.isnan(stacked)
    return np.where(known, stacked, 0.0).sum(axis=0) / known.sum(axis=0)
