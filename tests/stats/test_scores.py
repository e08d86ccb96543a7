"""The metrics against scikit-learn, and as weighted sums."""

import numpy as np
import pytest
from sklearn import metrics as reference

from tlsearch.stats import confusion_matrix, per_class, score
from tlsearch.stats.metrics import METRICS, Outcomes, weighted_scores

Array = np.ndarray


def drawn(n: int = 200, classes: int = 4, seed: int = 0, skill: float = 1.0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes))
    logits[np.arange(n), labels] += skill
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return log_probs.astype(np.float32), labels


def by_reference(metric: str, log_probs: Array, labels: Array) -> float:
    predicted = log_probs.argmax(axis=1)
    if metric == "log_loss":
        probabilities = np.exp(log_probs.astype(np.float64))
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        return -float(reference.log_loss(labels, probabilities, labels=range(log_probs.shape[1])))
    if metric == "macro_f1":
        return float(reference.f1_score(labels, predicted, average="macro", zero_division=0.0))
    known = {"accuracy": reference.accuracy_score, "balanced_accuracy": reference.balanced_accuracy_score}
    return float(known[metric](labels, predicted))


@pytest.mark.parametrize("metric", METRICS)
def test_each_metric_is_scikit_learns(metric: str) -> None:
    log_probs, labels = drawn()
    assert score(metric, log_probs, labels) == pytest.approx(by_reference(metric, log_probs, labels), abs=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_a_class_without_pictures_is_no_fault(metric: str) -> None:
    log_probs, labels = drawn(classes=5)
    kept = labels != 2
    log_probs[:, 2] = -30.0  # nothing is called so either: scikit-learn warns where a prediction is
    log_probs -= np.log(np.exp(log_probs).sum(axis=1, keepdims=True))
    expected = by_reference(metric, log_probs[kept], labels[kept])
    assert score(metric, log_probs[kept], labels[kept]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_pictures_that_no_fold_predicted_are_left_out(metric: str) -> None:
    log_probs, labels = drawn()
    holed = log_probs.copy()
    holed[::3] = np.nan
    rest = np.arange(len(labels)) % 3 != 0
    assert score(metric, holed, labels) == pytest.approx(score(metric, log_probs[rest], labels[rest]))


@pytest.mark.parametrize("metric", METRICS)
def test_a_weight_of_two_is_a_picture_seen_twice(metric: str) -> None:
    log_probs, labels = drawn(n=60)
    times = np.random.default_rng(1).integers(0, 3, 60)
    weighted = weighted_scores(metric, Outcomes.of([log_probs], labels), times[None].astype(float))[0, 0]
    repeated = score(metric, log_probs.repeat(times, axis=0), labels.repeat(times))
    assert weighted == pytest.approx(repeated)


@pytest.mark.parametrize("metric", METRICS)
def test_greater_is_better(metric: str) -> None:
    assert score(metric, *drawn(skill=4.0)) > score(metric, *drawn(skill=0.5))


@pytest.mark.parametrize("metric", METRICS)
def test_nothing_predicted_scores_nan(metric: str) -> None:
    assert np.isnan(score(metric, np.full((3, 2), np.nan, dtype=np.float32), [0, 1, 1]))


def test_one_impossible_picture_does_not_make_a_loss_infinite() -> None:
    certain = np.array([[0.0, -np.inf], [0.0, -np.inf]], dtype=np.float32)
    assert -40 < score("log_loss", certain, [0, 1]) < -15


def test_an_unknown_metric_is_named() -> None:
    with pytest.raises(ValueError, match="unknown metric 'f2'"):
        score("f2", *drawn())


def test_labels_and_predictions_must_fit() -> None:
    log_probs, labels = drawn()
    with pytest.raises(ValueError, match="do not fit"):
        score("accuracy", log_probs, labels[:-1])
    with pytest.raises(ValueError, match="labels must lie in 0 to 3"):
        score("accuracy", log_probs, labels + 1)


def test_the_confusion_matrix_is_scikit_learns() -> None:
    log_probs, labels = drawn()
    expected = reference.confusion_matrix(labels, log_probs.argmax(axis=1))
    assert (confusion_matrix(log_probs, labels) == expected).all()


def test_scores_of_each_class_are_scikit_learns() -> None:
    log_probs, labels = drawn()
    expected = reference.precision_recall_fscore_support(labels, log_probs.argmax(axis=1))
    found = per_class(log_probs, labels)
    for c, ours in enumerate(found):
        assert (ours.precision, ours.recall, ours.f1, ours.support) == pytest.approx(
            tuple(float(column[c]) for column in expected)
        )
