"""The plot: best validation score against time since the start, on a logarithmic axis, one line a contender, as SVG."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from peers_rounds import OURS, Round, counted, newest, rounds_in
from peers_rows import WHO, Row, row

WIDTH, HEIGHT = 960, 520
LEFT, RIGHT, TOP, BOTTOM = 70, 150, 86, 64
# Okabe and Ito 2008, told apart by colour-blind readers too
COLOURS = {"B1": "#d55e00", "B2": "#009e73", "B3": "#cc79a7", OURS: "#0072b2"}
PLOTTED = ("heads_elpv", "heads_celebs")  # the first of these that was measured
NAMES = {"B1": "B1, plain loop", "B2": "B2, by hand", "B3": "B3, KerasTuner", OURS: OURS}
MARKS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 18000, 36000, 108000)  # seconds that an axis may name
LABEL_GAP = 34  # pixels between two labels at the right
INK, FAINT, PAPER = "#24292f", "#d8dee4", "#ffffff"
STYLE = "font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One contender's way.

    Args:
        who: Its name.
        points: Seconds since the start and the best score so far; not empty.
        end_s: When its process ended, or would have.
        multiplied: Whether times beyond the first trials are multiplied.
    """

    who: str
    points: list[tuple[float, float]]
    end_s: float
    multiplied: bool


