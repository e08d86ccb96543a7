"""Charts of trials, as plotly figures without a theme: a colour is `@name`, which the page's script looks up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, isfinite, log10
from typing import Any

from tlsearch.records import TrialKind, TrialState
from tlsearch.report.lessons import DepthResponse
from tlsearch.report.page.material import Try
from tlsearch.report.text import Words, duration, trained
from tlsearch.text import safe

Trace = dict[str, Any]

METRICS = {
    "accuracy": "right answers, %",
    "balanced_accuracy": "right answers, classes alike, %",
    "macro_f1": "macro F1, %",
    "log_loss": "log loss, lower is better",
}
CATEGORIES = ("@cat-1", "@cat-2", "@cat-3", "@cat-4", "@cat-5", "@cat-6")
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "star", "x")  # colour is not the only difference
MOST_LETTERS = 32  # of a name in a legend
WHOLE_TICKS = 10  # up to which every trial has its tick: plotly would put some between two
JITTER = (0.0, 0.09, -0.09, 0.18, -0.18, 0.045, -0.045, 0.135, -0.135)  # of a stage, so that equal depths lie apart
HOVER = "%{text}<extra></extra>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A figure and how much room it wants.

    Args:
        key: Names it on the page.
        label: What it shows, for who cannot see it.
        data: Plotly traces.
        layout: Plotly's layout, without fonts and colours.
        height: In CSS pixels.
        min_width: Below which it scrolls instead of shrinking.
        lights_up: Whether the trace under the pointer stands out.
    """

    key: str
    label: str
    data: Sequence[Trace]
    layout: Mapping[str, Any]
    height: int = 320
    min_width: int = 0
    lights_up: bool = False


def plain(text: str) -> str:
    """A name from outside in a chart: plotly reads a little HTML in its texts, so none is left in it."""
    return escape(safe(text), quote=False)


def short(name: str) -> str:
    """A name that fits a legend: the middle of a long one is left out."""
    half = MOST_LETTERS // 2
    return name if len(name) <= MOST_LETTERS else f"{name[:half]}…{name[1 - half :]}"


def shown(value: float, words: Words) -> float:
    """A score as an axis has it: per cent, or a loss."""
    return round(100 * value if words.is_share else -value, 4)


def about(one: Try, words: Words) -> str:
    """What a pointer over a trial tells."""
    entry = one.entry
    title = f"trial {entry.trial}" + (f": {plain(entry.name)}" if entry.name else "")
    lines = [f"<b>{title}</b>"]
    if entry.score is not None:
        lines.append(f"score {words.score(entry.score)}")
    elif one.partial is not None:
        lines.append(f"stopped early at {words.score(one.partial)}")
    lines.append(f"{plain(entry.backbone)}, {plain(entry.head)} head")
    lines.append(trained(entry.unfrozen, entry.stages))
    lines.append(f"learning rate {entry.learning_rate:.2g}, {entry.epochs} epochs, {duration(entry.seconds)}")
    if one.entry.state is TrialState.FAILED:
        lines.append(f"failed: {plain(entry.detail[:80])}")
    return "<br>".join(lines)


def over_time(tries: Sequence[Try], words: Words, winner: int | None) -> Chart | None:
    """Scores by trial number, with the best so far."""
    scored = [one for one in tries if one.entry.score is not None and isfinite(one.entry.score)]
    if not scored:
        return None
    searched = [one for one in scored if one.kind is not TrialKind.BASELINE]
    baselines = [one for one in scored if one.kind is TrialKind.BASELINE]
    stopped = [one for one in tries if one.partial is not None]
    last = max(one.entry.trial for one in tries)
    every = {"dtick": 1} if last <= WHOLE_TICKS else {}
    traces = [
        _best_so_far(searched, words),
        _dots("stopped early", stopped, words, color="@muted", symbol="circle-open", size=7),
        _dots("trial", searched, words, color="@cat-1", symbol="circle", size=9),
        _dots("baseline", baselines, words, color="@cat-2", symbol="diamond", size=11),
        _dots(
            "named best", [o for o in scored if o.entry.trial == winner], words, color="@cat-3", symbol="star", size=16
        ),
    ]
    return Chart(
        key="over-time",
        label="Scores by trial number, with the best score so far",
        data=[trace for trace in traces if trace["x"]],
        layout={
            "xaxis": {"title": {"text": "trial"}, "range": [-0.7, last + 0.7], **every},
            "yaxis": {"title": {"text": METRICS[words.metric]}},
        },
        height=360,
    )


