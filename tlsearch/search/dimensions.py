"""Dimension: one searched name, its range, and the choices under which it counts."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial

from tlsearch.records import Json
from tlsearch.space import Choice, FloatRange, ParamValue, Range


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A dimension counts only where another one has a certain value.

    Args:
        on: The other dimension.
        equals: The value it must have; None: any but 0.
    """

    on: str
    equals: ParamValue | None = None

    def holds(self, values: Mapping[str, ParamValue]) -> bool:
        """Whether the condition is met; `values` hold the dimension it speaks of."""
        return values[self.on] != 0 if self.equals is None else values[self.on] == self.equals

    def __str__(self) -> str:
        return f"{self.on}>0" if self.equals is None else f"{self.on}={self.equals}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One name of the search.

    Args:
        name: As Optuna, the store and reports know it.
        range: What it may be.
        when: Where it counts; None: always.
        default: What a plugin takes where a recipe does not say.
    """

    name: str
    range: Range
    when: Condition | None = None
    default: ParamValue | None = None

    @property
    def fixed(self) -> bool:
        """Whether there is only one value, so that nothing is searched."""
        if isinstance(self.range, Choice):
            return len(self._choices) == 1
        return self.range.low == self.range.high

    @property
    def first(self) -> ParamValue:
        """The lowest or first value: the only one of a fixed dimension."""
        return self.range.values[0] if isinstance(self.range, Choice) else self.range.low

    def values(self) -> tuple[ParamValue, ...]:
        """All values of a choice or of whole numbers, in order; never asked of a range of fractions."""
        if isinstance(self.range, Choice):
            return self._choices
        if isinstance(self.range, FloatRange):
            raise TypeError(f"{self.name} has endlessly many values")
        return tuple(range(self.range.low, self.range.high + 1))

    @property
    def count(self) -> float:
        """How many values there are; infinitely many fractions."""
        if isinstance(self.range, Choice):
            return len(self._choices)
        if isinstance(self.range, FloatRange):
            return math.inf
        return self.range.high - self.range.low + 1

    def contains(self, value: Json) -> bool:
        """Whether the search could have chosen the value."""
        if isinstance(self.range, Choice):
            return value in self._choices
        numbers = (int, float) if isinstance(self.range, FloatRange) else (int,)
        if isinstance(value, bool) or not isinstance(value, numbers):
            return False
        return self.range.low <= value <= self.range.high

    def distribution(self) -> BaseDistribution:
        """The range in Optuna's words."""
        if isinstance(self.range, Choice):
            return CategoricalDistribution(self._choices)
        if isinstance(self.range, FloatRange):
            return FloatDistribution(self.range.low, self.range.high, log=self.range.log)
        return IntDistribution(self.range.low, self.range.high, log=self.range.log)

    def suggest(self, trial: Trial) -> ParamValue:
        """Let Optuna's trial choose a value."""
        if isinstance(self.range, Choice):
            return cast(ParamValue, trial.suggest_categorical(self.name, self._choices))
        if isinstance(self.range, FloatRange):
            return trial.suggest_float(self.name, self.range.low, self.range.high, log=self.range.log)
        return trial.suggest_int(self.name, self.range.low, self.range.high, log=self.range.log)

    def describe(self) -> dict[str, Json]:
        """The range and its condition as plain JSON; equal exactly where the dimensions are."""
        if isinstance(self.range, Choice):
            told: dict[str, Json] = {"choices": list(self._choices)}
        else:
            told = {"low": self.range.low, "high": self.range.high, "log": self.range.log}
        return told if self.when is None else {**told, "when": str(self.when)}

    @property
    def _choices(self) -> tuple[ParamValue, ...]:
        # a value written twice is one choice; values of a study file need not be hashable
        assert isinstance(self.range, Choice)
        found: list[ParamValue] = []
        for value in self.range.values:
            if value not in found:
                found.append(value)
        return tuple(found)
