"""Floors in words: what single classes must reach, and what the named configuration reaches."""

from enum import Enum
from math import floor

from rich.console import RenderableType
from rich.text import Text

from tlsearch.report.results import NARROW, section, table
from tlsearch.report.text import NOTHING, Words
from tlsearch.report.values import Summary
from tlsearch.stats.floors import Reached, doubt


class Standing(Enum):
    """Whether a floor is kept, in words."""

    KEPT = "kept"
    ONCE = "kept, not again"  # with other folds and seeds
    MISSED = "missed"

    @classmethod
    def of(cls, one: Reached) -> "Standing":
        """Of what was reached of a floor."""
        if not one.holds:
            return cls.MISSED
        return cls.ONCE if one.again is not None and one.again < one.wanted else cls.KEPT


STYLES = {Standing.KEPT: "green", Standing.ONCE: "yellow", Standing.MISSED: "red"}


def floors(summary: Summary, words: Words, width: int) -> RenderableType | None:
    """Each floor, with what was reached while searching and when scored again."""
    if not summary.floors:
        return None
    again = width >= NARROW and any(one.again is not None for one in summary.floors)
    found = table()
    found.add_column("floor", overflow="fold")
    for column in ("wanted", "reached", *(["again"] if again else [])):
        found.add_column(column, justify="right", no_wrap=True)
    found.add_column("", no_wrap=True)
    for one in summary.floors:
        cells = [wanted_share(one), reached_share(one.reached), *([reached_share(one.again)] if again else [])]
        standing = Standing.of(one)
        found.add_row(words.name(one.floor), *cells, Text(standing.value, style=STYLES[standing]))
    note = (
        "Recall: the share of a class that is found. Precision: the share of right answers among those that name it. "
        "Others may rank higher, and miss a floor."
    )
    if again:
        note += " Again: with other folds and seeds."
    return section("What single classes must reach", found, Text(note, style="dim"))


def not_kept(summary: Summary) -> str:
    """A sentence where what is named does not keep all floors, or did not when it was scored again; else ""."""
    said = doubt(summary.floors)
    return f"{said[0].upper()}{said[1:]}." if said else ""


def wanted_share(one: Reached) -> str:
    """What a class must reach: `80.0 %`."""
    return f"{100 * one.wanted:.1f} %"


def reached_share(value: float | None) -> str:
    """What a class reaches, rounded down: 79.96 % would read as if it kept a floor of 80 %."""
    return NOTHING if value is None else f"{floor(1000 * value + 1e-9) / 10:.1f} %"
