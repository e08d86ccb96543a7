"""Closed-form probes: nothing of the pictures that are answered is in the fits that answer them."""

import numpy as np
import pytest
from numpy.typing import NDArray
from stats_memory import peak_of

from tlsearch.stats import probing, sample
from tlsearch.stats.closed_form import closed_form, closed_forms
from tlsearch.stats.directions import Directions
from tlsearch.stats.lbfgs import minimise
from tlsearch.stats.logistic import logistic_on, logistic_path
from tlsearch.stats.metrics import score
from tlsearch.stats.probing import probe_folds, probe_scores
from tlsearch.stats.thinning import thinned

KINDS = ("ridge", "lda", "logistic")


def clouds(each: int, *, classes: int = 3, width: int = 8, apart: float = 1.0) -> tuple[NDArray, NDArray]:
    """Features of `each` pictures a class around centres that lie so far apart, classes in turn."""
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(classes), each)
    centres = rng.normal(size=(classes, width)) * apart
    return (centres[labels] + rng.normal(size=(len(labels), width)) + 4.0).astype(np.float32), labels


def dealt(labels: NDArray, folds: int = 3) -> NDArray:
    return np.arange(len(labels)) // len(np.unique(labels)) % folds


@pytest.mark.parametrize("change", ["features", "label"])
def test_no_picture_changes_what_is_said_of_others_in_its_fold(change: str) -> None:
    features, labels = clouds(12)
    folds = dealt(labels)
    before = probe_folds(features, labels, 3, folds).answers
    if change == "features":
        features[0] += 100.0
    else:
        labels[0] = 2
    after = probe_folds(features, labels, 3, folds).answers
    others = (folds == folds[0]) & (np.arange(len(labels)) != 0)
    for kind in KINDS:
        assert np.array_equal(before[kind][others], after[kind][others])
        assert not np.allclose(before[kind][folds != folds[0]], after[kind][folds != folds[0]]), "it is learned from"


def test_a_picture_that_is_only_trained_on_is_not_answered() -> None:
    features, labels = clouds(20)
    folds = np.where(np.arange(60) < 40, -1, 0)
    probes = probe_folds(features, labels, 3, folds)
    for kind in KINDS:
        assert np.isnan(probes.answers[kind][:40]).all()
        assert np.allclose(np.exp(probes.answers[kind][40:]).sum(axis=1), 1.0)
    (start,) = probes.starts
    again = closed_form(features, labels, 3, np.arange(40))
    assert np.array_equal(start.weights, again.weights)
    assert min(probe_scores(probes.answers, labels, folds, metric="accuracy").values()) > 0.6


def test_labels_of_noise_are_not_told_by_who_was_left_out() -> None:
    rng = np.random.default_rng(1)
    labels = np.tile(np.arange(3), 30)
    for best in closed_forms(Directions.of(rng.normal(size=(90, 40))), labels, 3).values():
        assert best.loss > 0.95 * np.log(3)


def test_copies_of_one_group_do_not_make_a_fit_sure() -> None:
    rng = np.random.default_rng(2)
    features, labels = rng.normal(size=(60, 200)), np.tile(np.arange(3), 20)
    doubled, twice = np.concatenate([features, features]), np.concatenate([labels, labels])
    directions = Directions.of(doubled)
    alone = closed_forms(directions, twice, 3)["lda"]
    grouped = closed_forms(directions, twice, 3, groups=[*range(60), *range(60)])["lda"]
    assert alone.loss < 0.2
    assert grouped.loss > 0.8


def test_where_all_belong_together_there_is_a_closed_form_all_the_same() -> None:
    features, labels = clouds(10)
    found = closed_form(features, labels, 3, np.arange(30), groups=["all"] * 30)
    assert score("accuracy", found.log_probs(features), labels) > 0.7


def test_discriminants_tell_apart_what_lies_between_two_others() -> None:
    rng = np.random.default_rng(3)
    labels = np.tile(np.arange(3), 60)
    features = np.column_stack([labels * 6.0, np.zeros((180, 4))]) + rng.normal(size=(180, 5))
    found = closed_forms(Directions.of(features), labels, 3)
    ridge, lda = (found[kind].classifier.log_probs(features) for kind in ("ridge", "lda"))
    # least squares masks the class in the middle: Hastie, Tibshirani and Friedman 2009, sec. 4.2
    assert score("accuracy", lda, labels) > score("accuracy", ridge, labels) + 0.1


def test_a_rare_class_counts_in_balanced_accuracy_as_it_does_for_trials() -> None:
    rng = np.random.default_rng(4)
    labels = (np.arange(300) % 10 == 0).astype(np.int64)
    features = labels[:, None] * 1.5 + rng.normal(size=(300, 3))
    folds = np.arange(300) // 10 % 5
    answers = probe_folds(features, labels, 2, folds).answers
    balanced = probe_scores(answers, labels, folds, metric="balanced_accuracy")
    for kind, one in answers.items():
        assert balanced[kind] > score("balanced_accuracy", one, labels) + 0.05


def test_the_minimum_of_a_quadratic_is_found_from_its_gradients() -> None:
    rng = np.random.default_rng(5)
    root = rng.normal(size=(20, 20))
    curvature, wanted = root @ root.T + np.eye(20), rng.normal(size=20)

    def bowl(x: NDArray) -> tuple[float, NDArray]:
        return float((x - wanted) @ curvature @ (x - wanted) / 2), curvature @ (x - wanted)

    assert np.allclose(minimise(bowl, np.zeros(20), steps=200, tolerance=1e-8), wanted, atol=1e-6)
    assert np.array_equal(minimise(bowl, wanted, steps=200, tolerance=1e-8), wanted)


