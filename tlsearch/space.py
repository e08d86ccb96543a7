"""Search ranges as types: one annotation is a parameter's validation, default and range.

class MlpParams(Params):
    dropout: Annotated[float, Choice(0.0, 0.2, 0.5)] = 0.0
"""

import math
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

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


class Params(BaseModel):
    """Base of a plugin's parameters: frozen, refuses unknown keys, and checks its own defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @field_validator("*")
    @classmethod
    def _lies_in_its_range(cls, value: Any, info: ValidationInfo) -> Any:
        # pydantic ignores metadata that it does not know, so the ranges are applied here
        declared = ranges_of(cls).get(info.field_name or "")
        return value if declared is None else declared.check(value)


def ranges_of(params: type[Params]) -> dict[str, Range]:
    """The searched parameters of a plugin and their ranges, in declared order.

    A parameter without a range in its annotation keeps its default: it is set, not searched.
    """
    found: dict[str, Range] = {}
    for name, field in params.model_fields.items():
        for extra in field.metadata:
            if isinstance(extra, Choice | IntRange | FloatRange):
                found[name] = extra
    return found


def _check_ends(low: float, high: float, *, log: bool) -> None:
    if low > high:
        raise ValueError(f"low {low} is above high {high}")
    if log and low <= 0:
        raise ValueError(f"a logarithmic range starts above 0, not at {low}")


def _check_within(value: Any, low: float, high: float) -> Any:
    if not low <= value <= high:
        raise ValueError(f"{value} is outside {low} to {high}")
    return value
