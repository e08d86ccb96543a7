"""Floors: the least recall or precision that a class must reach, and by how much answers miss it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from tlsearch.stats.metrics import ClassScores, Floats, Outcomes, Predictions, Weights, per_class

MEASURES: tuple[Literal["recall", "precision"], ...] = ("recall", "precision")


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """What one class must reach.

    Args:
        measure: Of that class.
        name: The class.
        label: Its number.
        wanted: Above 0, at most 1.
    """

    measure: Literal["recall", "precision"]
    name: str
    label: int
    wanted: float

    @property
    def key(self) -> str:
        """As a study file writes it below `[constraints]`: `min_recall.cat`."""
        return f"min_{self.measure}.{self.name}"

    def reached(self, scores: Sequence[ClassScores]) -> float:
        """What the class reached; 0 where nothing is known, such as the precision of a class that is never named."""
        own = scores[self.label]
        value = own.recall if self.measure == "recall" else own.precision
        return 0.0 if math.isnan(value) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What a configuration reached of one floor.

    Args:
        floor: Its key.
        wanted: As in the study file.
        reached: While searching: this decides whether the floor is kept.
        again: With other folds and seeds, where it was scored again.
    """

    floor: str
    wanted: float
    reached: float
    again: float | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Reached":
        """As the event of a choice has it, where it stands beside whether it holds."""
        return cls(**{key: value for key, value in data.items() if key != "holds"})

    @property
    def holds(self) -> bool:
        """Whether the floor is kept."""
        return self.reached >= self.wanted


def floors_of(constraints: Mapping[str, Mapping[str, float]], classes: Sequence[str]) -> tuple[Floor, ...]:
    """The floors of a study, in the order of its classes.

    Args:
        constraints: As `[constraints]` has them: `{"min_recall": {"cat": 0.8}}`; unknown classes are left out.
        classes: Names in label order.
    """
    return tuple(
        Floor(measure=measure, name=name, label=label, wanted=constraints[f"min_{measure}"][name])
        for measure in MEASURES
        for label, name in enumerate(classes)
        if name in constraints.get(f"min_{measure}", {})
    )


def shortfalls(floors: Sequence[Floor], log_probs: Predictions, labels: ArrayLike) -> dict[str, float]:
    """By how much each floor is missed, by its key: `wanted - reached`, kept where that is 0 or less.

    Args:
        floors: Of the study.
        log_probs: `(n, C)`; rows of NaN were not predicted and do not count.
        labels: `(n,)`.
    """
    if not floors:
        return {}
    scores = per_class(log_probs, labels)
    return {floor.key: floor.wanted - floor.reached(scores) for floor in floors}


def reached(
    floors: Sequence[Floor], log_probs: Predictions, labels: ArrayLike, *, again: Predictions | None = None
) -> tuple[Reached, ...]:
    """What a configuration reached of each floor.

    Args:
        floors: Of the study.
        log_probs: `(n, C)`, while searching.
        labels: `(n,)`.
        again: `(n, C)`, with other folds and seeds.
    """
    scores, scores_again = per_class(log_probs, labels), None if again is None else per_class(again, labels)
    return tuple(
        Reached(
            floor=floor.key,
            wanted=floor.wanted,
            reached=floor.reached(scores),
            again=None if scores_again is None else floor.reached(scores_again),
        )
        for floor in floors
    )


def unkept(results: Sequence[Reached]) -> str:
    """What no configuration keeps and how near the nearest comes, in words; "" where this one keeps all floors."""
    if all(result.holds for result in results):
        return ""
    wanted = " and ".join(f"{result.floor} = {result.wanted:g}" for result in results)
    # rounded down: 0.796 would read as if it kept 0.8
    found = " and ".join(f"{math.floor(100 * result.reached) / 100:.2f}" for result in results)
    return f"no configuration keeps {wanted}{' at once' if len(results) > 1 else ''}; the nearest reaches {found}"


def doubt(results: Sequence[Reached]) -> str:
    """What must be said of a configuration that does not keep its floors, or did not when scored again; else ""."""
    return unkept(results) or not_again(results)


def not_again(results: Sequence[Reached]) -> str:
    """Which floors were kept while searching and missed with other folds and seeds, in words; "" where none was."""
    missed = [one for one in results if one.holds and one.again is not None and one.again < one.wanted]
    if not missed:
        return ""
    wanted = " and ".join(f"{one.floor} = {one.wanted:g}" for one in missed)
    found = " and ".join(f"{math.floor(100 * (one.again or 0.0)) / 100:.2f}" for one in missed)
    the, were = ("the floors", "were") if len(missed) > 1 else ("the floor", "was")
    return f"{the} {wanted} {were} kept while searching, and not with other folds and seeds: {found} there"


def admitted(violations: Sequence[float], scores: Sequence[float]) -> list[int]:
    """Which configurations may be named best: those that keep all floors, or else the one that misses them least.

    Args:
        violations: Of each configuration.
        scores: Likewise; of two that miss alike the better one is nearer.

    Returns:
        Their places, in order; empty only where there is no configuration.
    """
    keeping = [place for place, missed in enumerate(violations) if missed == 0]
    nearest = sorted(range(len(violations)), key=lambda place: (violations[place], -scores[place]))[:1]
    return keeping or nearest


def violation(missed: Mapping[str, float]) -> float:
    """How far some answers are from keeping all floors: the sum of what is missed, 0 where all are kept."""
    return sum(max(0.0, value) for value in missed.values())


def violations(floors: Sequence[Floor], outcomes: Outcomes, weights: Weights) -> Floats:
    """`violation` of T models where picture i counts `weights[b, i]` times.

    Args:
        floors: Of the study.
        outcomes: Of the T models.
        weights: `(B, n)`, such as bootstrap counts.

    Returns:
        `(B, T)`.
    """
    missed = np.zeros((len(weights), len(outcomes.predicted)))
    for floor in floors:
        own = outcomes.labels == floor.label  # (n,)
        called = outcomes.predicted == floor.label  # (T, n)
        seen = outcomes.predicted >= 0
        among = called if floor.measure == "precision" else seen & own
        hits, whole = weights @ (called & own).T.astype(np.float32), weights @ among.T.astype(np.float32)
        missed += np.maximum(0.0, floor.wanted - np.divide(hits, whole, out=np.zeros_like(hits), where=whole > 0))
    return missed
