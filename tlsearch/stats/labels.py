"""Labels that may be wrong: pictures whose class is contradicted by models that were fitted without them.

Pictures are ranked by self-confidence, the probability of their own label: Northcutt, Jiang and Chuang 2021, "Confident
learning", https://doi.org/10.1613/jair.1.12125. The margin to the best other class finds as many; where both are near
0 and 1, it cannot tell one sure contradiction from another.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tlsearch.stats.metrics import Floats, Integers, Predictions

VALUES_AT_ONCE = 1_000_000  # pictures times classes that are looked at, 8 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A picture that looks like another class than its label.

    Args:
        picture: Its row.
        label: As it stands.
        suggested: What it looks like.
        probability: Of its label.
        sure: Probability of what it looks like.
    """

    picture: int
    label: int
    suggested: int
    probability: float
    sure: float


def together(log_probs: Iterable[Predictions]) -> Floats:
    """`(n, C)` log-probabilities of several models, one at least: the mean of their probabilities.

    They are added up one at a time: those of a generator are never held together.
    """
    rest = iter(log_probs)
    mean, models = np.array(next(rest), dtype=np.float64), 1
    for one in rest:
        np.logaddexp(mean, one, out=mean)
        models += 1
        del one  # else it is held while the next is made
    mean -= np.log(models)
    return mean


def suspicion_order(log_probs: Predictions, labels: ArrayLike) -> Integers:
    """`(n,)` rows, the most suspicious label first.

    Args:
        log_probs: `(n, C)`, of each picture by models that were fitted without it.
        labels: `(n,)`.
    """
    truth = np.asarray(labels, dtype=np.int64)
    return np.argsort(log_probs[np.arange(len(truth)), truth], kind="stable")


def suspects(log_probs: Predictions, labels: ArrayLike, *, most: int) -> tuple[Suspect, ...]:
    """The pictures that look like another class as much as that class's own pictures do, the most suspicious first.

    "As much" is the mean self-confidence of a class: the threshold of the paper's confident joint.

    Args:
        log_probs: As for `suspicion_order`.
        labels: `(n,)`.
        most: How many at most.
    """
    truth = np.asarray(labels, dtype=np.int64)
    own, suggested, other = _own_and_best_other(log_probs, truth)
    usual = [own[truth == c].mean() if (truth == c).any() else np.inf for c in range(log_probs.shape[1])]
    likely = (other > own) & (other >= np.array(usual)[suggested])
    order = suspicion_order(log_probs, truth)
    return tuple(
        Suspect(
            picture=row,
            label=int(truth[row]),
            suggested=int(suggested[row]),
            probability=float(own[row]),
            sure=float(other[row]),
        )
        for row in order[likely[order]][:most].tolist()
    )


def _own_and_best_other(log_probs: Predictions, labels: ArrayLike) -> tuple[Floats, Integers, Floats]:
    """`(n,)` each: the probability of the label, the likeliest other class, and its probability."""
    truth = np.asarray(labels, dtype=np.int64)
    n, classes = log_probs.shape
    own, best, other = np.empty(n), np.empty(n, dtype=np.int64), np.empty(n)
    at_once = max(1, VALUES_AT_ONCE // classes)
    for start in range(0, n, at_once):
        some = slice(start, start + at_once)
        probabilities = np.exp(log_probs[some], dtype=np.float64)
        rows = np.arange(len(probabilities))
        own[some] = probabilities[rows, truth[some]]
        probabilities[rows, truth[some]] = -1.0
        best[some] = probabilities.argmax(axis=1)
        other[some] = probabilities[rows, best[some]]
    return own, best, other
