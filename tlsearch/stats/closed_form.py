"""Linear classifiers in closed form, from one decomposition of the features: ridge regression and discriminants.

Discriminants come by way of the ridge fits (Hastie, Tibshirani and Buja 1994, "Flexible discriminant analysis by
optimal scoring", doi 10.1080/01621459.1994.10476866): linear discriminant analysis among the C scores that a ridge fit
gives is penalised discriminant analysis of the features. Here it is done among the scores of pictures that were left
out, so that its spreads, and with them its probabilities, are those of new pictures.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tlsearch.stats.calibration import fit_temperature, loss_of_logits
from tlsearch.stats.directions import Classifier, Directions, Features
from tlsearch.stats.metrics import Floats, Groups, Integers
from tlsearch.stats.ridge import LeftOut, ridge_path
from tlsearch.stats.sample import Sample

SHRINKAGE = 1e-3  # of a covariance of C scores, which sum to 1 and so have none along one direction


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedForm:
    """A classifier, and how well its kind answers pictures that it was fitted without.

    Args:
        classifier: Fitted on all pictures that were given.
        loss: Mean log loss of the pictures when they are left out, with all that belong to them.
    """

    classifier: Classifier
    loss: float


def closed_forms(
    directions: Directions, labels: Integers, classes: int, *, groups: Groups | None = None
) -> dict[str, ClosedForm]:
    """The best of each kind, "ridge" and "lda".

    Args:
        directions: Of the training pictures' features.
        labels: `(n,)`.
        classes: C.
        groups: `(n,)`, of pictures that belong together: they are left out together.

    Raises:
        ValueError: Where all pictures belong together, so that nothing is left to fit on.
    """
    best: dict[str, ClosedForm] = {}
    for fit in ridge_path(directions, labels, classes, groups=groups):
        for kind, found in (("ridge", _tempered(fit, labels)), ("lda", _discriminant(fit, labels))):
            if kind not in best or found.loss < best[kind].loss:
                best[kind] = found
    return best


def closed_form(
    features: Features, labels: ArrayLike, classes: int, train: Integers, *, groups: Groups | None = None
) -> Classifier:
    """The better of both kinds by the loss of pictures that are left out, fitted on a fold's training pictures.

    Args:
        features: `(N, D)` of all pictures; of more than 10 000 training pictures an even selection is read.
        labels: `(N,)`.
        classes: C.
        train: Rows of the training pictures.
        groups: `(N,)`, of pictures that belong together: they are left out together, unless all belong together.

    Raises:
        ValueError: Of a single picture.
    """
    sample = Sample.of(features, np.asarray(labels, dtype=np.int64), classes, train, groups=groups)
    return sample.answering(best_of(closed_forms(sample.directions, sample.labels, classes, groups=sample.groups)))


def best_of(found: Mapping[str, ClosedForm]) -> Classifier:
    """The classifier of the least loss."""
    return min(found.values(), key=lambda one: one.loss).classifier


def _tempered(fit: LeftOut, labels: Integers) -> ClosedForm:
    temperature = fit_temperature(fit.scores, labels)
    return ClosedForm(
        classifier=fit.task.directions.classifier(fit.weights / temperature, fit.task.mean / temperature),
        loss=loss_of_logits(fit.scores / temperature, labels),
    )


def _discriminant(fit: LeftOut, labels: Integers) -> ClosedForm:
    departures = fit.departures
    turn, offset = _gaussian(departures, labels)
    return ClosedForm(
        classifier=fit.task.directions.classifier(fit.weights @ turn, offset),
        loss=loss_of_logits(departures @ turn + offset, labels),
    )


def _gaussian(scores: Floats, labels: Integers) -> tuple[Floats, Floats]:
    """Linear discriminant analysis of `(n, C)` scores: `scores @ turn + offset` are logits."""
    n, classes = scores.shape
    counts = np.bincount(labels, minlength=classes)
    means = np.zeros((classes, classes))
    np.add.at(means, labels, scores)
    means /= np.maximum(counts, 1)[:, None]
    within = scores - means[labels]
    covariance = within.T @ within / n
    covariance += (SHRINKAGE * np.trace(covariance) / classes + np.finfo(np.float64).tiny) * np.eye(classes)
    turn = np.linalg.solve(covariance, means.T)  # (C, C)
    offset = np.log(np.maximum(counts, 1) / n) - 0.5 * np.sum(means.T * turn, axis=0)
    return turn, offset
