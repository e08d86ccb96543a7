"""Floors on a terminal: what single classes must reach, and what the named configuration reaches."""

from rich.console import RenderableType
from rich.text import Text

from tlsearch.report.results import NARROW, section, table
from tlsearch.report.text import NOTHING, Words
from tlsearch.report.values import Summary
from tlsearch.stats.floors import Reached, unkept


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
        cells = [_share(one.wanted), _share(one.reached), *([_share(one.again)] if again else [])]
        found.add_row(words.name(one.floor), *cells, _mark(one))
    note = (
        "Recall: the share of a class that is found. Precision: the share of right answers among those that name it. "
        "Others may rank higher, and miss a floor."
    )
    if again:
        note += " Again: with other folds and seeds."
    return section("What single classes must reach", found, Text(note, style="dim"))


def not_kept(summary: Summary) -> str:
    """A sentence where no configuration keeps all floors, else ""."""
    said = unkept(summary.floors)
    return f"{said[0].upper()}{said[1:]}." if said else ""


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.1f} %"


def _mark(one: Reached) -> Text:
    if not one.holds:
        return Text("missed", style="red")
    lost = one.again is not None and one.again < one.wanted
    return Text("kept, not again", style="yellow") if lost else Text("kept", style="green")
