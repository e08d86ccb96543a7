"""What a study file writes in short, as types: ranges, times, names and counts."""

import math
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, PlainValidator

from tlsearch.records import Json
from tlsearch.space import Choice, FloatRange, IntRange, ParamValue, Range


class RangeError(ValueError):
    """A range that is none; `key` is "low", "high" or "log" where one of them is to blame, else ""."""

    def __init__(self, message: str, *, key: str = "") -> None:
        super().__init__(message)
        self.key = key


def read_range(value: Any) -> Range:
    """Read `[64, 128]`, `{ low = 1, high = 9, log = true }` or one plain value as a range.

    Raises:
        RangeError: Where it is none of these, or its ends don't make a range.
    """
    if isinstance(value, Choice | IntRange | FloatRange):
        return value
    if isinstance(value, dict):
        return _read_ends(value)
    return _read_choice(value if isinstance(value, list | tuple) else (value,))


def write_range(value: Range) -> Json:
    """What `read_range` reads back as the same range."""
    if isinstance(value, Choice):
        return list(value.values)
    return {"low": value.low, "high": value.high, "log": value.log}


def read_duration(value: Any) -> Any:
    """Seconds of a text such as "90s", "10m" or "1h30m"; anything but a text is returned as it is.

    Raises:
        ValueError: Where the text is no such time.
    """
    if not isinstance(value, str):
        return value
    number = r"(\d{1,9}(?:\.\d{1,6})?)"
    match = re.fullmatch(rf"(?:{number}h)?(?:{number}m)?(?:{number}s)?", value.strip())
    if match is None or not any(match.groups()):
        raise ValueError(f'expected a time such as "90s", "10m" or "1h30m", not \'{value}\'')
    seconds = sum(float(part or 0) * unit for part, unit in zip(match.groups(), (3600, 60, 1), strict=True))
    if seconds == 0:
        raise ValueError(f"expected a time above 0, not '{value}'")
    return seconds


def numbers(*, at_least: float, below: float = math.inf, whole: bool = False) -> Callable[[Range], Range]:
    """A check that every value of a range is a number from `at_least` up to, and without, `below`."""

    def check(value: Range) -> Range:
        for number in _extremes(value):
            if isinstance(number, bool) or not isinstance(number, int if whole else int | float):
                raise ValueError(f"expected {'whole numbers' if whole else 'numbers'}, not {number!r}")
            if not at_least <= number < below:
                limit = f" and below {below:g}" if below < math.inf else ""
                raise ValueError(f"expected at least {at_least:g}{limit}, not {number!r}")
        return value

    return check


def listed(value: Any) -> Any:
    """One plain text as a list of it, as ranges have it; anything else as it is."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def by_class(value: Any) -> Any:
    """Check that a bare number has the name of a class before it."""
    if isinstance(value, int | float):
        raise ValueError(f"name the class that must reach it: CLASS = {value}")
    return value


def distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    """Check that there is at least one name and none twice."""
    if not values:
        raise ValueError("is empty; name at least one")
    if len(set(values)) < len(values):
        raise ValueError("a name is listed twice")
    return values


def named(value: str) -> str:
    """Check that a text is not empty."""
    if not value.strip():
        raise ValueError("is empty")
    return value


def pattern(value: str) -> str:
    """Check that a text is a regular expression."""
    try:
        re.compile(value)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return value


SearchedRange = Annotated[Range, PlainValidator(read_range), PlainSerializer(write_range)]
Duration = Annotated[float, Field(gt=0), BeforeValidator(read_duration)]  # seconds
Name = Annotated[str, AfterValidator(named)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Rate = Annotated[float, Field(gt=0)]


def _read_ends(value: dict[str, Any]) -> Range:
    for key in value:
        if key not in ("low", "high", "log"):
            raise RangeError("unknown; a range has low, high and log", key=key)
    if not {"low", "high"} <= set(value):
        raise RangeError("a range is { low = …, high = … } or a list of values")
    low, high, log = value["low"], value["high"], value.get("log", False)
    for key, end in (("low", low), ("high", high)):
        if not _finite(end):
            raise RangeError(f"expected a number, not {end!r}", key=key)
    if not isinstance(log, bool):
        raise RangeError(f"expected true or false, not {log!r}", key="log")
    if low > high:
        raise RangeError(f"{low} is above high {high}", key="low")
    if log and low <= 0:
        raise RangeError(f"a logarithmic range starts above 0, not at {low}", key="low")
    whole = isinstance(low, int) and isinstance(high, int)
    return IntRange(low, high, log) if whole else FloatRange(low, high, log)


def _read_choice(values: list[Any] | tuple[Any, ...]) -> Choice:
    if not values:
        raise RangeError("is empty; name at least one value")
    for value in values:
        if not isinstance(value, bool | str) and not _finite(value):
            raise RangeError(f"a choice lists numbers, texts or true and false, not {value!r}")
    if len({(type(value), value) for value in values}) < len(values):
        raise RangeError("a value is listed twice")
    return Choice(*values, strict=False)


def _finite(value: Any) -> bool:
    # a whole number of a study file has any length, so it is compared and never made a float
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e300 < value < 1e300


def _extremes(value: Range) -> tuple[ParamValue, ...]:
    return value.values if isinstance(value, Choice) else (value.low, value.high)
