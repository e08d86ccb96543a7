"""Ridge probes: what the closed form says of a picture is what a fit without it says."""

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from tlsearch.stats.directions import Directions, of_unit_length
from tlsearch.stats.metrics import score
from tlsearch.stats.ridge import LeftOut, Task, one_hot, probe, ridge_path


def clouds(
    each: int, *, classes: int = 3, width: int = 12, apart: float = 2.0, seed: int = 0
) -> tuple[NDArray, NDArray]:
    """Features of `each` pictures a class around centres that lie so far apart, and labels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), each)
    centres = rng.normal(size=(classes, width)) * apart
    return (centres[labels] + rng.normal(size=(len(labels), width)) + 5.0).astype(np.float32), labels


def fitted_without(x: NDArray, wanted: NDArray, rows: NDArray, penalty: float) -> NDArray:
    """What an ordinary ridge fit with a free intercept, made without some rows, says of them."""
    rest = np.setdiff1d(np.arange(len(x)), rows)
    means, mean = x[rest].mean(axis=0), wanted[rest].mean(axis=0)
    centred = x[rest] - means
    weights = np.linalg.solve(centred.T @ centred + penalty * np.eye(x.shape[1]), centred.T @ (wanted[rest] - mean))
    return (x[rows] - means) @ weights + mean


@pytest.mark.parametrize("width", [12, 90], ids=["more pictures than features", "more features than pictures"])
def test_leaving_out_in_closed_form_equals_fitting_without(width: int) -> None:
    features, labels = clouds(20, width=width)
    directions, wanted = Directions.of(features), one_hot(labels, 3)
    unit = np.arange(60)
    unit[[1, 25]], unit[40] = 0, 2
    unit[41:58] = 3  # of more pictures than the smaller of the two has directions
    unit = np.unique(unit, return_inverse=True)[1]
    left_out = LeftOut(task=Task(directions=directions, wanted=wanted, unit=unit), penalty=0.3)
    for one in range(unit.max() + 1):
        rows = np.flatnonzero(unit == one)
        again = fitted_without(directions.coordinates, wanted, rows, 0.3)
        assert np.allclose(left_out.scores[rows], again, atol=1e-9)
        intercept = wanted[unit != one].mean(axis=0)
        assert np.allclose(left_out.departures[rows], again - intercept, atol=1e-9)


def test_directions_keep_every_distance_between_pictures_of_unit_length() -> None:
    features, _ = clouds(8, width=40)
    unit = features.astype(np.float64) / np.linalg.norm(features, axis=1, keepdims=True)
    turned = Directions.of(of_unit_length(features)).coordinates
    wanted = np.linalg.norm(unit[:, None] - unit[None], axis=2)
    found = np.linalg.norm(turned[:, None] - turned[None], axis=2)
    assert np.allclose(found / found.max(), wanted / wanted.max(), atol=1e-6)


def test_a_probe_answers_with_probabilities_and_is_mostly_right_where_classes_lie_apart() -> None:
    features, labels = clouds(40)
    log_probs = probe(features, labels, 3).log_probs
    assert np.allclose(np.exp(log_probs).sum(axis=1), 1.0)
    assert score("accuracy", log_probs, labels) > 0.9


def test_copies_of_one_group_do_not_vouch_for_each_other() -> None:
    features, labels = clouds(30, apart=0.0, width=300, seed=1)  # nothing to learn but the copies themselves
    doubled, twice = np.concatenate([features, features]), np.concatenate([labels, labels])
    alone = score("accuracy", probe(doubled, twice, 3).log_probs, twice)
    grouped = probe(doubled, twice, 3, groups=[*range(90), *range(90)])
    assert alone > 0.8
    assert score("accuracy", grouped.log_probs, twice) < 0.5


def test_one_group_of_everything_leaves_nothing_to_fit_on() -> None:
    features, labels = clouds(5)
    with pytest.raises(ValueError, match="nothing is left to fit on"):
        probe(features, labels, 3, groups=["all"] * 15)


def test_pictures_without_features_are_answered_as_well() -> None:
    features, labels = clouds(10)
    features[3] = 0.0
    assert np.isfinite(probe(features, labels, 3).log_probs).all()


def test_a_path_holds_the_answers_of_the_fits_that_are_kept_and_no_others() -> None:
    labels = np.arange(4000) % 50
    directions = Directions.of(np.random.default_rng(3).normal(size=(4000, 4)))
    tracemalloc.start()
    try:
        assert min(ridge_path(directions, labels, 50), key=lambda one: one.loss).penalty > 0
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * 4000 * 50 * 8, "wanted, the best fit's answers, the present fit's, and what is on the way to them"


def test_a_large_group_is_left_out_without_a_matrix_of_all_its_pairs() -> None:
    features, labels = clouds(1000, width=6)
    tracemalloc.start()
    try:
        found = probe(features, labels, 3, groups=[max(0, row - 2000) for row in range(3000)])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert np.isfinite(found.log_probs).all()
    assert peak < 2001**2 * 8 / 4
