"""Whether stated probabilities come true, and the one number that mends them: a temperature, fitted cross-fold.

Temperature scaling divides logits by one number, which changes how sure a model is and never its answer: Guo et al.
2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599. What it does is measured on pictures that it was
not fitted on: every fold is corrected by the temperature of the other folds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tlsearch.stats.metrics import Floats, Groups, Integers, Predictions, score
from tlsearch.stats.resampling import units_of

COLDEST, HOTTEST = 0.05, 20.0  # of a temperature: beyond them all answers are 0 or 1, or all alike
HALVINGS = 24  # of the range between them: leaves 4e-7 of a temperature
PIECES = 5  # into which pictures are dealt where the study has one part
# Bins of equal mass: where most answers are sure, bins of equal width hold two pictures here and 200 there, and their
# error is more biased (Roelofs et al. 2022, arXiv:2012.08668). In 20 pictures a share has an error of 7 to 11 points.
MOST_BINS = 10
LEAST_IN_A_BIN = 20
CHANCE_REPEATS = 200
VALUES_AT_ONCE = 1_000_000  # pictures times classes that are worked on, 8 MB each of several arrays
LEAST_LOG_PROB = -1000.0  # a probability of 0 has no logarithm; e^-1000 is 0 as well


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationErrors:
    """How far stated probabilities are from what happened; 0 is best in all of them.

    Args:
        ece: Expected calibration error: how far the sureness of an answer lies from the share of right answers, the
            mean over bins of equally many pictures (Naeini et al. 2015; Nguyen and O'Connor 2015 for equal mass).
        ece_by_chance: The same of a model whose probabilities are true, by the luck of so many pictures alone.
        log_loss: Mean negative log-probability of the true class.
        brier: Squared difference to the truth, summed over classes (Brier 1950): 0 to 2.
    """

    ece: float
    ece_by_chance: float
    log_loss: float
    brier: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Pictures of about the same sureness.

    Args:
        confidence: Mean probability of the answer that was given.
        accuracy: Share of right answers.
        n: Pictures.
    """

    confidence: float
    accuracy: float
    n: int


Curve = tuple[ReliabilityBin, ...]  # least sure first


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What a temperature does to a model's probabilities.

    Args:
        temperature: To divide logits by; 1 where none made the log loss smaller on pictures it was not fitted on.
        n: Pictures that were scored.
        before: Without a temperature.
        after: Each picture under the temperature of the other folds, also where none is used.
        curve_before: Reliability curve, likewise.
        curve_after: Likewise.
    """

    temperature: float
    n: int
    before: CalibrationErrors
    after: CalibrationErrors
    curve_before: Curve
    curve_after: Curve

    @property
    def corrects(self) -> bool:
        """Whether there is a temperature that helps."""
        return self.temperature != 1.0

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary that `from_json` reads back."""
        return {
            "temperature": self.temperature,
            "n": self.n,
            "before": asdict(self.before),
            "after": asdict(self.after),
            "curve": {
                "before": [asdict(one) for one in self.curve_before],
                "after": [asdict(one) for one in self.curve_after],
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Calibration":
        """Read what `to_json` wrote."""
        return cls(
            temperature=data["temperature"],
            n=data["n"],
            before=CalibrationErrors(**data["before"]),
            after=CalibrationErrors(**data["after"]),
            curve_before=tuple(ReliabilityBin(**one) for one in data["curve"]["before"]),
            curve_after=tuple(ReliabilityBin(**one) for one in data["curve"]["after"]),
        )


def calibrate(
    log_probs: Predictions, labels: ArrayLike, *, folds: ArrayLike, groups: Groups | None = None, seed: int = 0
) -> Calibration | None:
    """Fit a temperature on out-of-fold predictions, and measure cross-fold what it does.

    Args:
        log_probs: `(n, C)`; rows of NaN, which no fold predicted, are left out.
        labels: `(n,)`.
        folds: `(n,)` part that predicted each picture. One part alone is dealt into five.
        groups: `(n,)`, of pictures that belong together: they are dealt into one piece.
        seed: Of that deal, and of what chance alone would do.

    Returns:
        None where the pictures cannot be dealt: there are none, or all of them belong together.
    """
    known = ~np.isnan(log_probs).any(axis=1)
    truth = np.asarray(labels, dtype=np.int64)[known]
    raw = np.asarray(log_probs, dtype=np.float64)[known]
    parts = np.asarray(folds, dtype=np.int64)[known]
    if np.unique(parts).size < 2:
        parts = _dealt(truth, None if groups is None else [groups[i] for i in np.flatnonzero(known).tolist()], seed)
    if np.unique(parts).size < 2:
        return None
    corrected = np.empty_like(raw)
    for part in np.unique(parts):
        own = parts == part
        corrected[own] = tempered(raw[own], fit_temperature(raw[~own], truth[~own]))
    before, after = (calibration_errors(one, truth, seed=seed) for one in (raw, corrected))
    return Calibration(
        temperature=fit_temperature(raw, truth) if after.log_loss < before.log_loss else 1.0,
        n=len(truth),
        before=before,
        after=after,
        curve_before=reliability_curve(raw, truth),
        curve_after=reliability_curve(corrected, truth),
    )


def fit_temperature(log_probs: Predictions, labels: ArrayLike) -> float:
    """The temperature of the least log loss, within 0.05 to 20, to four digits.

    By Laplace's rule of succession, of n + 2 answers one more is right and one more wrong, that one shared by the
    other classes: without it, 40 right answers of 40 would ask for certainty. Platt did so for his sigmoid (1999,
    "Probabilistic outputs for support vector machines", sec. 2.2).

    Args:
        log_probs: `(n, C)` of pictures that the model was not trained on, at least one, and no NaN.
        labels: `(n,)`.
    """
    z = np.maximum(np.asarray(log_probs, dtype=np.float64), LEAST_LOG_PROB)  # (n, C)
    n, classes = z.shape
    of_truth = z[np.arange(n), np.asarray(labels, dtype=np.int64)]
    of_others = (z.sum(axis=1) - of_truth) / (classes - 1)
    wrong = 1 / (n + 2)
    wanted = np.mean((1 - wrong) * of_truth + wrong * of_others)
    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(HALVINGS):  # the loss is convex in 1/T, so its slope changes sign once
        middle = float(np.sqrt(low * high))
        expected = np.mean(_expected(z, middle))
        low, high = (low, middle) if expected > wanted else (middle, high)
    return float(f"{1 / np.sqrt(low * high):.4g}")


def tempered(log_probs: Predictions, temperature: float) -> Predictions:
    """Log-probabilities `(n, C)` of logits, or of log-probabilities, that are divided by a temperature."""
    found = np.empty_like(log_probs, subok=False)
    for rows in _some_rows(*log_probs.shape):
        z = np.maximum(log_probs[rows], LEAST_LOG_PROB) / temperature
        z = z - z.max(axis=1, keepdims=True)
        found[rows] = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return found


def loss_of_logits(logits: Floats, labels: Integers) -> float:
    """The mean negative log-probability that logits `(n, C)` give the true classes."""
    return -score("log_loss", np.asarray(tempered(logits, 1.0), dtype=np.float64), labels)


def calibration_errors(log_probs: Predictions, labels: ArrayLike, *, seed: int = 0) -> CalibrationErrors:
    """How far `(n, C)` log-probabilities, none of them NaN, are from what happened.

    Args:
        log_probs: Of at least one picture.
        labels: `(n,)`.
        seed: Of what chance alone would do.
    """
    truth = np.asarray(labels, dtype=np.int64)
    confidence, right = _answers(log_probs, truth)
    bins = _bins(confidence)
    misses = np.exp(log_probs, dtype=np.float64)
    misses[np.arange(len(truth)), truth] -= 1.0
    rng = np.random.default_rng(seed)
    by_chance = [_ece(confidence, rng.random(len(truth)) < confidence, bins) for _ in range(CHANCE_REPEATS)]
    return CalibrationErrors(
        ece=_ece(confidence, right, bins),
        ece_by_chance=float(np.mean(by_chance)),
        log_loss=-score("log_loss", log_probs, truth),
        brier=float(np.mean(np.sum(misses**2, axis=1))),
    )


def reliability_curve(log_probs: Predictions, labels: ArrayLike) -> Curve:
    """At most ten bins of equally many pictures, at least 20 where there are so many, the least sure first."""
    confidence, right = _answers(log_probs, np.asarray(labels, dtype=np.int64))
    return tuple(
        ReliabilityBin(confidence=float(confidence[rows].mean()), accuracy=float(right[rows].mean()), n=len(rows))
        for rows in _bins(confidence)
    )


def _expected(log_probs: Floats, sharpness: float) -> Floats:
    """`(n,)` the mean of log-probabilities under the probabilities of logits that are multiplied by a number."""
    found = np.empty(len(log_probs))
    for rows in _some_rows(*log_probs.shape):
        z = log_probs[rows]
        found[rows] = np.sum(np.exp(tempered(z, 1 / sharpness)) * z, axis=1)
    return found


def _some_rows(n: int, classes: int) -> Iterator[slice]:
    """The rows of `(n, C)`, some at a time: what is made of each row knows no other, and temporaries stay small."""
    at_once = max(1, VALUES_AT_ONCE // max(1, classes))
    return (slice(start, start + at_once) for start in range(0, n, at_once))


def _answers(log_probs: Predictions, labels: Integers) -> tuple[Floats, NDArray[np.bool_]]:
    """`(n,)` the probability of each answer, and whether it was right."""
    return np.exp(log_probs.max(axis=1), dtype=np.float64), np.equal(log_probs.argmax(axis=1), labels)


def _bins(confidence: Floats) -> list[Integers]:
    """Rows of each bin, the least sure bin first."""
    count = min(MOST_BINS, max(1, len(confidence) // LEAST_IN_A_BIN))
    return np.array_split(np.argsort(confidence, kind="stable"), count)


def _ece(confidence: Floats, right: NDArray[np.bool_], bins: list[Integers]) -> float:
    off = confidence - right
    return float(sum(abs(off[rows].sum()) for rows in bins)) / len(confidence)


def _dealt(labels: Integers, groups: Groups | None, seed: int) -> Integers:
    """`(n,)` the piece of each picture: classes spread evenly, groups together."""
    unit, unit_class = units_of(labels, groups)
    shuffled = np.random.default_rng(seed).permutation(len(unit_class))
    order = shuffled[np.argsort(unit_class[shuffled], kind="stable")]
    piece = np.empty(len(order), dtype=np.int64)
    piece[order] = np.arange(len(order)) % PIECES
    return piece[unit]
