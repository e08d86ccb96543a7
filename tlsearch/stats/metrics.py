"""The metrics, as functions of weighted sums over pictures: one formula serves a score and its resamples.

Throughout, log-probabilities are `(n, C)`; a picture that no fold predicted has a row of NaN and is left out.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Weights = NDArray[np.float32]  # how much pictures count: 1 each, or as a bootstrap sample has them
Predictions = NDArray[np.floating]  # (n, C) log-probabilities
Groups = Sequence[Hashable]  # (n,), equal for pictures that belong together

# A probability of 0 would make one picture's loss infinite; scikit-learn's log_loss stops at the same value.
LOG_FLOOR = float(np.log(np.finfo(np.float64).eps))
ALL = slice(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What the metrics need of T models' predictions of n pictures.

    Args:
        predicted: `(T, n)` predicted class; -1 where a model did not predict the picture.
        loss: `(T, n)` negative log-probability of the true class; 0 where not predicted.
        labels: `(n,)` true class.
        classes: C.
    """

    predicted: Integers
    loss: Floats
    labels: Integers
    classes: int

    @classmethod
    def of(cls, predictions: Iterable[Predictions], labels: ArrayLike) -> "Outcomes":
        """Condense `(T, n, C)` log-probabilities, one model at a time: those of a generator are never held together.

        Raises:
            ValueError: Where shapes or labels don't fit together.
        """
        truth = np.asarray(labels, dtype=np.int64)  # (n,)
        rows: list[tuple[Integers, Floats]] = []
        classes = 0
        for one in map(np.asarray, predictions):
            rows.append(_condense(one, truth))
            classes = classes or int(one.shape[1])
            del one  # else it is held while the next is made
        if not rows:
            raise ValueError("there are no predictions to score")
        return cls(
            predicted=np.stack([predicted for predicted, _ in rows]),
            loss=np.stack([loss for _, loss in rows]),
            labels=truth,
            classes=classes,
        )

    @property
    def right(self) -> Weights:
        """`(n, T)`: 1 where the predicted class is the true one."""
        return np.equal(self.predicted, self.labels).T.astype(np.float32)

    @property
    def present(self) -> Weights | None:
        """`(n, T)`: 1 where the model predicted the picture at all; None where all models predicted all."""
        seen = self.predicted >= 0
        return None if seen.all() else seen.T.astype(np.float32)

    def only(self, *models: int) -> "Outcomes":
        """Those of some of the models."""
        return replace(self, predicted=self.predicted[list(models)], loss=self.loss[list(models)])

    def seen(self, groups: Groups | None) -> tuple["Outcomes", Groups | None]:
        """Without the pictures that no model predicted, and the groups of the others; None where each is alone."""
        keep = np.flatnonzero((self.predicted >= 0).any(axis=0))
        kept = replace(self, predicted=self.predicted[:, keep], loss=self.loss[:, keep], labels=self.labels[keep])
        grouped = None if groups is None else [groups[i] for i in keep.tolist()]
        alone = grouped is None or len(set(grouped)) == len(grouped)
        return kept, None if alone else grouped


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScores:
    """How one class fares."""

    support: int  # pictures of the class
    predicted: int  # pictures that were called so
    precision: float  # NaN where nothing was called so
    recall: float  # NaN without pictures of the class
    f1: float


def score(metric: str, log_probs: Predictions, labels: ArrayLike) -> float:
    """One model's metric, greater is better (a log loss is negated); NaN where no picture was predicted."""
    return float(plain_scores(metric, Outcomes.of([log_probs], labels))[0])


def plain_scores(metric: str, outcomes: Outcomes) -> Floats:
    """`(T,)`: the metric of T models where each picture counts once."""
    once = np.ones((1, outcomes.labels.size), dtype=np.float32)
    return weighted_scores(metric, outcomes, once).reshape(-1)


def weighted_scores(metric: str, outcomes: Outcomes, weights: Weights) -> Floats:
    """The metric of T models where picture i counts `weights[b, i]` times.

    Args:
        metric: "accuracy", "balanced_accuracy", "macro_f1" or "log_loss".
        outcomes: Of the T models.
        weights: `(B, n)`, such as bootstrap counts.

    Returns:
        `(B, T)`, greater is better; NaN where the weights leave nothing to score.

    Raises:
        ValueError: Where the metric is unknown.
    """
    if metric not in METRICS:
        raise ValueError(f"unknown metric '{metric}'; known: {', '.join(METRICS)}")
    return METRICS[metric](outcomes, weights)


def confusion_matrix(log_probs: Predictions, labels: ArrayLike) -> Integers:
    """`(C, C)` counts: the row is the true class, the column the predicted one."""
    outcomes = Outcomes.of([log_probs], labels)
    seen = outcomes.predicted[0] >= 0
    pairs = outcomes.labels[seen] * outcomes.classes + outcomes.predicted[0, seen]
    counts = np.bincount(pairs, minlength=outcomes.classes**2)
    return counts.reshape(outcomes.classes, outcomes.classes).astype(np.int64)


