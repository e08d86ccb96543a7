"""Ridge probes: a linear classifier on fixed features, in closed form, each picture answered by a fit without it.

Least squares on labels of 0 and 1 with a penalty on the weights (Hoerl and Kennard 1970). Leaving a picture out of such
a fit needs no second fit (Allen 1974, PRESS), and leaving out all that belong together needs one small system a group.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from tlsearch.stats.calibration import fit_temperature, tempered
from tlsearch.stats.directions import Directions, Features, of_unit_length
from tlsearch.stats.metrics import Floats, Groups, Integers
from tlsearch.stats.resampling import units_of

PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)  # of features whose mean square length is 1


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A ridge fit, and what it says of each picture when it is fitted without it and without all that belong to it.

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
        residual = self.wanted - self.mean - (unit * shrunk) @ (unit.T @ (self.wanted - self.mean))
        alone = np.array([rows[0] for rows in self.groups if len(rows) == 1], dtype=np.int64)
        leverage = (unit[alone] ** 2) @ shrunk + 1 / n
        residual[alone] /= (1 - leverage)[:, None]
        for rows in self.groups:
            if len(rows) > 1:  # residuals without them are (I - H)^-1 r, where H is the hat matrix among them
                hat = (unit[rows] * shrunk) @ unit[rows].T + 1 / n
                residual[rows] = np.linalg.solve(np.eye(len(rows)) - hat, residual[rows])
        return np.asarray(self.wanted - residual)

    @property
    def departures(self) -> Floats:
        """`(n, C)`: the scores without the intercepts of the fits that gave them.

        A fit without a picture has a lower intercept for its class: among the scores themselves, under a strong
        penalty, that alone would tell the classes apart.
        """
        total, n = self.wanted.sum(axis=0), len(self.wanted)
        intercepts = np.empty_like(self.wanted)
        for rows in self.groups:
            intercepts[rows] = (total - self.wanted[rows].sum(axis=0)) / (n - len(rows))
        return np.asarray(self.scores - intercepts)

    @property
    def loss(self) -> float:
        """Mean squared distance from the labels."""
        return float(np.mean((self.wanted - self.scores) ** 2))

    @property
    def mean(self) -> Floats:
        """`(C,)`: what the fit with every picture says of the mean of the features."""
        return np.asarray(self.wanted.mean(axis=0))

    @property
    def weights(self) -> Floats:
        """`(k, C)`: the fit with every picture, on coordinates; `mean` is its intercept."""
        unit, spread = self.directions.unit, self.directions.spread
        return np.asarray((spread / (spread**2 + self.penalty))[:, None] * (unit.T @ (self.wanted - self.mean)))


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
    """Fit a probe on features of unit length, and answer every picture without it.

    Args:
        features: `(n, D)` pooled features.
        labels: `(n,)`.
        classes: C.
        groups: `(n,)`, of pictures that belong together: they are left out together.

    Raises:
        ValueError: Where all pictures belong together, so that nothing is left to fit on.
    """
    truth = np.asarray(labels, dtype=np.int64)
    directions = Directions.of(of_unit_length(features))
    best = min(ridge_path(directions, truth, classes, groups=groups), key=lambda one: one.loss)
    temperature = fit_temperature(best.scores, truth)
    return Probed(
        directions=directions,
        log_probs=np.asarray(tempered(best.scores, temperature), dtype=np.float64),
        penalty=best.penalty,
        temperature=temperature,
    )


def ridge_path(
    directions: Directions, labels: Integers, classes: int, *, groups: Groups | None = None
) -> list[LeftOut]:
    """A fit for each penalty, the smallest first; all stand on one decomposition.

    Args:
        directions: Of the pictures' features.
        labels: `(n,)`.
        classes: C.
        groups: `(n,)`, of pictures that belong together: they are left out together.

    Raises:
        ValueError: Where all pictures belong together, so that nothing is left to fit on.
    """
    rows = rows_of_groups(labels, groups)
    if len(rows) < 2:
        raise ValueError("nothing is left to fit on: all pictures belong together")
    wanted = one_hot(labels, classes)
    return [LeftOut(directions=directions, wanted=wanted, groups=rows, penalty=penalty) for penalty in PENALTIES]


def apart(groups: Groups | None) -> Groups | None:
    """Groups that can be left out; None, each picture alone, where all belong together and nothing would be left."""
    return groups if groups is not None and len(set(groups)) > 1 else None


def one_hot(labels: Integers, classes: int) -> Floats:
    """`(n, C)`: 1 at each picture's class."""
    return np.eye(classes)[labels]


def rows_of_groups(labels: Integers, groups: Groups | None) -> list[Integers]:
    """The rows of each group; without groups each picture is alone."""
    unit, _ = units_of(labels, groups)
    order = np.argsort(unit, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(unit[order])) + 1)
