"""Ridge probes: a linear classifier on fixed features, in closed form, each picture answered by a fit without it.

Least squares on labels of 0 and 1 with a penalty on the weights (Hoerl and Kennard 1970). Leaving a picture out of such
a fit needs no second fit (Allen 1974, PRESS), and leaving out all that belong together needs one small system a group.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tlsearch.stats.calibration import fit_temperature, tempered
from tlsearch.stats.metrics import Floats, Groups, Integers
from tlsearch.stats.resampling import units_of

Features = NDArray[np.floating]  # (n, D)
PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # of features whose mean square length is 1
DIRECTIONS = 512  # the strongest, of 1 280: the others change no ranking by more than 0.2 points, and cost the time
ROUNDING = 1e-7  # of the largest singular value: directions below are noise of the arithmetic


@dataclass(frozen=True, slots=True, kw_only=True)
class Directions:
    """Features in the coordinates of their own spread; labels play no part in it.

    Args:
        unit: `(n, k)` orthonormal columns of mean 0.
        spread: `(k,)` how far the features reach along each, the largest first.
    """

    unit: Floats
    spread: Floats

    @classmethod
    def of(cls, features: Features) -> "Directions":
        """Scale each picture's features to length 1, centre them, and turn them to their main directions.

        Of the networks tried, lengths tell of contrast and light more than of what is seen.

        Args:
            features: `(n, D)` pooled features, at least one picture.
        """
        x = np.asarray(features, dtype=np.float64)
        x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.finfo(np.float64).tiny)
        x -= x.mean(axis=0)
        x /= max(np.sqrt(np.mean(np.sum(x**2, axis=1))), np.finfo(np.float64).tiny)
        unit, spread = _main_directions(x)
        return cls(unit=unit, spread=spread)

    @property
    def coordinates(self) -> Floats:
        """`(n, k)`: the features, turned."""
        return np.asarray(self.unit * self.spread)


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """What a probe says of each picture when it was fitted without it and without all that belong to it.

    Args:
        directions: Of the features.
        wanted: `(n, C)` labels as 0 and 1.
        groups: Rows that belong together, for each group.
        penalty: On the weights.
    """

    directions: Directions
    wanted: Floats
    groups: Sequence[Integers]
    penalty: float

    @cached_property
    def scores(self) -> Floats:
        """`(n, C)`: about 1 for the class that is seen, about 0 for the others."""
        n = len(self.wanted)
        unit, spread = self.directions.unit, self.directions.spread
        shrunk = spread**2 / (spread**2 + self.penalty)  # (k,)
        mean = self.wanted.mean(axis=0)
        residual = self.wanted - mean - (unit * shrunk) @ (unit.T @ (self.wanted - mean))
        alone = np.array([rows[0] for rows in self.groups if len(rows) == 1], dtype=np.int64)
        leverage = (unit[alone] ** 2) @ shrunk + 1 / n
        residual[alone] /= (1 - leverage)[:, None]
        for rows in self.groups:
            if len(rows) > 1:  # residuals without them are (I - H)^-1 r, where H is the hat matrix among them
                hat = (unit[rows] * shrunk) @ unit[rows].T + 1 / n
                residual[rows] = np.linalg.solve(np.eye(len(rows)) - hat, residual[rows])
        return np.asarray(self.wanted - residual)

    @property
    def loss(self) -> float:
        """Mean squared distance from the labels."""
        return float(np.mean((self.wanted - self.scores) ** 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """A probe of one network's features.

    Args:
        directions: Of the features.
        log_probs: `(n, C)`, of each picture by a fit without it.
        penalty: Under which pictures that were left out are answered best.
        temperature: That makes probabilities of scores, fitted on those answers.
    """

    directions: Directions
    log_probs: Floats
    penalty: float
    temperature: float


def probe(features: Features, labels: ArrayLike, classes: int, *, groups: Groups | None = None) -> Probed:
    """Fit a probe, and answer every picture without it.

    Args:
        features: `(n, D)` pooled features.
        labels: `(n,)`.
        classes: C.
        groups: `(n,)`, of pictures that belong together: they are left out together.

    Raises:
        ValueError: Where all pictures belong together, so that nothing is left to fit on.
    """
    truth = np.asarray(labels, dtype=np.int64)
    rows = _rows_of_groups(truth, groups)
    if len(rows) < 2:
        raise ValueError("nothing is left to fit on: all pictures belong together")
    directions = Directions.of(features)
    wanted = one_hot(truth, classes)
    tried = [LeftOut(directions=directions, wanted=wanted, groups=rows, penalty=penalty) for penalty in PENALTIES]
    best = min(tried, key=lambda one: one.loss)
    temperature = fit_temperature(best.scores, truth)
    return Probed(
        directions=directions,
        log_probs=np.asarray(tempered(best.scores, temperature), dtype=np.float64),
        penalty=best.penalty,
        temperature=temperature,
    )


def one_hot(labels: Integers, classes: int) -> Floats:
    """`(n, C)`: 1 at each picture's class."""
    return np.eye(classes)[labels]


def _main_directions(x: Floats) -> tuple[Floats, Floats]:
    """`(n, k)` left singular vectors and `(k,)` singular values, by the smaller of the two Gram matrices."""
    n, width = x.shape
    values, vectors = np.linalg.eigh(x @ x.T if n <= width else x.T @ x)  # ascending
    spread = np.sqrt(np.maximum(values[::-1][:DIRECTIONS], 0.0))
    vectors = vectors[:, ::-1][:, :DIRECTIONS]
    kept = spread > ROUNDING * max(spread[0], np.finfo(np.float64).tiny)
    spread, vectors = spread[kept], vectors[:, kept]
    return np.asarray(vectors if n <= width else x @ vectors / spread), spread


def _rows_of_groups(labels: Integers, groups: Groups | None) -> list[Integers]:
    unit, _ = units_of(labels, groups)
    order = np.argsort(unit, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(unit[order])) + 1)
