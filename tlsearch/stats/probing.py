"""Probes of a network's features, fold by fold: how well linear classifiers tell pictures that they did not see.

Nothing is fitted on the pictures of the fold that is answered: no mean, no directions, no penalty, no temperature.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tlsearch.stats.calibration import tempered
from tlsearch.stats.closed_form import MOST, best_of, closed_forms
from tlsearch.stats.directions import Classifier, Directions, Features
from tlsearch.stats.logistic import logistic_on
from tlsearch.stats.metrics import Floats, Groups, Integers, score
from tlsearch.stats.priors import CLASSES_ALIKE, log_priors
from tlsearch.stats.ridge import apart
from tlsearch.stats.thinning import thinned


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldProbes:
    """What probes say of every picture, and the closed form that a head may begin from.

    Args:
        answers: For "ridge", "lda" and "logistic" `(n, C)` log-probabilities, NaN where a picture is only trained on.
        starts: Of each fold, as `closed_form` has it of the pictures that the fold trains on.
    """

    answers: Mapping[str, Floats]
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
    keys = None if groups is None else np.asarray(groups)
    answers: dict[str, Floats] = {}
    starts = []
    for fold in range(int(deal.max()) + 1):
        train, asked = np.flatnonzero(deal != fold), deal == fold
        train = train[thinned(truth[train], MOST)]
        own = None if keys is None else apart(keys[train].tolist())
        directions = Directions.of(features[train])
        found = closed_forms(directions, truth[train], classes, groups=own)
        starts.append(best_of(found))
        fits = {name: one.classifier for name, one in found.items()}
        fits["logistic"] = logistic_on(directions, truth[train], classes, groups=own)
        for name, fit in fits.items():
            answers.setdefault(name, np.full((len(truth), classes), np.nan))[asked] = fit.log_probs(features[asked])
    return FoldProbes(answers=answers, starts=starts)


def probe_scores(
    answers: Mapping[str, Floats], labels: ArrayLike, folds: ArrayLike, *, metric: str
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


def _balanced(log_probs: Floats, labels: Integers, folds: Integers) -> Floats:
    """Take out of answers how frequent each class was among what they were learned from."""
    balanced = log_probs.copy()
    for fold in range(int(folds.max()) + 1):
        own = folds == fold
        balanced[own] = tempered(log_probs[own] - log_priors(labels[folds != fold], log_probs.shape[1]), 1.0)
    return balanced