def plot(raw: Mapping[str, Any]) -> str:
    """The plot of the first row that can be drawn; an empty picture says so where none was measured."""
    for name in PLOTTED:
        rounds = rounds_in(raw, row(name), newest(raw, name))
        if rounds:
            drawn = sorted(counted(rounds), key=lambda one: one.times[OURS].seconds)[len(counted(rounds)) // 2]
            found = list(lines(row(name), drawn, raw.get("b3_scores", {}).get(name, {}).get("scores", [])))
            return drawing(row(name), found)
    return "\n".join([opening(), text(WIDTH / 2, HEIGHT / 2, "Nothing was measured yet.", anchor="middle"), "</svg>\n"])


def lines(asked: Row, one: Round, b3_scores: Sequence[float]) -> Iterator[Line]:
    """The way of each contender in one round.

    The features of a frozen network are the same whether they are kept or not: B1's scores are those of B2's trials,
    and B3's those of KerasTuner on features. Their times are multiplied where not all trials were run.

    Args:
        asked: The row.
        one: The round.
        b3_scores: Of KerasTuner's trials on features, in order; B3 is left out where there are none.
    """
    scores = {"B1": [score for _, score in one.times["B2"].curve], "B3": list(b3_scores)}
    for who in WHO:
        if who not in one.times:
            continue
        timed, how = one.times[who], asked.contenders[who]
        multiplied = how.trials is not None or how.epochs is not None
        points = timed.curve
        if multiplied:
            known = scores[who][: asked.trials]
            points = [
                (timed.last_trial_s - (asked.trials - number) * timed.trial_s, score)
                for number, score in enumerate(known, start=1)
            ]
        if points:
            yield Line(who=who, points=best_so_far(points), end_s=timed.seconds, multiplied=multiplied)


def best_so_far(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Only the trials that were better than all before."""
    found: list[tuple[float, float]] = []
    for seconds, score in points:
        if not found or score > found[-1][1]:
            found.append((seconds, score))
    return found


class Axes:
    """Where seconds and scores lie in the picture.

    Args:
        drawn: All lines.
    """

    def __init__(self, drawn: Sequence[Line]) -> None:
        begins = min(line.points[0][0] for line in drawn)
        self.first = max((mark for mark in MARKS if mark < begins), default=begins)
        self.last = max(line.end_s for line in drawn) * 1.05
        scores = [score for line in drawn for _, score in line.points]
        step = self.step = 0.05 if max(scores) - min(scores) < 0.5 else 0.1
        self.low = math.floor(min(scores) / step) * step
        self.high = min(1.0, math.ceil((max(scores) + 0.2 * step) / step) * step)

    def x(self, seconds: float) -> float:
        """Pixels from the left."""
        share = math.log(seconds / self.first) / math.log(self.last / self.first)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, score: float) -> float:
        """Pixels from the top."""
        return TOP + (self.high - score) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)

    def marks(self) -> list[float]:
        """The seconds at which grid lines stand."""
        return [mark for mark in MARKS if self.first <= mark <= self.last]

    def scores(self) -> Iterator[float]:
        """Where grid lines stand."""
        for number in range(round((self.high - self.low) / self.step) + 1):
            yield self.low + number * self.step


def drawing(asked: Row, drawn: Sequence[Line]) -> str:
    """The whole picture."""
    axes = Axes(drawn)
    pictures = "photographs of solar cells" if asked.data == "elpv" else "drawings of five people"
    parts = [
        opening(),
        text(LEFT, 34, "Best validation score against time", size=20, weight=600),
        text(
            LEFT,
            58,
            f"{asked.trials} head-only trials of MobileNetV2 at 160 px on {pictures}, imports included",
            size=14,
        ),
        *grid(axes),
        *(way(axes, line) for line in drawn),
        *labels(axes, drawn),
        text(
            LEFT,
            HEIGHT - 14,
            "dashed: timed on a few trials and multiplied; its scores are those on kept features",
            size=12,
        ),
    ]
    return "\n".join([*parts, "</svg>\n"])


def opening() -> str:
    """The first lines of the file."""
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="{STYLE}" fill="{INK}">'
    return f'{svg}\n<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="{PAPER}"/>'


def grid(axes: Axes) -> Iterator[str]:
    """Grid lines and what they stand for."""
    bottom = HEIGHT - BOTTOM
    for seconds in axes.marks():
        x = axes.x(seconds)
        yield f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="{FAINT}"/>'
        yield text(x, bottom + 20, duration(seconds), size=13, anchor="middle")
    for score in axes.scores():
        y = axes.y(score)
        yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{FAINT}"/>'
        yield text(LEFT - 10, y + 4, f"{100 * score:.0f} %", size=13, anchor="end")


def way(axes: Axes, line: Line) -> str:
    """A line in steps: a score holds until a better one is there; a dot where the process ends."""
    x, y = axes.x(line.points[0][0]), axes.y(line.points[0][1])
    path = f"M{x:.1f} {y:.1f}"
    for seconds, score in line.points[1:]:
        path += f"H{axes.x(seconds):.1f}V{axes.y(score):.1f}"
    end, colour = axes.x(line.end_s), COLOURS[line.who]
    dashes = ' stroke-dasharray="7 5"' if line.multiplied else ""
    drawn = f'<path d="{path}H{end:.1f}" fill="none" stroke="{colour}" stroke-width="2.5"{dashes}/>'
    return f'{drawn}\n<circle cx="{end:.1f}" cy="{axes.y(line.points[-1][1]):.1f}" r="4.5" fill="{colour}"/>'


def labels(axes: Axes, drawn: Sequence[Line]) -> Iterator[str]:
    """Names at the right, in the lines' order from top to bottom, each with the time of its end."""
    ordered = sorted(drawn, key=lambda line: axes.y(line.points[-1][1]))
    wanted = [axes.y(line.points[-1][1]) for line in ordered]
    for line, y in zip(ordered, apart(wanted), strict=True):
        colour, x = COLOURS[line.who], WIDTH - RIGHT + 14
        best = f"{100 * line.points[-1][1]:.1f} % in {duration(line.end_s)}"
        yield text(x, y, NAMES[line.who], size=15, weight=600, colour=colour)
        yield text(x, y + 15, best, size=12, colour=colour)


def apart(wanted: Sequence[float]) -> list[float]:
    """Heights of labels near those wanted, in their order, none on another."""
    found: list[float] = []
    for y in wanted:
        found.append(y if not found else max(y, found[-1] + LABEL_GAP))
    return found


def duration(seconds: float) -> str:
    """Seconds in words that fit a label."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.2g} min" if seconds < 3600 else f"{seconds / 3600:.2g} h"


def text(
    x: float, y: float, words: str, *, size: int = 14, weight: int = 400, anchor: str = "start", colour: str = INK
) -> str:
    """Words at a place."""
    style = f'font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'
