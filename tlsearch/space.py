"""Search ranges: what the search may propose for one parameter."""

import math
from dataclasses import dataclass
from typing import Any

ParamValue = bool | int | float | str


@dataclass(frozen=True, slots=True, init=False)
class Choice:
    """One of a few values.

    Args:
        values: The values that the search proposes, in the order in which reports list them.
        strict: False where a study file may also write other values of the parameter's type,
            such as a published recipe's odd layer size.
    """

    values: tuple[ParamValue, ...]
    strict: bool

    def __init__(self, *values: ParamValue, strict: bool = True) -> None:
        if not values:
            raise ValueError("a choice needs at least one value")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "strict", strict)

    def check(self, value: Any) -> Any:
        """Return the value, or raise ValueError where it is none of the choices."""
        if self.strict and value not in self.values:
            raise ValueError(f"{value!r} is not one of {', '.join(map(repr, self.values))}")
        return value


@dataclass(frozen=True, slots=True)
class IntRange:
    """Whole numbers from low to high, both included."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_ends(self.low, self.high, log=self.log)

    def check(self, value: Any) -> Any:
        """Return the value, or raise ValueError where it lies outside."""
        return _check_within(value, self.low, self.high)


@dataclass(frozen=True, slots=True)
class FloatRange:
    """Numbers from low to high, both included; `log` where factors matter, not differences."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise ValueError("both ends of a range must be finite")
        _check_ends(self.low, self.high, log=self.log)

    def check(self, value: Any) -> Any:
        """Return the value, or raise ValueError where it lies outside."""
        return _check_within(value, self.low, self.high)


Range = Choice | IntRange | FloatRange


def _check_ends(low: float, high: float, *, log: bool) -> None:
    if low > high:
        raise ValueError(f"low {low} is above high {high}")
    if log and low <= 0:
        raise ValueError(f"a logarithmic range starts above 0, not at {low}")


def _check_within(value: Any, low: float, high: float) -> Any:
    if not low <= value <= high:
        raise ValueError(f"{value} is outside {low} to {high}")
    return value
