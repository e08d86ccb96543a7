"""What searches on drawn worlds showed: how often their intervals held the truth, and what they claimed of equals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tlsearch.stats import Interval, wilson


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One search's figures beside the truth.

    Args:
        world: Its number.
        groups: "none", "within" a class or "across" classes.
        one_part: Whether one part was scored, and not all folds.
        rarest: Pictures of the smallest class.
        pictures: That were scored.
        expected: What the report expects of the final model.
        interval: Its interval.
        naive: The best score while searching.
        naive_interval: Of that score as if it had been the only one.
        truth: Of the final model on fresh pictures.
        seconds: Of the whole search.
    """

    world: int
    groups: str
    one_part: bool
    rarest: int
    pictures: int
    expected: float
    interval: Interval
    naive: float
    naive_interval: Interval
    truth: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What one search among equals claimed."""

    world: int
    told_apart: bool
    better_than_baseline: bool
    seconds: float


def share(hits: Sequence[bool]) -> str:
    """A share of searches, with what so many searches can say of it."""
    interval = wilson(sum(hits), len(hits))
    return f"{np.mean(hits):.1%} ({interval.low:.0%} to {interval.high:.0%})"


def holds(interval: Interval, truth: float) -> bool:
    """Whether the truth lies in it."""
    return interval.low <= truth <= interval.high


def held_table(found: Sequence[Held]) -> str:
    """How often each interval held the truth, over all and by kind."""
    kinds: dict[str, Callable[[Held], bool]] = {
        "all": lambda one: True,
        "single pictures": lambda one: one.groups == "none",
        "groups within a class": lambda one: one.groups == "within",
        "groups across classes": lambda one: one.groups == "across",
        "scored in folds": lambda one: not one.one_part,
        "scored in one part": lambda one: one.one_part,
        "a class of under 12 pictures": lambda one: one.rarest < 12,
        "under 250 pictures scored": lambda one: one.pictures < 250,
        "250 to 700 scored": lambda one: 250 <= one.pictures < 700,
        "700 and more scored": lambda one: one.pictures >= 700,
    }
    lines = [
        "| searches | how many | corrected interval holds the truth | naive interval holds it "
        "| corrected score less the truth | naive score less the truth | width: corrected, naive |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, belongs in kinds.items():
        these = [one for one in found if belongs(one)]
        if these:
            lines.append(f"| {' | '.join([name, *_row(these)])} |")
    return "\n".join(lines)


def _row(these: Sequence[Held]) -> list[str]:
    bias, naive_bias = (np.mean([at(one) - one.truth for one in these]) for at in (_expected, _naive))
    widths = (np.mean([of.high - of.low for of in each]) for each in zip(*map(_intervals, these), strict=True))
    return [
        str(len(these)),
        share([holds(one.interval, one.truth) for one in these]),
        share([holds(one.naive_interval, one.truth) for one in these]),
        f"{100 * bias:+.2f} points",
        f"{100 * naive_bias:+.2f} points",
        ", ".join(f"{100 * width:.1f}" for width in widths),
    ]


def _expected(one: Held) -> float:
    return one.expected


def _naive(one: Held) -> float:
    return one.naive


def _intervals(one: Held) -> tuple[Interval, Interval]:
    return one.interval, one.naive_interval


def claims_table(found: Sequence[Claims], trials: int) -> str:
    """How often luck was called better, where every one of `trials` is the same."""
    return "\n".join(
        [
            f"| among {trials} equal configurations | of {len(found)} searches |",
            "|---|---|",
            f"| one of the confirmed five is told apart from the best | {share([one.told_apart for one in found])} |",
            "| the search is called better than a baseline, its equal | "
            f"{share([one.better_than_baseline for one in found])} |",
        ]
    )
