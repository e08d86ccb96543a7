"""Tables of what was found: how sure it is, the baselines, the ranking and the networks."""

from dataclasses import dataclass
from shlex import quote
from typing import Literal

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tlsearch.report.charts import axis_of, span
from tlsearch.report.text import NOTHING, Words, duration, moment, number, plural
from tlsearch.report.values import Baseline, Best, Entry, Summary
from tlsearch.stats import Interval, Verdict

WIDE = 100  # columns from which tables show everything
NARROW = 72  # columns below which tables show the least
VERDICT_STYLES = {Verdict.BETTER: "green", Verdict.WORSE: "red", Verdict.ALIKE: "yellow"}
MEASURED_STYLES = {"searched": "", "named": "bold", "fresh": "green"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One score of the study, and how sure it is.

    Args:
        kind: "named": what to expect of the named configuration; "searched": what came before that; "fresh": what
            pictures said that nobody chose by.
        label: What it was measured on.
        score: In the study's metric.
        interval: Of the score.
    """

    kind: Literal["searched", "named", "fresh"]
    label: str
    score: float
    interval: Interval


def table() -> Table:
    """An empty table in the report's style."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, header_style="dim", pad_edge=False, collapse_padding=True)


def section(title: str, *parts: RenderableType) -> RenderableType:
    """A titled part of the report."""
    return Group(Text(title, style="bold"), *parts)


def how_sure(summary: Summary, words: Words, width: int) -> RenderableType | None:
    """The score while searching, corrected, on fresh drawings and on the holdout, on one axis."""
    rows = measurements(summary)
    if not rows:
        return None
    found = table()
    found.add_column("measured on")
    found.add_column("score", justify="right", no_wrap=True)
    found.add_column("95 % sure", justify="right", no_wrap=True)
    drawn = width >= 80
    if drawn:
        found.add_column("", no_wrap=True)
    axis = axis_of([end for row in rows for end in (row.interval.low, row.interval.high)])
    for row in rows:
        label = words.text(row.label, MEASURED_STYLES[row.kind])
        cells: list[RenderableType] = [label, words.score(row.score), words.span(row.interval)]
        if drawn:
            cells.append(
                span(
                    row.interval.low,
                    row.score,
                    row.interval.high,
                    axis=axis,
                    width=min(36, width - 70),
                    ascii_only=words.ascii_only,
                )
            )
        found.add_row(*cells)
    return section("How good it is, and how sure that is", found, *remarks(summary, words))


def baselines(summary: Summary, words: Words, width: int) -> RenderableType | None:
    """By how much the search beat the recipes it was given."""
    rows = [(words.name(one.entry.name), one) for one in summary.baselines]
    if summary.frozen_linear is not None:
        shown = summary.frozen_linear.entry
        rows.append((words.text(f"best frozen network, linear head (trial {shown.trial})"), summary.frozen_linear))
    if not rows:
        return None
    found = table()
    found.add_column("recipe", overflow="fold")
    if width >= NARROW:
        found.add_column("its score", justify="right", no_wrap=True)
    found.add_column("gain", justify="right", no_wrap=True)
    found.add_column("95 % sure", justify="right", no_wrap=True)
    found.add_column("the search is")
    for name, one in rows:
        scored = [words.score(one.entry.score)] if width >= NARROW else []
        found.add_row(name, *scored, *_gain(one, words))
    unit = "points" if words.is_share else "log loss saved"
    note = f"Gains are in {unit}, with the luck of picking the best taken out."
    if summary.best is None or not summary.best.chosen:
        note += " What other folds and seeds change is known at the end of the run."
    return section("Against the baselines", found, Text(note, style="dim"))


def leaderboard(summary: Summary, words: Words, width: int) -> RenderableType | None:
    """The ranking by plain score."""
    if not summary.leaderboard:
        return None
    wide, medium = width >= WIDE, width >= NARROW
    found = table()
    for column in ("trial", "score", *(["again"] if medium else [])):
        found.add_column(column, justify="right", no_wrap=True)
    found.add_column("network", overflow="fold")
    found.add_column("head", overflow="fold")
    for column in ("trained", *(["epochs", "learning\nrate", "time"] if wide else [])):
        found.add_column(column, justify="right", no_wrap=True)
    found.add_column("", no_wrap=True)
    alike = set(summary.best.alike) if summary.best else set()
    winner = summary.best.entry.trial if summary.best else None
    for entry in summary.leaderboard:
        cells: list[RenderableType] = [
            str(entry.trial),
            words.score(entry.score),
            *([_again(entry, words)] if medium else []),
            words.name(entry.backbone, longest=32),
            words.name(entry.head, longest=16),
            _trained(entry),
        ]
        if wide:
            cells += [str(entry.epochs), f"{entry.learning_rate:.2g}", duration(entry.seconds)]
        found.add_row(*cells, _mark(entry, winner, alike), style="bold" if entry.trial == winner else "")
    note = "Trained: how many stages of all. =: cannot be told apart from the best."
    if medium:
        note += " Again: scored again with other folds and seeds."
    return section("Ranking while searching", found, Text(note, style="dim"))


def networks(summary: Summary, words: Words, width: int) -> RenderableType | None:
    """How each network did; the same network in two frameworks is one line."""
    if not summary.backbones:
        return None
    found = table()
    found.add_column("network", overflow="fold")
    found.add_column("weights", overflow="fold")
    found.add_column("trials", justify="right")
    found.add_column("best", justify="right", no_wrap=True)
    found.add_column("median", justify="right", no_wrap=True)
    for one in summary.backbones:
        name = words.text(" = ".join(words.name(each, longest=32).plain for each in one.names))
        if len(one.names) > 1:
            name.append("\nsame network, two frameworks", style="dim")
        weights = words.name(one.weights)
        if width >= 80 and one.trained_on:
            weights.append("\n")
            weights.append_text(words.name(one.trained_on, "dim", longest=120))
        found.add_row(name, weights, str(one.completed), words.score(one.best), words.score(one.median))
    return section("Networks", found)


def measurements(summary: Summary) -> list[Measurement]:
    """What was measured: while searching, corrected, on fresh drawings and on the holdout."""
    rows = [] if summary.best is None else _of_the_search(summary.best, floors=bool(summary.floors))
    if (truth := summary.truth) is not None:
        label = f"truth: {number(truth.n)} fresh drawings"
        rows.append(Measurement(kind="fresh", label=label, score=truth.score, interval=truth.interval))
    if (holdout := summary.holdout) is not None:
        label = f"holdout: {plural(holdout.n, 'picture')} kept back"
        rows.append(Measurement(kind="fresh", label=label, score=holdout.score, interval=holdout.interval))
    return rows


def _of_the_search(best: Best, *, floors: bool) -> list[Measurement]:
    """The plain best score, and where it was corrected what is left of it."""
    while_searching = f"best score {'within the floors, ' if floors else ''}while searching"
    estimate, own = best.estimate, best.entry
    if estimate is None:
        if own.score is None or own.interval is None:
            return []
        return [Measurement(kind="named", label=while_searching, score=own.score, interval=own.interval)]
    naive = Interval(low=estimate.naive_low, high=estimate.naive_high)
    corrected = Interval(low=estimate.low, high=estimate.high)
    rows = [
        Measurement(kind="searched", label=while_searching, score=estimate.naive_score, interval=naive),
        Measurement(
            kind="searched" if best.handicap else "named",
            label=f"corrected for picking the best of {estimate.candidates}",
            score=estimate.score,
            interval=corrected,
        ),
    ]
    if best.handicap and best.score is not None and best.interval is not None:
        label = f"trial {own.trial}, {'scored twice' if own.confirmed else 'by its own score'}"
        rows.append(Measurement(kind="named", label=label, score=best.score, interval=best.interval))
    return rows


def remarks(summary: Summary, words: Words) -> list[Text]:
    """What one must know to read the measurements, a sentence each."""
    said: list[Text] = []
    estimate = summary.best.estimate if summary.best else None
    if estimate is not None:
        flattered = f"The search flattered itself by {words.size(estimate.optimism)}"
        if summary.data.folds == 1:  # its second score is of another part
            lucky = "The search, and the luck of its one part, flattered the best score"
            flattered = f"{lucky} by {words.size(estimate.optimism)}"
        if estimate.optimism <= 0:
            flattered = "The search did not flatter itself"
        said.append(words.text(f"{flattered}, judged on {plural(estimate.n, 'picture')}.", "dim"))
        if estimate.noise > 0:
            moves = f"Other folds and seeds change a score by about {words.size(estimate.noise)}"
            said.append(words.text(f"{moves}; the corrected interval knows of it.", "dim"))
    if summary.holdout is None and summary.data.holdout:
        kept = f"The holdout ({plural(summary.data.holdout, 'picture')})"
        once = (
            "is closed; open it once" if not summary.holdout_seen else "was opened for an earlier winner; for this one"
        )
        said.append(words.text(f"{kept} {once}: tlsearch report {quote(summary.study)} --final", "dim"))
    if summary.holdout is not None:
        opened = f"The holdout was opened on {moment(summary.holdout.opened)}"
        said.append(words.text(f"{opened}: {words.score(summary.holdout.score)}.", "dim"))
    if summary.holdout_seen:
        seen = "The holdout had been seen before this was chosen: its figure is no longer a fresh test."
        said.append(words.text(seen, "bold yellow"))
    covered = "The intervals cover other pictures taken the same way, not a new camera or place."
    said.append(words.text(covered, "dim"))
    return said


def _gain(baseline: Baseline, words: Words) -> tuple[RenderableType, ...]:
    gain = baseline.gain
    if gain is None:
        return NOTHING, NOTHING, words.text(f"not comparable: {baseline.entry.state.value}")
    span_of_gain = f"{words.gain(gain.low)} to {words.gain(gain.high)}"
    return words.gain(gain.value), span_of_gain, Text(gain.verdict.value, style=VERDICT_STYLES[gain.verdict])


def _again(entry: Entry, words: Words) -> str:
    return words.score(sum(entry.confirmed) / len(entry.confirmed)) if entry.confirmed else ""


def _trained(entry: Entry) -> str:
    if entry.unfrozen is None:
        return "all"
    return f"{entry.unfrozen}/{entry.stages}" if entry.stages is not None else str(entry.unfrozen)


def _mark(entry: Entry, winner: int | None, alike: set[int]) -> Text:
    if entry.trial == winner:
        return Text("best", style="green")
    if entry.name:
        return Text("baseline", style="magenta")
    return Text("=" if entry.trial in alike else "", style="yellow")
