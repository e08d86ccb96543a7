"""Figures of one benchmark for the table of all: what `--json FILE` writes, and `peers.py --gather FILE` takes in."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from provenance import Provenance, now

# Units of which less is better; of all others more is.
LESS_IS_BETTER = ("s", "ms", "MB", "%", "trials", "times as long", "times as much", "relative", "of the largest value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row.

    Args:
        row: What was measured.
        target: What is promised; None where nothing is.
        stretch: What is hoped for.
        measured: In the unit; None where it was not measured.
        unit: Says whether more is better: "times" is, "times as long" is not.
        told: More of what was measured, such as an interval.
    """

    row: str
    target: float | None
    stretch: float | None
    measured: float | None
    unit: str
    told: str = ""

    def meets(self, goal: float) -> bool:
        """Whether what was measured is as good as a goal."""
        assert self.measured is not None, "a goal is held against a measurement"
        return self.measured <= goal if self.unit in LESS_IS_BETTER else self.measured >= goal

    @property
    def missed(self) -> bool:
        """Whether something was promised, and what was measured is less."""
        return self.target is not None and self.measured is not None and not self.meets(self.target)

    def line(self) -> str:
        """The row of a Markdown table under `HEAD`."""
        if self.measured is None:
            cells = ["not measured", _goal(self.target), _goal(self.stretch)]
        else:
            more = f" ({self.told})" if self.told else ""
            cells = [
                f"{digits(self.measured)} {self.unit}{more}",
                self._judged(self.target),
                self._judged(self.stretch),
            ]
        return f"| {' | '.join([self.row, *cells])} |"

    def _judged(self, goal: float | None) -> str:
        if goal is None:
            return ""
        return f"{_goal(goal)}: {'met' if self.meets(goal) else '**missed**'}"


HEAD = "| | measured | target | stretch |\n|---|---|---|---|"


def table(figures: Sequence[Figure]) -> str:
    """Figures and what is promised of them, as Markdown."""
    return "\n".join([HEAD, *(figure.line() for figure in figures)])


def digits(value: float) -> str:
    """Three digits of a figure."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def save(figures: Sequence[Figure], file: Path, *, by: str, machine: str = "") -> None:
    """Write them as JSON, with what they were made with.

    Args:
        figures: Of one benchmark.
        file: Is written anew.
        by: The benchmark's script, without its ending.
        machine: Where it ran, if that is a GPU.
    """
    made = Provenance.of_now()
    made = replace(made, machine=machine) if machine else made
    told: dict[str, Any] = {"by": by, "made": asdict(made), "date": now()}
    told["figures"] = [asdict(figure) for figure in figures]
    file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def _goal(goal: float | None) -> str:
    return "" if goal is None else f"{goal:g}"
