"""Temperature scaling: against scipy's optimum, on drawn models of a known temperature, and where it cannot help."""

import json

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from tlsearch.stats import Calibration, calibrate, score
from tlsearch.stats.calibration import calibration_errors, fit_temperature, reliability_curve, tempered

Array = np.ndarray


def drawn(n: int = 2000, classes: int = 4, *, temperature: float = 1.0, seed: int = 0) -> tuple[Array, Array]:
    """A model that states its probabilities at another temperature than nature draws the labels at."""
    rng = np.random.default_rng(seed)
    logits = 2.0 * rng.normal(size=(n, classes))
    true = np.exp(log_softmax(logits, axis=1))
    labels = (rng.random((n, 1)) > true.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return log_softmax(logits * temperature, axis=1).astype(np.float32), labels


def fifths(n: int) -> Array:
    return np.arange(n) % 5


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_a_model_was_drawn_with_is_found(temperature: float) -> None:
    log_probs, labels = drawn(20_000, temperature=temperature)
    assert fit_temperature(log_probs, labels) == pytest.approx(temperature, rel=0.03)


def test_with_many_pictures_it_is_the_optimum_that_scipy_finds() -> None:
    log_probs, labels = drawn(50_000, temperature=2.0)
    best = minimize_scalar(lambda t: -score("log_loss", tempered(log_probs, t), labels), bounds=(0.1, 10.0))
    assert fit_temperature(log_probs, labels) == pytest.approx(best.x, rel=2e-3)


def test_a_few_pictures_that_are_all_right_do_not_ask_for_certainty() -> None:
    log_probs = np.log(np.array([[0.7, 0.2, 0.1]] * 40, dtype=np.float32))
    corrected = tempered(log_probs, fit_temperature(log_probs, [0] * 40))
    assert np.exp(corrected[0, 0]) == pytest.approx(41 / 42, abs=0.005)  # the rule of succession


def test_a_temperature_stays_within_its_bounds_and_has_four_digits() -> None:
    sure = np.log(np.array([[1 - 1e-9, 1e-9]] * 60))
    assert fit_temperature(sure, [0, 1] * 30) == 20.0
    timid = np.log(np.array([[0.501, 0.499]] * 60))
    assert fit_temperature(timid, [0] * 60) == 0.05
    found = fit_temperature(*drawn(temperature=1.7))
    assert found == float(f"{found:.4g}")


def test_a_temperature_changes_no_answer_and_leaves_a_distribution() -> None:
    log_probs, _ = drawn(temperature=2.0)
    corrected = tempered(log_probs, 2.7)
    assert corrected.dtype == np.float32
    assert (corrected.argmax(axis=1) == log_probs.argmax(axis=1)).all()
    assert np.exp(corrected).sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(tempered(log_probs, 1.0), log_probs, atol=1e-6)


def test_a_probability_of_zero_is_no_fault() -> None:
    log_probs = np.array([[0.0, -np.inf], [np.log(0.6), np.log(0.4)]] * 20, dtype=np.float32)
    assert 0.05 <= fit_temperature(log_probs, [0, 1] * 20) <= 20
    assert not np.isnan(tempered(log_probs, 3.0)).any()


def test_an_overconfident_model_is_mended_on_pictures_that_the_fit_did_not_see() -> None:
    log_probs, labels = drawn(temperature=3.0)
    found = calibrate(log_probs, labels, folds=fifths(2000))
    assert found is not None
    assert found.corrects
    assert (found.n, found.temperature) == (2000, pytest.approx(3.0, rel=0.1))
    assert found.after.log_loss < 0.8 * found.before.log_loss
    assert found.after.brier < found.before.brier
    assert found.before.ece > 0.1
    assert found.after.ece < 2 * found.after.ece_by_chance


def test_each_fold_is_corrected_by_the_temperature_of_the_others() -> None:
    log_probs, labels = drawn(400, temperature=2.0)
    folds = np.arange(400) // 200
    found = calibrate(log_probs, labels, folds=folds)
    assert found is not None
    by_hand = [
        tempered(log_probs[folds == k], fit_temperature(log_probs[folds != k], labels[folds != k])) for k in (0, 1)
    ]
    assert found.after.log_loss == pytest.approx(-score("log_loss", np.concatenate(by_hand), labels), rel=1e-5)
    assert found.temperature == pytest.approx(fit_temperature(log_probs, labels), rel=1e-3)


def test_where_the_folds_disagree_no_temperature_is_used_and_the_loss_says_why() -> None:
    sharp, labels = drawn(400, temperature=4.0)
    flat, others = drawn(400, temperature=0.25)
    found = calibrate(np.concatenate([sharp, flat]), np.concatenate([labels, others]), folds=np.arange(800) // 400)
    assert found is not None
    assert (found.temperature, found.corrects) == (1.0, False)
    assert found.after.log_loss >= found.before.log_loss


def test_pictures_that_no_fold_predicted_are_left_out() -> None:
    log_probs, labels = drawn(600, temperature=2.0)
    holed = log_probs.copy()
    holed[400:] = np.nan
    kept = calibrate(log_probs[:400], labels[:400], folds=fifths(400))
    assert calibrate(holed, labels, folds=np.where(np.arange(600) < 400, np.arange(600) % 5, -1)) == kept


def test_one_part_is_dealt_and_gives_about_what_folds_give() -> None:
    log_probs, labels = drawn(temperature=2.0)
    dealt = calibrate(log_probs, labels, folds=np.zeros(2000, dtype=int))
    folded = calibrate(log_probs, labels, folds=fifths(2000))
    assert dealt is not None
    assert folded is not None
    assert dealt.temperature == folded.temperature
    assert dealt.after.log_loss == pytest.approx(folded.after.log_loss, rel=0.01)


def test_pictures_that_belong_together_are_dealt_together() -> None:
    log_probs, labels = drawn(200, temperature=2.0)
    patients = np.arange(200) % 4
    dealt = calibrate(log_probs, labels, folds=np.zeros(200), groups=patients.tolist())
    assert dealt == calibrate(log_probs, labels, folds=patients)
    assert dealt != calibrate(log_probs, labels, folds=np.zeros(200))


@pytest.mark.parametrize("groups", [["one patient"] * 50, None], ids=["one group", "nothing predicted"])
def test_what_cannot_be_dealt_is_not_calibrated(groups: list[str] | None) -> None:
    log_probs, labels = drawn(50)
    if groups is None:
        log_probs[:] = np.nan
    assert calibrate(log_probs, labels, folds=[0] * 50, groups=groups) is None


def test_the_errors_are_those_that_one_counts_by_hand() -> None:
    log_probs = np.log(np.array([[0.8, 0.2]] * 20 + [[0.4, 0.6]] * 20))
    labels = [0] * 15 + [1] * 5 + [1] * 13 + [0] * 7
    errors = calibration_errors(log_probs, labels)
    assert errors.ece == pytest.approx((abs(0.8 - 0.75) + abs(0.6 - 0.65)) / 2)
    assert errors.brier == pytest.approx((15 * 0.08 + 5 * 1.28 + 13 * 0.32 + 7 * 0.72) / 40)
    assert errors.log_loss == pytest.approx(-np.log([0.8] * 15 + [0.2] * 5 + [0.6] * 13 + [0.4] * 7).mean())
    assert [(one.n, one.confidence, one.accuracy) for one in reliability_curve(log_probs, labels)] == [
        (20, pytest.approx(0.6), 0.65),
        (20, pytest.approx(0.8), 0.75),
    ]


def test_a_true_model_errs_by_chance_alone_and_less_with_more_pictures() -> None:
    few, many = (calibration_errors(*drawn(n, seed=5)) for n in (200, 20_000))
    assert many.ece == pytest.approx(many.ece_by_chance, rel=0.6)
    assert many.ece_by_chance < 0.15 * few.ece_by_chance
    assert few.ece < 2 * few.ece_by_chance


@pytest.mark.parametrize(("n", "bins"), [(1, 1), (39, 1), (40, 2), (150, 7), (5000, 10)])
def test_the_curve_has_bins_of_equally_many_pictures(n: int, bins: int) -> None:
    curve = reliability_curve(*drawn(n))
    assert len(curve) == bins
    assert sum(one.n for one in curve) == n
    assert max(one.n for one in curve) - min(one.n for one in curve) <= 1
    confidences = [one.confidence for one in curve]
    assert confidences == sorted(confidences)


def test_it_survives_the_way_through_json() -> None:
    found = calibrate(*drawn(300, temperature=2.0), folds=fifths(300))
    assert found is not None
    assert Calibration.from_json(json.loads(json.dumps(found.to_json()))) == found
