"""The answer: how good it is and how sure that is, what it is better than, and whether its percentages hold."""

from dataclasses import dataclass

from tlsearch.report import calibrated
from tlsearch.report.floors import Standing, reached_share, wanted_share
from tlsearch.report.page.curves import reliability
from tlsearch.report.page.scale import Scale
from tlsearch.report.page.section import AT_THE_END, Desk, Section
from tlsearch.report.results import measurements, remarks
from tlsearch.report.text import Words
from tlsearch.report.values import Baseline
from tlsearch.stats import Calibration, Verdict
from tlsearch.stats.floors import Reached

GROUP = "The answer"
ANSWERS = "Its answers"
NOT_MEASURED = "This run did not measure how far its probabilities can be believed."
VERDICT_KINDS = {Verdict.BETTER: "good", Verdict.WORSE: "bad", Verdict.ALIKE: "even"}
MEASURED_KINDS = {"searched": "", "named": "main", "fresh": "fresh"}
STANDING_KINDS = {Standing.KEPT: "kept", Standing.ONCE: "once", Standing.MISSED: "missed"}
ERRORS = (
    ("ece", "calibration error", "how far its sureness and its share of right answers lie apart, on average"),
    ("log_loss", "log loss", "how surprised it is by the truth"),
    ("brier", "Brier score", "the squared error of its probabilities"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanRow:
    """A value with its interval, in words and as places on a scale."""

    label: str
    value: str
    interval: str
    low: float
    mark: float
    high: float
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRow:
    """A recipe and what the search gained over it; `drawn` is None where the two cannot be compared."""

    name: str
    score: str
    verdict: str
    kind: str
    drawn: SpanRow | None


def sure(desk: Desk) -> Section:
    """The score while searching, corrected, on fresh pictures and on the holdout, on one axis."""
    summary, words = desk.material.summary, desk.words
    rows = measurements(summary)
    scale = Scale.over([end for row in rows for end in (row.interval.low, row.interval.high)])
    drawn = [
        SpanRow(
            label=row.label,
            value=words.score(row.score),
            interval=words.span(row.interval),
            low=scale.at(row.interval.low),
            mark=scale.at(row.score),
            high=scale.at(row.interval.high),
            kind=MEASURED_KINDS[row.kind],
        )
        for row in rows
    ]
    return Section(
        key="sure",
        group=GROUP,
        nav="How good, how sure",
        title="How good it is, and how sure that is",
        lead="Each dot is a score; each bar is where the score of other pictures taken the same way would lie, 19 "
        "times out of 20.",
        missing="" if rows else "Nothing has been scored yet.",
        content={
            "rows": drawn,
            "ticks": [(scale.at(tick), words.score(tick)) for tick in scale.ticks],
            "remarks": [remark.plain for remark in remarks(summary, words)] if rows else [],
            "floors": [_floor(one) for one in summary.floors],
        },
    )


def baselines(desk: Desk) -> Section:
    """By how much the search beat the recipes it was given."""
    summary, words = desk.material.summary, desk.words
    named = [(words.name(one.entry.name).plain, one) for one in summary.baselines]
    if summary.frozen_linear is not None:
        number = summary.frozen_linear.entry.trial
        named.append((f"best frozen network, linear head (trial {number})", summary.frozen_linear))
    ends = [end for _, one in named if one.gain is not None for end in (one.gain.low, one.gain.high)]
    scale = Scale.over([0.0, *ends])
    unit = "points" if words.is_share else "log loss saved"
    return Section(
        key="baselines",
        group=GROUP,
        nav="Against the baselines",
        title="Against the baselines",
        lead=f"What the search gained over recipes that anybody could have run, in {unit}, with the luck of picking "
        "the best taken out. A bar that touches the line at 0 may be luck.",
        missing="" if named else "The study names no baseline to compare with.",
        content={
            "rows": [_baseline(name, one, scale, words) for name, one in named],
            "zero": scale.at(0.0),
            "ticks": [(scale.at(tick), "0" if abs(tick) < 1e-9 else words.gain(tick)) for tick in scale.ticks],
        },
    )


def calibration(desk: Desk) -> Section:
    """Whether an answer that is 90 % sure is right nine times out of ten."""
    found = desk.material.summary.calibration
    chart = None if found is None else reliability(found)
    columns, points = ([], []) if found is None else calibrated.levels(found, len(found.curve_before))
    return Section(
        key="calibration",
        group=ANSWERS,
        nav="Can it be believed?",
        title="Can its percentages be trusted?",
        lead="" if found is None else calibrated.in_a_sentence(found),
        missing="" if found is not None else NOT_MEASURED if desk.has_chosen else AT_THE_END,
        content={
            "rows": [] if found is None else _errors(found),
            "columns": columns,
            "points": points,
            "chart": chart,
            "remarks": [] if found is None else calibrated.remarks(found, desk.words),
        },
        charts=() if chart is None else (chart,),
    )


def _floor(one: Reached) -> dict[str, str]:
    standing = Standing.of(one)
    return {
        "floor": one.floor,
        "wanted": wanted_share(one),
        "reached": reached_share(one.reached),
        "again": "" if one.again is None else reached_share(one.again),
        "said": standing.value,
        "kind": STANDING_KINDS[standing],
    }


def _errors(found: Calibration) -> list[dict[str, str]]:
    return [
        {
            "name": name,
            "what": what,
            "before": f"{getattr(found.before, key):.3f}",
            "after": f"{getattr(found.after, key):.3f}",
        }
        for key, name, what in ERRORS
    ]


def _baseline(name: str, one: Baseline, scale: Scale, words: Words) -> BaselineRow:
    gain = one.gain
    if gain is None:
        verdict = f"not comparable: {one.entry.state.value}"
        return BaselineRow(name=name, score=words.score(one.entry.score), verdict=verdict, kind="even", drawn=None)
    return BaselineRow(
        name=name,
        score=words.score(one.entry.score),
        verdict=gain.verdict.value,
        kind=VERDICT_KINDS[gain.verdict],
        drawn=SpanRow(
            label=name,
            value=words.gain(gain.value),
            interval=f"{words.gain(gain.low)} to {words.gain(gain.high)}",
            low=scale.at(gain.low),
            mark=scale.at(gain.value),
            high=scale.at(gain.high),
        ),
    )