def test_a_selection_keeps_shares_and_rare_classes() -> None:
    labels = np.repeat([0, 1, 2], [6000, 3990, 10])
    rows = thinned(labels, 1000)
    assert np.array_equal(np.bincount(labels[rows]), [594, 395, 10])
    assert np.array_equal(rows, np.unique(rows))
    assert np.array_equal(thinned(labels, 10_000), np.arange(10_000))


@pytest.mark.parametrize("sizes", [[100] * 1000, [40_000, *[50] * 400], [5_000, *[3] * 900, *[70] * 90]])
def test_a_selection_of_many_classes_is_no_larger_and_lacks_none(sizes: list[int]) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    kept = np.bincount(labels[thinned(labels, 5_000)], minlength=len(sizes))
    assert kept.sum() <= 5_000
    assert kept.min() >= min(*sizes, 5_000 // len(sizes))
    assert np.array_equal(thinned(labels[:300], 2), [0, 100, 200] if sizes[0] == 100 else [0, 150])


def skewed(each: int) -> tuple[NDArray, NDArray]:
    """Features and labels of a large class and one of a hundredth, which are told apart with some doubt."""
    rng = np.random.default_rng(7)
    labels = (np.arange(each) % 100 == 0).astype(np.int64)
    return (labels[:, None] * 1.5 + rng.normal(size=(each, 3))).astype(np.float32), labels


def test_a_fit_on_a_selection_answers_with_the_frequencies_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = skewed(8_000)
    folds = np.where(np.arange(8_000) < 6_000, -1, 0)
    train = np.flatnonzero(folds < 0)
    whole = closed_form(features, labels, 2, train)
    monkeypatch.setattr(sample, "MOST_FITTED", 600)  # 50 of 60 pictures of the rare class, and 549 of 5 940
    thin = closed_form(features, labels, 2, train)
    rare = np.exp(thin.log_probs(features[folds == 0]))[:, 1].mean()
    assert rare == pytest.approx(np.exp(whole.log_probs(features[folds == 0]))[:, 1].mean(), abs=0.01)
    answers = probe_folds(features, labels, 2, folds).answers
    for kind in KINDS:
        assert np.exp(answers[kind][folds == 0])[:, 1].mean() == pytest.approx(0.01, abs=0.01), kind


def test_a_head_begins_from_one_closed_form_whoever_computes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    labels = rng.permutation(np.repeat(np.arange(11), [2_000, *[50] * 10]))
    features = rng.normal(size=(2_500, 6)) + labels[:, None] % 5
    folds = np.arange(2_500) % 3 - 1
    monkeypatch.setattr(sample, "MOST_FITTED", 1_000)
    for fold, start in enumerate(probe_folds(features, labels, 11, folds).starts):
        again = closed_form(features, labels, 11, np.flatnonzero(folds != fold))
        assert np.array_equal(start.weights, again.weights)
        assert np.array_equal(start.bias, again.bias)


def test_only_chosen_pictures_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = skewed(2_000)
    monkeypatch.setattr(sample, "MOST_FITTED", 500)
    before = closed_form(features, labels, 2, np.arange(1_500))
    features[1_500:] = np.nan
    assert np.array_equal(closed_form(features, labels, 2, np.arange(1_500)).weights, before.weights)


def test_a_large_fold_is_answered_some_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = clouds(20_000, classes=2, width=128)  # 20 MB
    folds = np.where(np.arange(len(labels)) < 600, -1, 0)
    monkeypatch.setattr(probing, "LOGISTIC", 0)
    peak, blocks = peak_of(lambda: probe_folds(features, labels, 2, folds).answers)
    assert peak < features.nbytes, "the fold in double precision would be twice that"
    monkeypatch.setattr(probing, "ANSWERED_AT_ONCE", len(labels))
    whole = probe_folds(features, labels, 2, folds).answers
    assert blocks.keys() == whole.keys()
    for kind, said in whole.items():
        np.testing.assert_allclose(blocks[kind], said, rtol=1e-6)
        assert not np.isnan(said[600:]).any()


def test_of_many_pictures_in_many_classes_logistic_regression_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = clouds(12)
    monkeypatch.setattr(probing, "LOGISTIC", 100)
    assert probe_folds(features, labels, 3, dealt(labels)).answers.keys() == {"ridge", "lda"}


@pytest.mark.full  # importing scikit-learn takes seconds
def test_discriminants_and_logistic_regression_are_those_of_scikit_learn() -> None:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model import LogisticRegression

    features, labels = clouds(150)
    fresh = np.random.default_rng(6).normal(size=(500, 8)) + 4.0
    directions = Directions.of(features)
    ours = closed_forms(directions, labels, 3)["lda"].classifier.log_probs(fresh)
    theirs = LinearDiscriminantAnalysis().fit(features, labels).predict_log_proba(fresh)
    assert np.mean(ours.argmax(axis=1) == theirs.argmax(axis=1)) > 0.98
    assert np.abs(np.exp(ours) - np.exp(theirs)).mean() < 0.02

    x, penalty = directions.coordinates, 1e-3
    ((weights, bias),) = logistic_path(x, labels, 3, [penalty])
    reference = LogisticRegression(C=1 / (len(x) * penalty), max_iter=1000, tol=1e-8).fit(x, labels)
    logits = x @ weights + bias
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.abs(probabilities - reference.predict_proba(x)).max() < 5e-3
    chosen = logistic_on(directions, labels, 3).log_probs(features)
    assert score("accuracy", chosen, labels) > score("accuracy", reference.predict_log_proba(x), labels) - 0.02