def by_depth(tries: Sequence[Try], depths: Sequence[DepthResponse], words: Words) -> Chart | None:
    """Scores by the number of trained stages, with the medians."""
    searched = [one for one in _searched(tries) if one.entry.unfrozen is not None]
    if len(depths) < 2 or not searched:
        return None
    seen: dict[int, int] = {}
    places = []
    for one in searched:
        depth = one.entry.unfrozen or 0
        seen[depth] = seen.get(depth, -1) + 1
        places.append(depth + JITTER[seen[depth] % len(JITTER)])
    medians = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "median",
        "x": [one.unfrozen for one in depths],
        "y": [shown(one.median, words) for one in depths],
        "text": [f"median of {one.trials}: {words.score(one.median)}" for one in depths],
        "hovertemplate": HOVER,
        "line": {"color": "@ink", "width": 1.5},
        "marker": {"color": "@ink", "size": 22, "symbol": "line-ew-open", "line": {"width": 2, "color": "@ink"}},
    }
    dots = _dots("trial", searched, words, color="@cat-1", symbol="circle", size=8) | {"x": places}
    ticks = [one.unfrozen for one in depths]
    texts = ["none" if depth == 0 else str(depth) for depth in ticks]
    return Chart(
        key="by-depth",
        label="Scores by the number of trained stages, with the medians",
        data=[dots, medians],
        layout={
            "xaxis": {"title": {"text": "stages trained"}, "tickvals": ticks, "ticktext": texts, "zeroline": False},
            "yaxis": {"title": {"text": METRICS[words.metric]}},
        },
    )


def by_learning_rate(tries: Sequence[Try], words: Words) -> Chart | None:
    """Scores by the head's learning rate, one colour and one shape a head."""
    searched = [one for one in _searched(tries) if one.entry.learning_rate > 0]
    rates = [one.entry.learning_rate for one in searched]
    if len(set(rates)) < 2:
        return None
    heads = sorted({one.entry.head for one in searched})
    traces = [
        _dots(
            f"{plain(head)} head",
            [one for one in searched if one.entry.head == head],
            words,
            color=CATEGORIES[i % len(CATEGORIES)],
            symbol=SYMBOLS[i % len(SYMBOLS)],
            size=9,
        )
        for i, head in enumerate(heads)
    ]
    for trace, head in zip(traces, heads, strict=True):
        trace["x"] = [one.entry.learning_rate for one in searched if one.entry.head == head]
    return Chart(
        key="by-rate",
        label="Scores by the head's learning rate",
        data=traces,
        layout={
            "xaxis": {"title": {"text": "learning rate"}, "type": "log", **_log_ticks(rates)},
            "yaxis": {"title": {"text": METRICS[words.metric]}},
        },
    )


def _log_ticks(values: Sequence[float]) -> dict[str, Any]:
    """Ticks at 1, 2 and 5 times powers of ten, written out."""
    powers = range(floor(log10(min(values))), floor(log10(max(values))) + 1)
    ticks = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    inside = [tick for tick in ticks if min(values) / 2 <= tick <= max(values) * 2]
    return {"tickvals": inside, "ticktext": [f"{tick:.0g}" for tick in inside]}


def _searched(tries: Sequence[Try]) -> list[Try]:
    return [
        one
        for one in tries
        if one.kind is not TrialKind.BASELINE and one.entry.score is not None and isfinite(one.entry.score)
    ]


def _dots(name: str, tries: Sequence[Try], words: Words, *, color: str, symbol: str, size: int) -> Trace:
    scores = [one.entry.score if one.entry.score is not None else one.partial for one in tries]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [one.entry.trial for one in tries],
        "y": [shown(score, words) for score in scores if score is not None],
        "text": [about(one, words) for one in tries],
        "hovertemplate": HOVER,
        "marker": {
            "color": color,
            "symbol": symbol,
            "size": size,
            "opacity": 0.85,
            "line": {"width": 1, "color": "@panel"},
        },
    }


def _best_so_far(searched: Sequence[Try], words: Words) -> Trace:
    best: list[float] = []
    for one in searched:
        score = one.entry.score if one.entry.score is not None else -float("inf")
        best.append(max(score, best[-1]) if best else score)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "best so far",
        "x": [one.entry.trial for one in searched],
        "y": [shown(score, words) for score in best],
        "hoverinfo": "skip",
        "line": {"color": "@cat-1", "width": 2, "shape": "hv"},
        "opacity": 0.5,
    }
