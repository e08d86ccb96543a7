"""Intervals of one model's score: what other pictures of the same kind could have given."""

from collections.abc import Iterator
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from tlsearch.stats.metrics import Floats, Groups, Outcomes, Predictions, Weights, plain_scores, weighted_scores
from tlsearch.stats.resampling import bootstrap_weights, leave_out_weights
from tlsearch.stats.shares import CONFIDENCE, Interval, no_narrower_than_counts, wilson, within_ends

JACKKNIFE_BLOCKS = 500
ROUNDING = 1e-6  # of scores that are sums in float32


def score_interval(
    metric: str,
    log_probs: Predictions,
    labels: ArrayLike,
    *,
    groups: Groups | None = None,
    repeats: int = 2000,
    seed: int = 0,
) -> Interval:
    """The interval of one model that was chosen without looking at these pictures.

    Accuracy without groups has a Wilson interval, everything else a stratified, grouped BCa bootstrap, no narrower than
    what its classes' counts say.

    Args:
        metric: As in `score`.
        log_probs: `(n, C)`; rows of NaN are left out.
        labels: `(n,)`.
        groups: `(n,)`, of pictures that belong together; None where each stands alone.
        repeats: Bootstrap samples.
        seed: Of the samples.
    """
    outcomes, groups = Outcomes.of([log_probs], labels).seen(groups)
    return outcomes_interval(metric, outcomes, groups=groups, repeats=repeats, seed=seed)


def outcomes_interval(metric: str, outcomes: Outcomes, *, groups: Groups | None, repeats: int, seed: int) -> Interval:
    """As `score_interval`, of the outcomes of one model."""
    n = outcomes.labels.size
    if n == 0:
        return Interval(low=float("nan"), high=float("nan"))
    if metric == "accuracy" and groups is None:
        return wilson(int(outcomes.right.sum()), n)
    score = float(plain_scores(metric, outcomes)[0])
    rng = np.random.default_rng(seed)
    drawn = bootstrap_weights(outcomes.labels, groups=groups, repeats=repeats, rng=rng)
    left_out = leave_out_weights(outcomes.labels, groups=groups, blocks=JACKKNIFE_BLOCKS)
    interval = bca(score, _scores(metric, outcomes, drawn), _scores(metric, outcomes, left_out))
    return within_ends(metric, no_narrower_than_counts(metric, interval, score, outcomes))


def bca(score: float, samples: Floats, left_out: Floats, *, confidence: float = CONFIDENCE) -> Interval:
    """Bias-corrected and accelerated bootstrap interval (Efron 1987, doi 10.1080/01621459.1987.10478410).

    Args:
        score: Of the pictures as they are.
        samples: `(B,)` bootstrap scores.
        left_out: `(blocks,)` jackknife scores, for the acceleration.
        confidence: Of the interval.
    """
    samples, left_out = samples[~np.isnan(samples)], left_out[~np.isnan(left_out)]
    if samples.size == 0 or np.ptp(samples) < ROUNDING:
        return Interval(low=score, high=score)
    normal = NormalDist()
    below = float(np.mean(samples < score) + np.mean(samples == score) / 2)
    edge = 1 / (samples.size + 1)
    bias = normal.inv_cdf(min(max(below, edge), 1 - edge))
    pulls = left_out.mean() - left_out if left_out.size else np.zeros(1)
    spread = float(np.sum(pulls**2))
    acceleration = float(np.sum(pulls**3)) / (6 * spread**1.5) if spread > 0 else 0.0

    def corrected(share: float) -> float:
        z = bias + normal.inv_cdf(share)
        return normal.cdf(bias + z / (1 - acceleration * z))

    low, high = np.quantile(samples, [corrected((1 - confidence) / 2), corrected((1 + confidence) / 2)])
    return Interval(low=float(low), high=float(high))


def _scores(metric: str, outcomes: Outcomes, weights: Iterator[Weights]) -> Floats:
    return np.concatenate([weighted_scores(metric, outcomes, chunk)[:, 0] for chunk in weights])
