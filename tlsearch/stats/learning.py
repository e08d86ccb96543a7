"""Learning curves: the same probe on a quarter, a half, three quarters and all of the pictures it may train on.

They tell whether more pictures would help, and of which class (Cortes et al. 1993, "Learning curves: asymptotic values
and rate of convergence"). The parts are nested, so that what a step adds is pictures and not another draw. Where the
metric counts classes alike, answers are adjusted by how many pictures of each class were learned from (Menon et al.
2021, "Long-tail learning via logit adjustment"): a probe that always answers the large class would measure nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tlsearch.stats.calibration import tempered
from tlsearch.stats.labels import together
from tlsearch.stats.metrics import Floats, Groups, Integers, Outcomes, Predictions, plain_scores, weighted_scores
from tlsearch.stats.priors import CLASSES_ALIKE, log_priors
from tlsearch.stats.resampling import bootstrap_weights
from tlsearch.stats.ridge import Fit, one_hot
from tlsearch.stats.shares import Interval

SHARES = (0.25, 0.5, 0.75, 1.0)
HALF, ALL = SHARES.index(0.5), SHARES.index(1.0)
RESAMPLES = 1000
LOW, HIGH = 0.025, 0.975  # of resampled scores: 95 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """One deal of the pictures.

    Args:
        fold: `(n,)` which fit scores each picture.
        quarter: `(n,)` 0 to 3; share s of the training pictures are those below 4 s.
    """

    fold: Integers
    quarter: Integers


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """Scores by the share of the training pictures; every tuple has one entry a share.

    Args:
        shares: 0.25 to 1.
        images: Mean number of pictures that a fit was trained on.
        scores: In the study's metric, mean over the deals.
        intervals: Of the scores.
        recalls: For each class, in label order.
        rise: From half of the pictures to all of them, on equal pictures.
    """

    shares: tuple[float, ...]
    images: tuple[int, ...]
    scores: tuple[float, ...]
    intervals: tuple[Interval, ...]
    recalls: tuple[tuple[float, ...], ...]
    rise: Interval


def learning_curve(
    probes: Sequence[Fit],
    labels: ArrayLike,
    classes: int,
    deals: Sequence[Deal],
    *,
    metric: str,
    groups: Groups | None = None,
    seed: int = 0,
) -> LearningCurve:
    """Fit the probes again on nested shares of each fold's training pictures.

    Args:
        probes: One a network; their probabilities are averaged. Penalty and temperature stay as they are.
        labels: `(n,)`.
        classes: C.
        deals: Several, so that the luck of one matters less.
        metric: As in `score`.
        groups: `(n,)`, of pictures that belong together; the deals respect them.
        seed: Of the resamples.
    """
    truth = np.asarray(labels, dtype=np.int64)
    alike = metric in CLASSES_ALIKE
    # deals x shares of (n, C), each condensed before the next is made
    answers = (each for deal in deals for each in _averaged(probes, truth, classes, deal, classes_alike=alike))
    outcomes = Outcomes.of(answers, truth)
    by_deal = (len(deals), len(SHARES))
    scores = plain_scores(metric, outcomes).reshape(by_deal).mean(axis=0)
    rng = np.random.default_rng(seed)
    drawn = bootstrap_weights(truth, groups=groups, repeats=RESAMPLES, rng=rng)
    samples = np.concatenate([weighted_scores(metric, outcomes, chunk) for chunk in drawn])  # (B, deals * shares)
    samples = samples.reshape(-1, *by_deal).mean(axis=1)
    hit = (outcomes.predicted == truth).reshape(*by_deal, -1).mean(axis=0)  # (shares, n)
    return LearningCurve(
        shares=SHARES,
        images=tuple(round(count) for count in _trained_on(deals)),
        scores=tuple(map(float, scores)),
        intervals=tuple(map(_interval, samples.T)),
        recalls=tuple(tuple(hit[:, truth == c].mean(axis=1).tolist()) for c in range(classes)),
        rise=_interval(samples[:, ALL] - samples[:, HALF]),
    )


def _averaged(
    probes: Sequence[Fit], labels: Integers, classes: int, deal: Deal, *, classes_alike: bool
) -> Iterator[Predictions]:
    """For each share `(n, C)` log-probabilities of pictures in folds that were not trained on.

    None of them is held here while the next is made, and of the networks' answers one at a time.
    """
    answers = [_answers(one, labels, classes, deal) for one in probes]
    for share in range(len(SHARES)):
        if classes_alike:
            yield tempered(_less_priors(together(map(next, answers)), labels, deal, share), 1.0)
        else:
            yield together(map(next, answers))


def _less_priors(log_probs: Floats, labels: Integers, deal: Deal, share: int) -> Floats:
    """Take out, in place, how frequent each class was among what answered a picture: nothing of one it never saw."""
    used = deal.quarter <= share
    for fold in range(int(deal.fold.max()) + 1):
        own = deal.fold == fold
        log_probs[own] -= log_priors(labels[used & ~own], log_probs.shape[1])
    return log_probs


def _answers(fit: Fit, labels: Integers, classes: int, deal: Deal) -> Iterator[Predictions]:
    """One network's `(n, C)` for each share.

    The normal equations of a share are sums over blocks of (fold, quarter): every block is multiplied once.
    """
    x = np.column_stack([fit.directions.coordinates, np.ones(len(labels))])  # the last is the intercept
    folds = int(deal.fold.max()) + 1
    grams = np.zeros((folds, x.shape[1], x.shape[1]))
    moments = np.zeros((folds, x.shape[1], classes))
    penalty = np.diag([*np.full(x.shape[1] - 1, fit.penalty), np.finfo(np.float64).eps])
    for share in range(len(SHARES)):
        for fold in range(folds):
            rows = (deal.fold == fold) & (deal.quarter == share)
            grams[fold] += x[rows].T @ x[rows]
            moments[fold] += x[rows].T @ one_hot(labels[rows], classes)
        yield tempered(_scored(x, grams, moments, penalty, deal.fold), fit.temperature)


def _scored(x: Floats, grams: Floats, moments: Floats, penalty: Floats, fold_of: Integers) -> Floats:
    """`(n, C)`: what the fits without each fold say of its pictures."""
    scores = np.zeros((len(x), moments.shape[2]))
    for fold in range(len(grams)):
        own = fold_of == fold
        weights = np.linalg.solve(grams.sum(axis=0) - grams[fold] + penalty, moments.sum(axis=0) - moments[fold])
        scores[own] = x[own] @ weights
    return scores


def _trained_on(deals: Sequence[Deal]) -> Floats:
    """`(shares,)`: the mean over folds and deals."""
    counts = [
        [np.sum((deal.fold != fold) & (deal.quarter <= share)) for share in range(len(SHARES))]
        for deal in deals
        for fold in range(int(deal.fold.max()) + 1)
    ]
    return np.asarray(np.mean(counts, axis=0), dtype=np.float64)


def _interval(samples: Floats) -> Interval:
    low, high = np.nanquantile(samples, [LOW, HIGH])
    return Interval(low=float(low), high=float(high))
