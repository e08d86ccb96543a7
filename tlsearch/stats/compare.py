"""Which of several models is better, which cannot be told apart, and which of those is the cheapest."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import hypot

import numpy as np
from numpy.typing import ArrayLike

from tlsearch.stats.floors import Floor
from tlsearch.stats.metrics import Floats, Groups, Outcomes, Predictions, plain_scores, weighted_scores
from tlsearch.stats.resampling import bootstrap_weights
from tlsearch.stats.selection import around, centre_and_interval, picked, selections
from tlsearch.stats.shares import CONFIDENCE, SHARES, SIGMAS, no_narrower_than_pairs


class Verdict(StrEnum):
    """What a difference says about the first of two models."""

    BETTER = "better"
    WORSE = "worse"
    ALIKE = "cannot be told apart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """By how much one model's score exceeds another's on the same pictures, with a 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        """Better or worse where the interval leaves out 0."""
        if self.low > 0:
            return Verdict.BETTER
        return Verdict.WORSE if self.high < 0 else Verdict.ALIKE

    def moved(self, to: float) -> "Difference":
        """The same interval around another value."""
        by = to - self.value
        return Difference(value=to, low=self.low + by, high=self.high + by)

    def no_narrower(self, other: "Difference") -> "Difference":
        """Widened to reach as far on both sides as another one reaches from its own value."""
        below = max(self.value - self.low, other.value - other.low)
        above = max(self.high - self.value, other.high - other.value)
        return Difference(value=self.value, low=self.value - below, high=self.value + above)

    def within_ends(self, metric: str) -> "Difference":
        """Cut where two scores cannot differ by more; two log losses can differ by anything."""
        if metric not in SHARES:
            return self
        value, low, high = (min(max(end, -1.0), 1.0) for end in (self.value, self.low, self.high))
        return Difference(value=value, low=low, high=high)

    def with_noise(self, noise: float) -> "Difference":
        """Widened by an independent error of so much standard deviation, such as what folds and seeds add."""
        below, above = (hypot(end - self.value, SIGMAS * noise) for end in (self.low, self.high))
        return Difference(value=self.value, low=self.value - below, high=self.value + above)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A configuration that could be named best, with what it costs."""

    trial: int
    score: float  # greater is better
    macs: int
    parameters: int


def difference(
    a: Predictions,
    b: Predictions,
    labels: ArrayLike,
    metric: str,
    *,
    groups: Groups | None = None,
    repeats: int = 2000,
    seed: int = 0,
) -> Difference:
    """Paired interval of `score(a) - score(b)`, for two models that these pictures did not pick.

    A bootstrap, no narrower than what the pictures say on which only one of the two is right.

    Args:
        a: `(n, C)` log-probabilities.
        b: Likewise.
        labels: `(n,)`.
        metric: As in `score`.
        groups: `(n,)`, of pictures that belong together.
        repeats: Bootstrap samples.
        seed: Of the samples.
    """
    outcomes, groups = Outcomes.of([a, b], labels).seen(groups)
    drawn = _resampled(metric, outcomes, groups=groups, repeats=repeats, seed=seed)
    plain = plain_scores(metric, outcomes)
    value = float(plain[0] - plain[1])
    _, interval = centre_and_interval(drawn[:, 0] - drawn[:, 1], otherwise=value)
    interval = no_narrower_than_pairs(metric, interval, value, outcomes)
    return Difference(value=value, low=interval.low, high=interval.high).within_ends(metric)


def selection_differences(
    predictions: Sequence[Predictions] | Predictions,
    references: Sequence[Predictions] | Predictions,
    labels: ArrayLike,
    metric: str,
    *,
    floors: Sequence[Floor] = (),
    groups: Groups | None = None,
    repeats: int = 1000,
    seed: int = 0,
) -> tuple[Difference, ...]:
    """By how much a search's winner exceeds each reference, the winner's luck taken out.

    As in `bbc_cv`, the winner is chosen again in each bootstrap sample and compared on the pictures left out.

    Args:
        predictions: `(T, n, C)` of every configuration that could have won.
        references: `(R, n, C)` of the baselines, none of which may win.
        labels: `(n,)`.
        metric: As in `score`.
        floors: As in `bbc_cv`.
        groups: `(n,)`, of pictures that belong together.
        repeats: Bootstrap samples.
        seed: Of the samples.
    """
    outcomes, groups = Outcomes.of([*predictions, *references], labels).seen(groups)
    competed = len(predictions)
    rng = np.random.default_rng(seed)
    winner = picked(metric, outcomes, floors=floors, candidates=competed)
    gains = [
        outside[np.arange(len(picked)), picked, None] - outside[:, competed:]
        for picked, outside in selections(
            metric,
            outcomes,
            floors=floors,
            groups=groups,
            repeats=repeats,
            rng=rng,
            candidates=competed,
        )
    ]
    found = []
    for reference, gain in enumerate(np.concatenate(gains).T, start=competed):
        value, parts = centre_and_interval(gain, otherwise=0.0)
        pictures = around(value, value, parts, noise=0.0)
        pictures = no_narrower_than_pairs(metric, pictures, value, outcomes.only(winner, reference))
        found.append(Difference(value=value, low=pictures.low, high=pictures.high))
    return tuple(found)


def cannot_tell_apart(
    predictions: Sequence[Sequence[Predictions]],
    labels: ArrayLike,
    metric: str,
    *,
    before: Sequence[Predictions] = (),
    groups: Groups | None = None,
    repeats: int = 2000,
    seed: int = 0,
) -> tuple[int, ...]:
    """The candidates that cannot be told apart from the best one, all judged together.

    Every pairwise difference is studentised over a paired bootstrap, and the largest of them in each sample
    sets the bar, since five candidates are ten chances to find a difference that is none (max-t: Westfall and
    Young 1993, "Resampling-based multiple testing", ch. 2). Pictures are not all that could have been other: where the
    candidates' earlier scores are given, what folds and seeds changed about them beyond what the pictures explain is
    drawn into each sample (that such variance must enter a comparison: Bouthillier et al. 2021, arXiv:2103.03098).

    Args:
        predictions: For each candidate the `(n, C)` log-probabilities of each of its repeats, over which
            scores are averaged. The fair repeats are those that took no part in choosing the candidates.
        labels: `(n,)`.
        metric: As in `score`.
        before: `(K, n, C)`: what each candidate predicted when it was chosen, with other folds and seeds.
        groups: `(n,)`, of pictures that belong together.
        repeats: Bootstrap samples.
        seed: Of the samples.

    Returns:
        Indices into `predictions`, ascending, the best one's included.
    """
    counts = [len(each) for each in predictions]
    fair = [one for each in predictions for one in each]
    outcomes, groups = Outcomes.of([*fair, *before], labels).seen(groups)
    mean = _mean_over_repeats(counts)  # (K * R, K)
    every = _resampled(metric, outcomes, groups=groups, repeats=repeats, seed=seed)
    plain = plain_scores(metric, outcomes)
    drawn, scores = every[:, : len(fair)] @ mean, plain[: len(fair)] @ mean  # (B, K), (K,)
    if len(before) > 1:
        unseen = _unexplained(plain[len(fair) :] - scores, every[:, len(fair) :] - drawn) / np.array(counts)
        drawn = drawn + np.random.default_rng([seed, 1]).normal(size=drawn.shape) * np.sqrt(unseen)
    gaps = scores[:, None] - scores  # (K, K)
    noise = drawn[:, :, None] - drawn[:, None, :] - gaps  # (B, K, K)
    spread = noise.std(axis=0)
    largest = np.divide(np.abs(noise), spread, out=np.zeros_like(noise), where=spread > 0).max(axis=(1, 2))
    bar = float(np.quantile(largest, CONFIDENCE))
    best = int(scores.argmax())
    return tuple(np.flatnonzero(gaps[best] <= bar * spread[best]).tolist())


def choose(candidates: Sequence[Candidate], alike: Collection[int]) -> Candidate:
    """The cheapest of those that cannot be told apart: MACs, then parameters; at equal cost the higher score.

    Args:
        candidates: All that were judged.
        alike: Indices of those that cannot be told apart from the best.

    Raises:
        ValueError: Where `alike` is empty.
    """
    return min((candidates[index] for index in sorted(alike)), key=lambda one: (one.macs, one.parameters, -one.score))


def _resampled(metric: str, outcomes: Outcomes, *, groups: Groups | None, repeats: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    chunks = bootstrap_weights(outcomes.labels, groups=groups, repeats=repeats, rng=rng)
    drawn = np.concatenate([weighted_scores(metric, outcomes, weights) for weights in chunks])  # (B, T)
    known: Floats = drawn[~np.isnan(drawn).any(axis=1)]
    return known


def _unexplained(changes: Floats, drawn: Floats) -> float:
    """The variance of a score over folds and seeds that resampling pictures does not show.

    Args:
        changes: `(K,)`: by how much each candidate's score differs between two partitions.
        drawn: `(B, K)`: the same in each sample.
    """
    pictures = drawn - drawn.mean(axis=0)  # what all candidates share in a sample tells none apart
    return max(0.0, float(changes.var(ddof=1) - pictures.var(axis=1, ddof=1).mean())) / 2


def _mean_over_repeats(counts: Sequence[int]) -> Floats:
    mean = np.zeros((sum(counts), len(counts)))
    start = 0
    for candidate, count in enumerate(counts):
        mean[start : start + count, candidate] = 1 / count
        start += count
    return mean
