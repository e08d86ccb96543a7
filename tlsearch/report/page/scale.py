"""Where values lie on an axis that is drawn with plain boxes, in per cent of its width."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

STEPS = (1.0, 2.0, 5.0, 10.0)  # times a power of ten
MOST_TICKS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """An axis from `start` to `end`, with ticks at round values between them."""

    start: float
    end: float
    ticks: tuple[float, ...]

    @classmethod
    def over(cls, values: Iterable[float]) -> "Scale":
        """An axis that holds all values, with a little room on both sides."""
        known = [value for value in values if isfinite(value)] or [0.0, 1.0]
        low, high = min(known), max(known)
        room = 0.08 * (high - low) or 0.01
        start, end = low - room, high + room
        step = _step((end - start) / MOST_TICKS)
        ticks = tuple(step * i for i in range(ceil(start / step), floor(end / step) + 1))
        return cls(start=start, end=end, ticks=ticks)

    def at(self, value: float) -> float:
        """Where a value lies: 0 to 100."""
        return round(100 * min(1.0, max(0.0, (value - self.start) / (self.end - self.start))), 2)


def _step(rough: float) -> float:
    """The smallest round step that is not below a rough one."""
    power = 10.0 ** floor(log10(rough))
    return next(step * power for step in STEPS if step * power >= rough * (1 - 1e-9))