def per_class(log_probs: Predictions, labels: ArrayLike) -> tuple[ClassScores, ...]:
    """Precision, recall and F1 of each class, in label order."""
    matrix = confusion_matrix(log_probs, labels).astype(np.float64)
    hits, support, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall = _ratio(hits, predicted), _ratio(hits, support)
    f1 = _ratio(2 * hits, support + predicted)
    return tuple(
        ClassScores(
            support=int(support[c]),
            predicted=int(predicted[c]),
            precision=float(precision[c]),
            recall=float(recall[c]),
            f1=float(f1[c]),
        )
        for c in range(len(hits))
    )


def _condense(log_probs: Predictions, labels: Integers) -> tuple[Integers, Floats]:
    if log_probs.ndim != 2 or len(log_probs) != len(labels):
        raise ValueError(f"predictions of shape {log_probs.shape} do not fit {len(labels)} labels")
    if labels.size and not 0 <= labels.min() <= labels.max() < log_probs.shape[1]:
        raise ValueError(f"labels must lie in 0 to {log_probs.shape[1] - 1}")
    missing = np.isnan(log_probs).any(axis=1)  # (n,)
    predicted = np.where(missing, -1, np.nan_to_num(log_probs, nan=-np.inf).argmax(axis=1))
    of_truth = log_probs[np.arange(len(labels)), labels].astype(np.float64)
    return predicted, np.where(missing, 0.0, -np.clip(of_truth, LOG_FLOOR, 0.0))


def _accuracy(outcomes: Outcomes, weights: Weights) -> Floats:
    return _ratio(weights @ outcomes.right, _counted(weights, outcomes.present))


def _balanced_accuracy(outcomes: Outcomes, weights: Weights) -> Floats:
    # The mean recall of the classes that occur: a class without pictures says nothing about a model.
    right, present = outcomes.right, outcomes.present

    def recall(label: int) -> Floats:
        rows = np.flatnonzero(outcomes.labels == label)
        return _ratio(weights[:, rows] @ right[rows], _counted(weights, present, rows))

    return _mean_of_known(map(recall, np.unique(outcomes.labels)))


def _macro_f1(outcomes: Outcomes, weights: Weights) -> Floats:
    # The mean over the classes that occur as truth or as prediction, as scikit-learn has it.
    right, present = outcomes.right, outcomes.present

    def f1(label: int) -> Floats:
        rows = np.flatnonzero(outcomes.labels == label)
        hits = weights[:, rows] @ right[rows]
        support = _counted(weights, present, rows)
        called_so = weights @ (outcomes.predicted == label).T.astype(np.float32)
        return _ratio(2 * hits, support + called_so)

    return _mean_of_known(map(f1, range(outcomes.classes)))


def _negative_log_loss(outcomes: Outcomes, weights: Weights) -> Floats:
    return -_ratio(weights.astype(np.float64) @ outcomes.loss.T, _counted(weights, outcomes.present))


METRICS: Mapping[str, Callable[[Outcomes, Weights], Floats]] = MappingProxyType(
    {
        "accuracy": _accuracy,
        "balanced_accuracy": _balanced_accuracy,
        "macro_f1": _macro_f1,
        "log_loss": _negative_log_loss,
    }
)


def _counted(weights: Weights, present: Weights | None, rows: Integers | slice = ALL) -> Weights:
    """`(B, T)`, or `(B, 1)` where it is the same for all models: the weight of the predicted pictures."""
    chosen = weights[:, rows]
    if present is None:
        return np.asarray(chosen.sum(axis=1, keepdims=True))
    return np.asarray(chosen @ present[rows])


def _ratio(over: Floats | Weights, under: Floats | Weights) -> Floats:
    out = np.full(np.broadcast_shapes(over.shape, under.shape), np.nan)
    np.divide(over, under, out=out, where=under > 0, dtype=np.float64)
    return out


def _mean_of_known(parts: Iterable[Floats]) -> Floats:
    """`(B, T)`: the mean over the classes of which something is known, one class at a time."""
    rest = iter(parts)
    first = next(rest, None)
    if first is None:
        raise ValueError("there are no classes to average over")
    if first.size == 1:  # one score: numpy adds up what lies side by side in another order, and more exactly
        values = np.array([first.item(), *(part.item() for part in rest)])
        known = ~np.isnan(values)
        return _ratio(
            np.where(known, values, 0.0).sum().reshape(first.shape), known.sum(dtype=np.float64).reshape(first.shape)
        )
    total, count = np.where(np.isnan(first), 0.0, first), (~np.isnan(first)).astype(np.float64)
    for part in rest:
        known = ~np.isnan(part)
        np.add(total, part, out=total, where=known)
        count += known
    return _ratio(total, count)
