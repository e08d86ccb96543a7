"""What the winner of a search is worth, after the search's own luck is taken out (BBC-CV).

A search that tries many configurations and keeps the best one's score keeps its luck as well. Here the
selection itself is repeated on bootstrap samples of the pictures, and each winner is scored on the pictures
that its sample left out: Tsamardinos et al. 2018, "Bootstrapping the out-of-sample predictions for efficient
and accurate cross-validation", doi 10.1007/s10994-018-5714-4.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tlsearch.stats.intervals import CONFIDENCE, Interval, no_narrower_than_wilson, outcomes_interval
from tlsearch.stats.metrics import Floats, Groups, Integers, Outcomes, Predictions, plain_scores, weighted_scores
from tlsearch.stats.resampling import bootstrap_weights


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionEstimate:
    """What to expect of a search's winner on new pictures of the same kind.

    Args:
        score: The corrected score, greater is better.
        low: Lower end of its 95 % interval; it leans to the careful side, since each sample leaves out only
            about 37 % of the pictures.
        high: Upper end.
        naive_score: The winner's own best score.
        naive_low: Lower end of the interval that knows nothing of the selection.
        naive_high: Upper end.
        optimism: `naive_score - score`: how much the search flattered itself.
        n: Pictures that were scored.
        candidates: Configurations that competed.
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

    def handicap(self, score: float, again: float | None) -> float:
        """How far a named configuration's own measurements lie below what is expected of the plain best one.

        The estimate knows only the rule "take the best score". Where another one is named, since it is the cheapest
        of those that cannot be told apart, it must not promise more than that one showed.

        Args:
            score: The named configuration's own.
            again: Its score with other folds and seeds, where it was scored again.
        """
        if score >= self.naive_score:
            return 0.0
        return max(0.0, self.score - (score if again is None else again))

    def lowered(self, by: float) -> tuple[float, Interval]:
        """The score and its interval, both lower by a handicap; a share does not fall below 0."""
        low = self.low - by
        return self.score - by, Interval(low=max(0.0, low) if self.low >= 0 else low, high=self.high - by)


def bbc_cv(
    predictions: Sequence[Predictions] | Predictions,
    labels: ArrayLike,
    metric: str,
    *,
    groups: Groups | None = None,
    repeats: int = 1000,
    seed: int = 0,
) -> SelectionEstimate:
    """Estimate the winner's score with the selection bootstrapped.

    Args:
        predictions: `(T, n, C)` out-of-fold log-probabilities of every configuration that could have won.
        labels: `(n,)`.
        metric: As in `score`.
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
    winner = int(np.nanargmax(plain))
    naive = outcomes_interval(metric, outcomes.only(winner), groups=groups, repeats=repeats, seed=seed)
    rng = np.random.default_rng(seed)
    drawn = selections(metric, outcomes, groups=groups, repeats=repeats, rng=rng)
    scores = np.concatenate([outside[np.arange(len(picked)), picked] for picked, outside in drawn])
    score, interval = centre_and_interval(scores, otherwise=float(plain[winner]))
    interval = no_narrower_than_wilson(metric, interval, score, n)
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
    )


def selections(
    metric: str,
    outcomes: Outcomes,
    *,
    groups: Groups | None,
    repeats: int,
    rng: np.random.Generator,
    candidates: int | None = None,
) -> Iterator[tuple[Integers, Floats]]:
    """Choose by plain best score in each bootstrap sample, and score all models on what the sample left out.

    Args:
        metric: As in `score`.
        outcomes: Of the T models.
        groups: As in `bbc_cv`.
        repeats: Bootstrap samples.
        rng: Of the samples.
        candidates: Only the first so many models may be chosen; None: all.

    Yields:
        `(b,)` the chosen model of each sample, and `(b, T)` the scores on the pictures left out, NaN
        where none was.
    """
    for weights in bootstrap_weights(outcomes.labels, groups=groups, repeats=repeats, rng=rng):
        inside = weighted_scores(metric, outcomes, weights)[:, :candidates]
        outside = weighted_scores(metric, outcomes, (weights == 0).astype(np.float32))
        yield np.where(np.isnan(inside), -np.inf, inside).argmax(axis=1), outside


def centre_and_interval(samples: Floats, *, otherwise: float) -> tuple[float, Interval]:
    """Mean and 95 % percentile interval of what is known; `otherwise` where nothing is."""
    known = samples[~np.isnan(samples)]
    if known.size == 0:
        return otherwise, Interval(low=otherwise, high=otherwise)
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(known.mean()), Interval(low=float(low), high=float(high))
