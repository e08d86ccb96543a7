"""Multinomial logistic regression on fixed features, along a path of penalties, each fit begun where the last ended."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tlsearch.stats.calibration import loss_of_logits, tempered
from tlsearch.stats.directions import Classifier, Directions
from tlsearch.stats.lbfgs import minimise
from tlsearch.stats.metrics import Floats, Groups, Integers
from tlsearch.stats.resampling import units_of
from tlsearch.stats.ridge import one_hot, rows_of

PENALTIES = (1e-2, 1e-3, 1e-4, 1e-5)  # on half the squared weights, beside the mean log loss
STEPS = 50  # for each penalty
TOLERANCE = 1e-4  # of the gradient
LEFT_OUT = 5  # every fifth group of pictures judges the penalties
STRONGEST = 256  # directions: with 512 no better on 2 624 photographs, and three times as long


def logistic_on(directions: Directions, labels: Integers, classes: int, *, groups: Groups | None = None) -> Classifier:
    """Fit with the penalty under which a fifth of the pictures is answered best by a fit on the others.

    Args:
        directions: Of the training pictures' features.
        labels: `(n,)`, theirs.
        classes: C.
        groups: `(n,)`, of pictures that belong together: they are left out together.

    Raises:
        ValueError: Where all pictures belong together, so that nothing is left to fit on.
    """
    directions = directions.strongest(STRONGEST)
    x = directions.coordinates
    judges = _every_fifth(labels, groups)
    fits = logistic_path(x[~judges], labels[~judges], classes, PENALTIES)
    losses = [loss_of_logits(x[judges] @ weights + bias, labels[judges]) for weights, bias in fits]
    upto = int(np.argmin(losses)) + 1
    weights, bias = list(logistic_path(x, labels, classes, PENALTIES[:upto]))[-1]
    return directions.classifier(weights, bias)


def logistic_path(
    x: Floats, labels: Integers, classes: int, penalties: Sequence[float]
) -> Iterator[tuple[Floats, Floats]]:
    """For each penalty, the largest first, weights `(k, C)` and bias `(C,)`."""
    n, k = x.shape
    wanted = one_hot(labels, classes)
    point = np.zeros((k + 1) * classes)
    for penalty in penalties:

        def loss(point: Floats, penalty: float = penalty) -> tuple[float, Floats]:
            weights, bias = point[: k * classes].reshape(k, classes), point[k * classes :]
            log_probs = np.asarray(tempered(x @ weights + bias, 1.0))
            excess = (np.exp(log_probs) - wanted) / n
            value = -np.sum(log_probs * wanted) / n + penalty / 2 * np.sum(weights**2)
            return float(value), np.concatenate([(x.T @ excess + penalty * weights).ravel(), excess.sum(axis=0)])

        point = minimise(loss, point, steps=STEPS, tolerance=TOLERANCE)
        yield point[: k * classes].reshape(k, classes), point[k * classes :]


def _every_fifth(labels: Integers, groups: Groups | None) -> NDArray[np.bool_]:
    """`(n,)` true for a fifth of the groups, the same share of every class."""
    rows = rows_of(units_of(labels, groups)[0])
    if len(rows) < 2:
        raise ValueError("nothing is left to fit on: all pictures belong together")
    by_class = sorted(rows, key=lambda one: (labels[one[0]], one[0]))
    judges = np.zeros(len(labels), dtype=bool)
    for one in by_class[1 if len(rows) < LEFT_OUT else LEFT_OUT - 1 :: LEFT_OUT]:
        judges[one] = True
    return judges
