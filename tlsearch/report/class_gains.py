"""Of which classes more pictures would help: what twice as many gave to each."""

from rich.console import RenderableType

from tlsearch.report.data_check import WORTH, LearningCurve, class_gains
from tlsearch.report.results import section, table
from tlsearch.report.text import Words, number
from tlsearch.report.values import Summary

SHOWN = 10  # of the classes; `--json` has all


def gains_by_class(learning: LearningCurve, words: Words) -> RenderableType | None:
    """How many of a class's pictures are recognised with half of the pictures and with all, the most gained first.

    None where no class gained anything worth taking pictures for.
    """
    gains = class_gains(learning.per_class)
    if not gains or gains[0].gain < WORTH:
        return None
    found = table()
    found.add_column("class", overflow="fold")
    for column in ("with half", "with all", "points gained"):
        found.add_column(column, justify="right", no_wrap=True)
    for one in gains[:SHOWN]:
        shares = (f"{100 * share:.0f} %" for share in (one.half, one.whole))
        found.add_row(words.name(one.name, longest=24), *shares, f"{round(100 * one.gain):+d}")
    left = len(gains) - SHOWN
    more = f" {number(left)} more classes gained less: --json lists them." if left > 0 else ""
    how = "How many of its pictures are recognised, learning from half of the pictures and from all of them."
    return section("What more pictures did for each class", found, words.text(how + more, "dim"))


def classes(summary: Summary, words: Words, width: int) -> RenderableType | None:
    """What twice as many pictures gave to each class of a study that was checked."""
    return None if summary.check is None else gains_by_class(summary.check.learning, words)
