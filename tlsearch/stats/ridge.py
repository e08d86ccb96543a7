"""Ridge probes: a linear classifier on fixed features, in closed form, each picture answered by a fit without it.

Least squares on labels of 0 and 1 with a penalty on the weights (Hoerl and Kennard 1970). Leaving a picture out of such
a fit needs no second fit (Allen 1974, PRESS), and leaving out all that belong together needs one small system a group.
"""

from collections.abc import Iterator
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
class Task:
    """What the fits of a path have in common: all that no penalty changes, computed once.

    Args:
        directions: Of the features.
        wanted: `(n, C)` labels as 0 and 1.
        unit: `(n,)` 0 to G - 1, equal for pictures that are left out together.
    """

    directions: Directions
    wanted: Floats
    unit: Integers

    @cached_property
    def mean(self) -> Floats:
        """`(C,)`: what a fit with every picture says of the mean of the features, whatever its penalty."""
        return np.asarray(self.wanted.mean(axis=0))

    @cached_property
    def pulled(self) -> Floats:
        """`(k, C)`: the labels along each direction."""
        return np.asarray(self.directions.unit.T @ (self.wanted - self.mean))

    @cached_property
    def alone(self) -> Integers:
        """Rows of pictures that are left out alone."""
        return np.flatnonzero(np.bincount(self.unit)[self.unit] == 1)

    @cached_property
    def together(self) -> list[Integers]:
        """The rows of each group of several pictures."""
        return [rows for rows in rows_of(self.unit) if len(rows) > 1]

    @cached_property
    def squares(self) -> Floats:
        """`(pictures that are left out alone, k)`: how much each speaks for itself along each direction."""
        return np.asarray(self.directions.unit[self.alone] ** 2)

    @cached_property
    def intercepts(self) -> Floats:
        """`(n, C)`: of the fits without each picture and all that belong to it."""
        own = np.zeros((int(self.unit.max()) + 1, self.wanted.shape[1]))
        np.add.at(own, self.unit, self.wanted)
        rest = len(self.unit) - np.bincount(self.unit)
        return np.asarray(((self.wanted.sum(axis=0) - own) / rest[:, None])[self.unit])


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A ridge fit, and what it says of each picture when it is fitted without it and without all that belong to it.

    Args:
        task: What is fitted.
        penalty: On the weights.
    """

    task: Task
    penalty: float

    @cached_property
    def scores(self) -> Floats:
        """`(n, C)`: about 1 for the class that is seen, about 0 for the others."""
        task, unit, n = self.task, self.task.directions.unit, len(self.task.unit)
        shrunk = task.directions.spread**2 / (task.directions.spread**2 + self.penalty)  # (k,)
        residual = task.wanted - task.mean
        residual -= unit @ (shrunk[:, None] * task.pulled)
        residual[task.alone] /= (1 - task.squares @ shrunk - 1 / n)[:, None]
        for rows in task.together:
            within = np.column_stack([unit[rows] * np.sqrt(shrunk), np.full(len(rows), n**-0.5)])  # (g, k + 1)
            residual[rows] = _without(within, residual[rows])
        return np.subtract(task.wanted, residual, out=residual)

    @property
    def departures(self) -> Floats:
        """`(n, C)`: the scores without the intercepts of the fits that gave them.

        A fit without a picture has a lower intercept for its class: among the scores themselves, under a strong
        penalty, that alone would tell the classes apart.
        """
        return np.asarray(self.scores - self.task.intercepts)

    @property
    def loss(self) -> float:
        """Mean squared distance from the labels."""
        off = self.task.wanted - self.scores
        return float(np.mean(np.square(off, out=off)))

    @property
    def weights(self) -> Floats:
        """`(k, C)`: the fit with every picture, on coordinates; the task's `mean` is its intercept."""
        spread = self.task.directions.spread
        return np.asarray((spread / (spread**2 + self.penalty))[:, None] * self.task.pulled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How a probe of one network's features is fitted.

    Args:
        directions: Of the features.
        penalty: Under which pictures that were left out are answered best.
        temperature: That makes probabilities of scores, fitted on those answers.
    """

    directions: Directions
    penalty: float
    temperature: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed(Fit):
    """A fit, and what it says of the pictures.

    Args:
        log_probs: `(n, C)`, of each picture by a fit without it.
    """

    log_probs: Floats

    @property
    def fit(self) -> Fit:
        """Without what it says, which is as large as the labels of all classes."""
        return Fit(directions=self.directions, penalty=self.penalty, temperature=self.temperature)


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
) -> Iterator[LeftOut]:
    """A fit for each penalty, the smallest first; all stand on one decomposition.

    What a fit says of pictures is as large as the labels, and kept with it: whoever looks at one fit after another
    should hold no more of them than are wanted.

    Args:
        directions: Of the pictures' features.
        labels: `(n,)`.
        classes: C.
        groups: `(n,)`, of pictures that belong together: they are left out together.

    Raises:
        ValueError: Where all pictures belong together, so that nothing is left to fit on.
    """
    unit, _ = units_of(labels, groups)
    if not unit.any():
        raise ValueError("nothing is left to fit on: all pictures belong together")
    task = Task(directions=directions, wanted=one_hot(labels, classes), unit=unit)
    return (LeftOut(task=task, penalty=penalty) for penalty in PENALTIES)


def apart(groups: Groups | None) -> Groups | None:
    """Groups that can be left out; None, each picture alone, where all belong together and nothing would be left."""
    return groups if groups is not None and len(set(groups)) > 1 else None


def one_hot(labels: Integers, classes: int) -> Floats:
    """`(n, C)`: 1 at each picture's class."""
    wanted = np.zeros((len(labels), classes))
    wanted[np.arange(len(labels)), labels] = 1.0
    return wanted


def rows_of(unit: Integers) -> list[Integers]:
    """The rows of each of `(n,)` units, which are numbered from 0."""
    order = np.argsort(unit, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(unit[order])) + 1)


def _without(within: Floats, residual: Floats) -> Floats:
    """Residuals `(g, C)` of pictures by a fit without all of them: (I - H)^-1 residual, H the hat matrix among them.

    Of many pictures by Woodbury's identity, in as many equations as there are directions.

    Args:
        within: `(g, k + 1)`, whose product with its own transpose is H.
        residual: `(g, C)`, by the fit with all.
    """
    g, k = within.shape
    if g <= k:
        return np.asarray(np.linalg.solve(np.eye(g) - within @ within.T, residual))
    return np.asarray(residual + within @ np.linalg.solve(np.eye(k) - within.T @ within, within.T @ residual))
