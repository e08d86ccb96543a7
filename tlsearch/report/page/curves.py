"""Curves beside the trials: how far probabilities come true, and what fewer pictures would have given."""

from math import floor, isnan

from tlsearch.report.data_check import LearningCurve
from tlsearch.report.page.charts import CATEGORIES, HOVER, METRICS, SYMBOLS, Chart, Trace, plain, short, shown
from tlsearch.report.text import Words
from tlsearch.stats import Calibration
from tlsearch.stats.calibration import Curve

MOST_CLASS_LINES = 12  # the classes that are found least


def reliability(found: Calibration) -> Chart:
    """How often answers are right, by how sure they are, before and after the temperature."""
    diagonal: Trace = {
        "type": "scatter",
        "mode": "lines",
        "name": "as sure as right",
        "x": [0, 100],
        "y": [0, 100],
        "hoverinfo": "skip",
        "line": {"color": "@muted", "width": 1, "dash": "dot"},
    }
    traces = [diagonal, _reliability_line("as trained", found.curve_before, "@cat-2", "dash")]
    if found.corrects:
        traces.append(_reliability_line("corrected", found.curve_after, "@cat-1", "solid"))
    points = (*found.curve_before, *found.curve_after)
    first = 10 * floor(10 * min(min(point.confidence, point.accuracy) for point in points)) - 3
    return Chart(
        key="reliability",
        label="How often answers are right, by how sure they are",
        data=traces,
        layout={
            "xaxis": {"title": {"text": "how sure, %"}, "range": [first, 103]},
            "yaxis": {"title": {"text": "how often right, %"}, "range": [first, 103]},
        },
        height=340,
    )


def learning(found: LearningCurve, words: Words) -> Chart | None:
    """The score by the number of pictures trained on, with its interval and each class's recall."""
    if not found.images:
        return None
    x = list(found.images)
    band = {
        "type": "scatter",
        "mode": "lines",
        "x": [*x, *reversed(x)],
        "y": [shown(v, words) for v in (*found.low, *reversed(found.high))],
        "fill": "toself",
        "fillcolor": "@accent-soft",
        "line": {"width": 0, "color": "@accent-soft"},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "score",
        "x": x,
        "y": [shown(value, words) for value in found.score],
        "text": [f"{n} pictures: {words.score(value)}" for n, value in zip(x, found.score, strict=True)],
        "hovertemplate": HOVER,
        "line": {"color": "@cat-1", "width": 3},
        "marker": {"color": "@cat-1", "size": 9},
    }
    classes = _class_lines(found) if words.is_share else []
    return Chart(
        key="learning",
        label="The score by the number of pictures trained on",
        data=[band, *classes, line],
        layout={
            "xaxis": {"title": {"text": "pictures trained on"}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": METRICS[words.metric]}},
        },
        height=340,
    )


def _reliability_line(name: str, points: Curve, color: str, dash: str) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [round(100 * point.confidence, 2) for point in points],
        "y": [round(100 * point.accuracy, 2) for point in points],
        "text": [
            f"{name}: {100 * point.confidence:.0f} % sure, {100 * point.accuracy:.0f} % right<br>{point.n} pictures"
            for point in points
        ],
        "hovertemplate": HOVER,
        "line": {"color": color, "width": 2, "dash": dash},
        "marker": {"color": color, "size": 9, "line": {"color": "@panel", "width": 1}},
    }


def _class_lines(found: LearningCurve) -> list[Trace]:
    named = list(found.per_class.items())
    if len(named) > MOST_CLASS_LINES:
        named = sorted(named, key=lambda pair: pair[1][-1] if not isnan(pair[1][-1]) else 2.0)[:MOST_CLASS_LINES]
    traces = []
    for i, (name, recalls) in enumerate(named):
        text = [f"{plain(name)}: {100 * recall:.0f} % found" for recall in recalls]
        color = CATEGORIES[1:][i % (len(CATEGORIES) - 1)]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": plain(short(name)),
                "x": list(found.images),
                "y": [None if isnan(recall) else round(100 * recall, 2) for recall in recalls],
                "text": text,
                "hovertemplate": HOVER,
                "line": {"color": color, "width": 1.5, "dash": "dot"},
                "marker": {"color": color, "size": 6, "symbol": SYMBOLS[1:][i % (len(SYMBOLS) - 1)]},
            }
        )
    return traces
