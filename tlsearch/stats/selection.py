"""What the winner of a search is worth, after the search's own luck is taken out (BBC-CV).

A search that tries many configurations and keeps the best one's score keeps its luck as well. Here the
selection itself is repeated on bootstrap samples of the pictures, and each winner is scored on the pictures
that its sample left out: Tsamardinos et al. 2018, "Bootstrapping the out-of-sample predictions for efficient
and accurate cross-validation", doi 10.1007/s10994-018-5714-4. Their mean is the centre. Three things are added,
each of which `benchmarks/honesty.py` showed to be needed where the truth is known:

**Two measurements.** The winner is scored again with other folds and seeds. That score had no part in the choice but
for the pictures, which are the same, so it keeps the luck of the pictures and sheds that of folds and seeds; the
bootstrapped one sheds both and leans low. Their mean misses the truth by less than either.

**The width.** A sample leaves out r = 1/e of the pictures. Scores of such parts spread as those of a jackknife that
deletes d = n - r pictures, by sqrt(d / r) = 1.31 times what n pictures would (Shao and Wu 1989, "A general theory for
jackknife variance estimation", doi 10.1214/aos/1176347263), so the percentile interval is narrowed by that. What
remains is the spread of the pictures and of the selection.

**Folds and seeds.** Resampling pictures leaves the fitted models as they are. How much a score changes with other folds
and seeds is seen directly on the configurations that were scored twice, and added as an independent error (that the
spread over pictures alone is too narrow for cross-validation: Nadeau and Bengio 2003, doi 10.1023/A:1024068626366;
Bates et al. 2023, doi 10.1080/01621459.2023.2197686). It also stands for what the final model, a single fit, differs
by.

What is left leans to the careful side: models of folds saw fewer pictures than the final one will have.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import e, hypot, sqrt

import numpy as np
from numpy.typing import ArrayLike

from tlsearch.stats.floors import Floor, violations
from tlsearch.stats.intervals import ROUNDING, outcomes_interval
from tlsearch.stats.metrics import (
    Floats,
    Groups,
    Integers,
    Outcomes,
    Predictions,
    Weights,
    plain_scores,
    weighted_scores,
)
from tlsearch.stats.resampling import bootstrap_weights
from tlsearch.stats.shares import CONFIDENCE, SIGMAS, Interval, no_narrower_than_counts, within_ends

LEFT_OUT = 1 / e  # the share of pictures that a bootstrap sample leaves out
NARROWED = sqrt(LEFT_OUT / (1 - LEFT_OUT))  # from the spread of scores on what is left out to that on all pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionEstimate:
    """What to expect of a search's winner on new pictures of the same kind.

    Args:
        score: The corrected score, greater is better.
        low: Lower end of its 95 % interval.
        high: Upper end.
        naive_score: The winner's own best score.
        naive_low: Lower end of the interval that knows nothing of the selection.
        naive_high: Upper end.
        optimism: `naive_score - score`: how much the search flattered itself.
        n: Pictures that were scored.
        candidates: Configurations that competed.
        again: The winner's score with other folds and seeds, which is half of `score`; None where it has none.
        noise: One standard deviation of what other folds and seeds change about a score; 0 where that was not seen.
    """

    score: float
    low: float
    high: float
    naive_score: float
    naive_low: float
    naive_high: float
    optimism: float
    n: int
    candidates: int
    again: float | None = None
    noise: float = 0.0

    @property
    def bootstrapped(self) -> float:
        """The corrected score before the second measurement is averaged in."""
        return self.score if self.again is None else 2 * self.score - self.again

    def handicap(self, score: float, again: float | None) -> float:
        """How far what is expected of a named configuration lies below what is expected of the plain best one.

        The bootstrap knows only the rule "take the best score". Where another one is named, since it is the cheapest
        of those that cannot be told apart, it is held to its own two measurements.

        Args:
            score: The named configuration's own.
            again: Its score with other folds and seeds, where it was scored again.

        Returns:
            In the metric's own units; negative where more is expected of it, for it did better when scored again.
        """
        return self.score - _both(min(self.bootstrapped, score), again)

    def lowered(self, by: float) -> tuple[float, Interval]:
        """The score and its interval, both lower by a handicap, within what the metric can be."""
        least, most = (0.0, 1.0) if self.low >= 0 else (-np.inf, 0.0)  # a share, or a log loss negated
        low, score, high = (float(np.clip(end - by, least, most)) for end in (self.low, self.score, self.high))
        return score, Interval(low=low, high=high)


def bbc_cv(
    predictions: Iterable[Predictions],
    labels: ArrayLike,
    metric: str,
    *,
    again: Mapping[int, float] | None = None,
    floors: Sequence[Floor] = (),
    groups: Groups | None = None,
    repeats: int = 1000,
    seed: int = 0,
) -> SelectionEstimate:
    """Estimate the winner's score with the selection bootstrapped.

    The winner has the best score among those that miss the floors least, in each sample anew: that a configuration
    keeps a floor may be luck as well.

    Args:
        predictions: `(T, n, C)` out-of-fold log-probabilities of every configuration that could have won; gone through
            once.
        labels: `(n,)`.
        metric: As in `score`.
        again: Scores with other folds and seeds, by index into `predictions`, of those that were scored again.
        floors: What single classes must reach.
        groups: `(n,)`, of pictures that belong together: whole groups are drawn and left out.
        repeats: Bootstrap samples.
        seed: Of the samples.

    Raises:
        ValueError: Where there is no configuration, or no picture that any of them predicted.
    """
    outcomes, groups = Outcomes.of(predictions, labels).seen(groups)
    n = outcomes.labels.size
    if n == 0:
        raise ValueError("no picture was predicted, so there is nothing to score")
    plain = plain_scores(metric, outcomes)  # (T,)
    winner = picked(metric, outcomes, floors=floors)
    naive = outcomes_interval(metric, outcomes.only(winner), groups=groups, repeats=repeats, seed=seed)
    rng = np.random.default_rng(seed)
    drawn = selections(metric, outcomes, floors=floors, groups=groups, repeats=repeats, rng=rng)
    scores = np.concatenate([outside[np.arange(len(picked)), picked] for picked, outside in drawn])
    middle, parts = centre_and_interval(scores, otherwise=float(plain[winner]))
    centre = min(middle, float(plain[winner]))  # above it by the samples' own chance alone
    twice = again or {}
    score = _both(centre, twice.get(winner))
    noise = _noise([float(plain[index]) - value for index, value in twice.items()], otherwise=plain[winner] - centre)
    interval = around(score, middle, parts, noise=noise)
    interval = within_ends(metric, no_narrower_than_counts(metric, interval, score, outcomes.only(winner)))
    return SelectionEstimate(
        score=score,
        low=interval.low,
        high=interval.high,
        naive_score=float(plain[winner]),
        naive_low=naive.low,
        naive_high=naive.high,
        optimism=float(plain[winner]) - score,
        n=n,
        candidates=len(plain),
        again=twice.get(winner),
        noise=noise,
    )


def around(value: float, centre: float, parts: Interval, *, noise: float) -> Interval:
    """From the spread of scores on the pictures left out to the interval of a score on all of them.

    Args:
        value: The middle of the interval.
        centre: The mean of the scores on what was left out.
        parts: Their percentile interval.
        noise: One standard deviation of what folds and seeds add.
    """
    low, high = (hypot(NARROWED * (end - centre), SIGMAS * noise) for end in (parts.low, parts.high))
    return Interval(low=value - low, high=value + high)


def selections(
    metric: str,
    outcomes: Outcomes,
    *,
    floors: Sequence[Floor] = (),
    groups: Groups | None,
    repeats: int,
    rng: np.random.Generator,
    candidates: int | None = None,
) -> Iterator[tuple[Integers, Floats]]:
    """Choose as a search does in each bootstrap sample, and score all models on what the sample left out.

    A class that a sample left no picture out of, as the only group of a rare one, is scored on all its pictures: a
    score without it would be of another task.

    Args:
        metric: As in `score`.
        outcomes: Of the T models.
        floors: As in `bbc_cv`.
        groups: As in `bbc_cv`.
        repeats: Bootstrap samples.
        rng: Of the samples.
        candidates: Only the first so many models may be chosen; None: all.

    Yields:
        `(b,)` the chosen model of each sample, and `(b, T)` the scores on the pictures left out, NaN
        where a model predicted none of them.
    """
    for weights in bootstrap_weights(outcomes.labels, groups=groups, repeats=repeats, rng=rng):
        outside = weighted_scores(metric, outcomes, _left_out(weights, outcomes.labels))
        yield _picked(metric, outcomes, weights, floors, candidates), outside


def picked(metric: str, outcomes: Outcomes, *, floors: Sequence[Floor] = (), candidates: int | None = None) -> int:
    """Which of T models a search names where each picture counts once; arguments as in `selections`."""
    once = np.ones((1, outcomes.labels.size), dtype=np.float32)
    return int(_picked(metric, outcomes, once, floors, candidates)[0])


def centre_and_interval(samples: Floats, *, otherwise: float) -> tuple[float, Interval]:
    """Mean and 95 % percentile interval of what is known; `otherwise` where nothing is."""
    known = samples[~np.isnan(samples)]
    if known.size == 0:
        return otherwise, Interval(low=otherwise, high=otherwise)
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(known.mean()), Interval(low=float(low), high=float(high))


def _picked(
    metric: str, outcomes: Outcomes, weights: Weights, floors: Sequence[Floor], candidates: int | None = None
) -> Integers:
    """`(b,)`: the model with the best score among those that miss the floors least."""
    scores: Floats = weighted_scores(metric, outcomes, weights)[:, :candidates]
    scores = np.where(np.isnan(scores), -np.inf, scores)
    if floors:
        missed = violations(floors, outcomes, weights)[:, :candidates]
        scores = np.where(missed <= missed.min(axis=1, keepdims=True) + ROUNDING, scores, -np.inf)
    best: Integers = scores.argmax(axis=1)
    return best


def _left_out(weights: Weights, labels: Integers) -> Weights:
    """`(b, n)`: 1 for the pictures that a sample left out, and for all of a class of which it left out none."""
    left: Weights = (weights == 0).astype(np.float32)
    for c in np.unique(labels):
        members = np.flatnonzero(labels == c)
        nothing = np.flatnonzero(~left[:, members].any(axis=1))
        left[np.ix_(nothing, members)] = 1.0
    return left


def _both(one: float, again: float | None) -> float:
    return one if again is None else (one + again) / 2


def _noise(falls: Sequence[float], *, otherwise: float) -> float:
    """The standard deviation of one score over folds and seeds.

    Args:
        falls: By how much each configuration's score fell when it was scored again. What all of them fell by is the
            luck of being chosen; the spread around it is that of two scores.
        otherwise: The luck of being chosen, where only one was scored again.
    """
    if not falls:
        return 0.0
    if len(falls) == 1:
        return abs(falls[0] - float(otherwise)) / sqrt(2)
    return float(np.std(falls, ddof=1)) / sqrt(2)
