"""Probes of a network's features, fold by fold: how well linear classifiers tell pictures that they did not see.

Nothing is fitted on the pictures of the fold that is answered: no mean, no directions, no penalty, no temperature.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tlsearch.stats.calibration import tempered
from tlsearch.stats.closed_form import best_of, closed_forms
from tlsearch.stats.directions import Classifier, Features
from tlsearch.stats.logistic import logistic_on
from tlsearch.stats.metrics import Groups, Integers, Predictions, score
from tlsearch.stats.priors import CLASSES_ALIKE, log_priors
from tlsearch.stats.sample import MOST_FITTED, Sample

ANSWERED_AT_ONCE = 8_192  # pictures: 1 280 features of so many take 84 MB in double precision
LOGISTIC = 200_000  # pictures times classes of a fold: of more, logistic regression takes longer than all else together


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldProbes:
    """What probes say of every picture, and the closed form that a head may begin from.

    Args:
        answers: For "ridge", "lda" and, where it takes no longer than they do, "logistic" `(n, C)` log-probabilities,
            NaN where a picture is only trained on.
        starts: Of each fold, as `closed_form` has it of the pictures that the fold trains on.
    """

    answers: Mapping[str, Predictions]
    starts: Sequence[Classifier]


def probe_folds(
    features: Features, labels: ArrayLike, classes: int, folds: ArrayLike, *, groups: Groups | None = None
) -> FoldProbes:
    """Answer every picture by fits on the other folds.

    Args:
        features: `(n, D)` pooled features.
        labels: `(n,)`.
        classes: C.
        folds: `(n,)` 0 to F - 1; -1: only ever trained on.
        groups: `(n,)`, of pictures that belong together: the folds respect them, and so does the choice of a penalty.

    Raises:
        ValueError: Where a fold trains on a single picture.
    """
    truth, deal = np.asarray(labels, dtype=np.int64), np.asarray(folds)
    answers: dict[str, Predictions] = {}
    starts = []
    for fold in range(int(deal.max()) + 1):
        train, asked = np.flatnonzero(deal != fold), np.flatnonzero(deal == fold)
        sample = Sample.of(features, truth, classes, train, groups=groups)
        found = closed_forms(sample.directions, sample.labels, classes, groups=sample.groups)
        starts.append(sample.answering(best_of(found)))
        fits = {kind: one.classifier for kind, one in found.items()}
        if min(len(truth), MOST_FITTED) * classes <= LOGISTIC:
            fits["logistic"] = logistic_on(sample.directions, sample.labels, classes, groups=sample.groups)
        fits = {kind: sample.answering(fit) for kind, fit in fits.items()}
        for kind in fits:
            if kind not in answers:
                answers[kind] = np.full((len(truth), classes), np.nan, dtype=np.float32)
        for start in range(0, len(asked), ANSWERED_AT_ONCE):
            _answer(fits, features, asked[start : start + ANSWERED_AT_ONCE], answers)
    return FoldProbes(answers=answers, starts=starts)


def _answer(
    fits: Mapping[str, Classifier], features: Features, rows: Integers, answers: Mapping[str, Predictions]
) -> None:
    read = np.asarray(features[rows], dtype=np.float64)
    for kind, fit in fits.items():
        answers[kind][rows] = fit.log_probs(read)


def probe_scores(
    answers: Mapping[str, Predictions], labels: ArrayLike, folds: ArrayLike, *, metric: str
) -> dict[str, float]:
    """The metric of each probe; where classes count alike, answers are those of a world of equally frequent classes.

    Args:
        answers: As of `FoldProbes`.
        labels: `(n,)`.
        folds: Likewise.
        metric: As in `score`.
    """
    truth, deal = np.asarray(labels, dtype=np.int64), np.asarray(folds)
    alike = metric in CLASSES_ALIKE
    return {name: score(metric, _balanced(one, truth, deal) if alike else one, truth) for name, one in answers.items()}


def _balanced(log_probs: Predictions, labels: Integers, folds: Integers) -> Predictions:
    """Take out of answers how frequent each class was among what they were learned from."""
    balanced = log_probs.copy()
    for fold in range(int(folds.max()) + 1):
        own = folds == fold
        balanced[own] = tempered(log_probs[own] - log_priors(labels[folds != fold], log_probs.shape[1]), 1.0)
    return balanced
