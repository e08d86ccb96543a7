"""Probes of a network's features, fold by fold: how well linear classifiers tell pictures that they did not see.

Nothing is fitted on the pictures of the fold that is answered: no mean, no directions, no penalty, no temperature.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from tlsearch.stats.calibration import tempered
from tlsearch.stats.closed_form import best_discriminant, best_ridge
from tlsearch.stats.directions import Classifier, Directions, Features
from tlsearch.stats.logistic import logistic_on
from tlsearch.stats.metrics import Floats, Groups, Integers, score
from tlsearch.stats.ridge import apart, ridge_path

CLASSES_ALIKE = ("balanced_accuracy", "macro_f1")  # metrics for which a rare class counts as much as a frequent one


def probe_folds(
    features: Features, labels: ArrayLike, classes: int, folds: ArrayLike, *, groups: Groups | None = None
) -> dict[str, Floats]:
    """Answer every picture by fits on the other folds.

    Args:
        features: `(n, D)` pooled features.
        labels: `(n,)`.
        classes: C.
        folds: `(n,)` 0 to F - 1; -1: only ever trained on.
        groups: `(n,)`, of pictures that belong together: the folds respect them, and so does the choice of a penalty.

    Returns:
        For "ridge", "lda" and "logistic" `(n, C)` log-probabilities, NaN where a picture is only trained on.

    Raises:
        ValueError: Where a fold trains on a single picture.
    """
    truth, deal = np.asarray(labels, dtype=np.int64), np.asarray(folds)
    keys = None if groups is None else np.asarray(groups)
    answers: dict[str, Floats] = {}
    for fold in range(int(deal.max()) + 1):
        train, asked = deal != fold, deal == fold
        own = None if keys is None else apart(keys[train].tolist())
        for name, fit in _classifiers(features[train], truth[train], classes, own).items():
            answers.setdefault(name, np.full((len(truth), classes), np.nan))[asked] = fit.log_probs(features[asked])
    return answers


def probe_scores(
    answers: Mapping[str, Floats], labels: ArrayLike, folds: ArrayLike, *, metric: str
) -> dict[str, float]:
    """The metric of each probe; where classes count alike, answers are those of a world of equally frequent classes.

    Args:
        answers: As `probe_folds` gives them.
        labels: `(n,)`.
        folds: Likewise.
        metric: As in `score`.
    """
    truth, deal = np.asarray(labels, dtype=np.int64), np.asarray(folds)
    alike = metric in CLASSES_ALIKE
    return {name: score(metric, _balanced(one, truth, deal) if alike else one, truth) for name, one in answers.items()}


def _classifiers(features: Features, labels: Integers, classes: int, groups: Groups | None) -> dict[str, Classifier]:
    directions = Directions.of(features)
    path = ridge_path(directions, labels, classes, groups=groups)
    return {
        "ridge": best_ridge(path, labels).classifier,
        "lda": best_discriminant(path, labels).classifier,
        "logistic": logistic_on(directions, labels, classes, groups=groups),
    }


def log_priors(labels: Integers, classes: int) -> Floats:
    """`(C,)`: how frequent each class is; 0 of a class without pictures."""
    counts = np.bincount(labels, minlength=classes)
    return np.asarray(np.log(np.where(counts > 0, counts, len(labels)) / len(labels)), dtype=np.float64)


def _balanced(log_probs: Floats, labels: Integers, folds: Integers) -> Floats:
    """Take out of answers how frequent each class was among what they were learned from."""
    balanced = log_probs.copy()
    for fold in range(int(folds.max()) + 1):
        own = folds == fold
        balanced[own] = tempered(log_probs[own] - log_priors(labels[folds != fold], log_probs.shape[1]), 1.0)
    return balanced
