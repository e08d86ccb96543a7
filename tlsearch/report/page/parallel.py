"""Parallel coordinates: every searched trial as a line over its parameters, coloured by its score.

Drawn as plain lines on normalised axes: plotly's own `parcoords` needs WebGL, which not every browser has.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import isfinite, log10
from typing import Any

from tlsearch.records import TrialKind
from tlsearch.report.lessons import Importance
from tlsearch.report.page.charts import Chart, Trace, about, plain
from tlsearch.report.page.material import Try
from tlsearch.report.text import Words, spoken

MOST_TRIALS = 200  # the best of them; more lines hide one another
MOST_AXES = 9
MOST_VALUES = 12  # of a choice of texts
LOG_SPAN = 30.0  # a positive axis whose ends are further apart by this factor is logarithmic
AXIS_PX = 60  # from an axis to the next at least
LETTER_PX = 6.8  # of the widest usual font
TICK_PX = 7  # from an axis to its ticks
ROOM_PX = 10  # between two texts
MARGIN_PX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One parameter: where its values lie between 0 and 1, and what stands beside it."""

    name: str
    places: tuple[float, ...]
    ticks: tuple[tuple[float, str], ...]

    @property
    def title(self) -> tuple[str, ...]:
        """Its name on one line or two."""
        return tuple(_short(line) for line in spoken(self.name).split(" ", 1))

    @property
    def half_title_px(self) -> float:
        """How far its name reaches to either side."""
        return LETTER_PX * max(len(line) for line in self.title) / 2

    @property
    def ticks_px(self) -> float:
        """How far its ticks reach to the right."""
        return TICK_PX + LETTER_PX * max(len(text) for _, text in self.ticks)


def parallel(tries: Sequence[Try], importance: Importance | None, words: Words) -> Chart | None:
    """All searched trials over their shared parameters; None where there is nothing to compare."""
    scored = [one for one in tries if one.kind is not TrialKind.BASELINE and _finite(one.entry.score)]
    best = sorted(scored, key=lambda one: -(one.entry.score or 0.0))[:MOST_TRIALS]
    best.reverse()  # the best is drawn last, on top
    if len(best) < 3:
        return None
    axes = _axes(best, importance, words)
    if len(axes) < 3:
        return None
    return Chart(
        key="parallel",
        label="Every trial as a line over its parameters; the stronger its colour, the better its score",
        data=[_line(one, i, len(best), axes, words) for i, one in enumerate(best)],
        layout=_layout(axes),
        height=400,
        min_width=round(_ends(axes)[1] - _ends(axes)[0]) + 2 * MARGIN_PX,
        lights_up=True,
    )


def _axes(tries: Sequence[Try], importance: Importance | None, words: Words) -> list[Axis]:
    readers: dict[str, Callable[[Try], Any]] = {
        "backbone": lambda one: one.entry.backbone,
        "head": lambda one: one.entry.head,
        "unfrozen": lambda one: one.entry.unfrozen,
        "learning_rate": lambda one: one.entry.learning_rate,
    }
    shared = set.intersection(*(set(one.entry.params) for one in tries))
    for name in sorted(shared - set(readers)):
        if not name.endswith(".learning_rate"):
            readers[name] = _reader(name)
    weights = dict(importance.shares) if importance is not None else {}
    found = [_axis(name, [read(one) for one in tries]) for name, read in readers.items()]
    axes = sorted((axis for axis in found if axis is not None), key=lambda axis: -weights.get(axis.name, 0.0))
    scores = [one.entry.score or 0.0 for one in tries]
    return [*axes[: MOST_AXES - 1], *_score_axis(scores, words)]


def _reader(name: str) -> Callable[[Try], Any]:
    return lambda one: one.entry.params[name]


def _axis(name: str, values: Sequence[Any]) -> Axis | None:
    """An axis of values that differ; None where they don't, or are no single values."""
    if any(value is None or isinstance(value, Mapping | list | tuple) for value in values):
        return None
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return _number_axis(name, [float(value) for value in values])
    named = sorted({str(value) for value in values})
    if not 1 < len(named) <= MOST_VALUES:
        return None
    place = {value: i / (len(named) - 1) for i, value in enumerate(named)}
    ticks = tuple((place[value], _short(value)) for value in named)
    return Axis(name=name, places=tuple(place[str(value)] for value in values), ticks=ticks)


