"""Intervals of shares, and of scores that are means of shares, from counts alone.

Resampling pictures that are all right gives 1.0 every time, and an interval without width; so does resampling the two
pictures of a rare class. That n of n were right does not promise that the next one will be. So an interval of a score
that ends at 0 and 1 is never narrower than what counts say of it. A score that averages classes has the intervals of
its classes, squared and added (Newcombe 1998, "Interval estimation for the difference between independent
proportions", method 10, doi 10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I; for any sum: Zou and
Donner 2008, doi 10.1002/sim.3095). F1 is a share in disguise: 2 j / (1 + j), where j is the share of right ones among
the pictures that are of the class or are called so.
"""

from dataclasses import dataclass
from math import hypot, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from tlsearch.stats.metrics import Floats, Integers, Outcomes

Rights = NDArray[np.bool_]

CONFIDENCE = 0.95
SIGMAS = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
SHARES = frozenset({"accuracy", "balanced_accuracy", "macro_f1"})  # metrics that end at 0 and 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """From low to high, both in the metric's own units."""

    low: float
    high: float

    def around(self, low: float, high: float) -> "Interval":
        """This one, widened to hold another."""
        return Interval(low=min(self.low, low), high=max(self.high, high))


def wilson(successes: float, n: int, *, confidence: float = CONFIDENCE) -> Interval:
    """The score interval of a share; it has a width even at 0 and 1.

    Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    if n <= 0:
        return Interval(low=0.0, high=1.0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(max(share * (1 - share) / n + z * z / (4 * n * n), 0.0))
    # exact at the ends, where rounding would leave 0.9999999999999999
    low = 0.0 if successes <= 0 else middle - half
    return Interval(low=low, high=1.0 if successes >= n else middle + half)


def no_narrower_than_counts(metric: str, interval: Interval, score: float, outcomes: Outcomes) -> Interval:
    """Widen the interval of one model's score to what its counts say; of a log loss, nothing.

    Args:
        metric: As in `score`.
        interval: To widen.
        score: Around which counts are taken: all classes' shares are moved by as much as it differs from the plain one.
        outcomes: Of that one model.
    """
    if metric not in SHARES:
        return interval
    hits, of = _counts(metric, outcomes)
    averaged, share_of = (_f1, _of_f1) if metric == "macro_f1" else (np.asarray, np.asarray)
    own = averaged(hits / of)
    moved = np.clip(own + (score - own.mean()), 0.0, 1.0)
    ends = [wilson(share * n, n) for share, n in zip(share_of(moved).tolist(), of.tolist(), strict=True)]
    low, high = averaged(np.array([end.low for end in ends])), averaged(np.array([end.high for end in ends]))
    below, above = (float(np.sqrt(np.square(side - moved).sum())) / len(of) for side in (low, high))
    return interval.around(score - below, score + above)


def no_narrower_than_pairs(metric: str, interval: Interval, value: float, pair: Outcomes) -> Interval:
    """Widen the interval of a difference of two models to what their discordant pictures say.

    As many pictures as only one of the two got right decide a difference, and where they are few, resampling them says
    too much: of each class, the adjusted Wald interval of paired shares (Bonett and Price 2012, doi
    10.3102/1076998611411915), squared and added over the classes where the metric averages them. A difference of F1
    is held to that of recalls.

    Args:
        metric: As in `score`.
        interval: To widen.
        value: The difference that it surrounds.
        pair: Outcomes of two models, in the order of the difference.
    """
    if metric not in SHARES:
        return interval
    seen = (pair.predicted >= 0).all(axis=0)
    labels = pair.labels[seen]
    one, other = pair.predicted[:, seen] == labels
    kinds = np.zeros_like(labels) if metric == "accuracy" else labels
    halves = [_paired_half(one[kinds == kind], other[kinds == kind]) for kind in np.unique(kinds)]
    if not halves:
        return interval
    half = hypot(*halves) / len(halves)
    return interval.around(value - half, value + half)


def within_ends(metric: str, interval: Interval) -> Interval:
    """Cut an interval at the ends of its metric: a share's are 0 and 1, a negated log loss stops at 0."""
    least, most = (0.0, 1.0) if metric in SHARES else (-np.inf, 0.0)
    low, high = np.clip([interval.low, interval.high], least, most)
    return Interval(low=float(low), high=float(high))


def _counts(metric: str, outcomes: Outcomes) -> tuple[Integers, Integers]:
    """Of each share that the metric averages, the right ones and of how many."""
    seen = outcomes.predicted[0] >= 0
    labels, predicted = outcomes.labels[seen], outcomes.predicted[0, seen]
    hits = np.bincount(labels[labels == predicted], minlength=outcomes.classes)
    support = np.bincount(labels, minlength=outcomes.classes)
    if metric == "accuracy":
        return hits.sum(keepdims=True), support.sum(keepdims=True)
    of = support
    if metric == "macro_f1":
        of = support + np.bincount(predicted, minlength=outcomes.classes) - hits
    return hits[of > 0], of[of > 0]


def _f1(share: Floats) -> Floats:
    return 2 * share / (1 + share)


def _of_f1(f1: Floats) -> Floats:
    return f1 / (2 - f1)


def _paired_half(one: Rights, other: Rights) -> float:
    """Half the width of the 95 % interval of the difference of two models' shares on the same pictures."""
    n = len(one) + 2
    gained, lost = (int((one & ~other).sum()) + 1) / n, (int((other & ~one).sum()) + 1) / n
    return SIGMAS * sqrt((gained + lost - (gained - lost) ** 2) / n)