def _number_axis(name: str, values: Sequence[float]) -> Axis | None:
    low, high = min(values), max(values)
    if not (isfinite(low) and isfinite(high)) or low == high:
        return None
    scale = log10 if low > 0 and high / low >= LOG_SPAN else float
    start, end = scale(low), scale(high)
    places = tuple((scale(value) - start) / (end - start) for value in values)
    if len(set(values)) <= 5:
        ticks = tuple(((scale(value) - start) / (end - start), f"{value:.3g}") for value in sorted(set(values)))
    else:
        ticks = ((0.0, f"{low:.2g}"), (1.0, f"{high:.2g}"))
    return Axis(name=name, places=places, ticks=ticks)


def _score_axis(scores: Sequence[float], words: Words) -> list[Axis]:
    low, high = min(scores), max(scores)
    width = high - low or 1.0
    places = tuple((score - low) / width for score in scores)
    return [Axis(name="score", places=places, ticks=((0.0, words.score(low)), (1.0, words.score(high))))]


def _line(one: Try, index: int, of: int, axes: Sequence[Axis], words: Words) -> Trace:
    goodness = (index + 1) / of  # by rank: one bad trial would make all others look equally good
    color = f"@scale:{goodness:.3f}"
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": _positions(axes),
        "y": [round(axis.places[index], 4) for axis in axes],
        "text": about(one, words),  # of every point of the line, which a hover template could not read
        "hoverinfo": "text",
        "showlegend": False,
        "opacity": round(0.35 + 0.6 * goodness, 3),
        "line": {"color": color, "width": round(1.2 + 1.4 * goodness, 2)},
        "marker": {"color": color, "size": 5},
    }


def _positions(axes: Sequence[Axis]) -> list[float]:
    """Where the axes stand, in pixels of a chart of the least width: no text reaches into the next axis' text."""
    gaps = [
        max(AXIS_PX, one.ticks_px + ROOM_PX, one.half_title_px + after.half_title_px + ROOM_PX)
        for one, after in pairwise(axes)
    ]
    return [round(place, 1) for place in accumulate(gaps, initial=0.0)]


def _ends(axes: Sequence[Axis]) -> tuple[float, float]:
    """From where to where the chart reaches, in the same pixels."""
    last = axes[-1]
    return -axes[0].half_title_px, _positions(axes)[-1] + max(last.ticks_px, last.half_title_px)


def _layout(axes: Sequence[Axis]) -> dict[str, Any]:
    positions = _positions(axes)
    rules = [
        {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "layer": "below", "line": {"color": "@line", "width": 2}}
        for x in positions
    ]
    names = [
        {
            "x": x,
            "y": 1.08,
            "text": f"<b>{'<br>'.join(plain(line) for line in axis.title)}</b>",
            "showarrow": False,
            "xanchor": "center",
            "yanchor": "bottom",
            "font": {"size": 11},
        }
        for x, axis in zip(positions, axes, strict=True)
    ]
    ticks = [
        {
            "x": x,
            "y": place,
            "text": plain(text),
            "showarrow": False,
            "xanchor": "left",
            "xshift": TICK_PX,
            "font": {"size": 11, "color": "@ink"},
            "bgcolor": "@veil",
            "borderpad": 1,
        }
        for x, axis in zip(positions, axes, strict=True)
        for place, text in axis.ticks
    ]
    return {
        "xaxis": {"visible": False, "range": list(_ends(axes)), "fixedrange": True},
        "yaxis": {"visible": False, "range": [-0.08, 1.24], "fixedrange": True},
        "shapes": rules,
        "annotations": [*names, *ticks],
        "margin": dict.fromkeys("lrtb", MARGIN_PX),
    }


def _short(text: str) -> str:
    return text if len(text) <= 18 else f"{text[:9]}…{text[-8:]}"


def _finite(score: float | None) -> bool:
    return score is not None and isfinite(score)
