"""A summary on a terminal: first what a person wants to know, then what it rests on."""

from collections.abc import Callable, Sequence

from rich.console import Console, RenderableType
from rich.rule import Rule
from rich.text import Text

from tlsearch.report import calibrated, class_gains, data_findings, details, results
from tlsearch.report.floors import floors, not_kept
from tlsearch.report.headline import headline, others_alike
from tlsearch.report.text import Words, plural
from tlsearch.report.values import Summary

Section = Callable[[Summary, Words, int], RenderableType | None]  # None where there is nothing to tell

SECTIONS: tuple[Section, ...] = (
    results.how_sure,
    floors,
    results.baselines,
    results.leaderboard,
    results.networks,
    details.depths,
    details.importance,
    details.classes,
    details.mistakes,
    calibrated.believable,
    data_findings.labels,
    data_findings.alike,
    data_findings.large_groups,
    data_findings.amount,
    class_gains.classes,
    details.time,
    details.failures,
)


def render(summary: Summary, console: Console, *, sections: Sequence[Section] = SECTIONS) -> None:
    """Print a report on a console, as wide as it is; nothing in it is read as markup.

    Args:
        summary: Of the study.
        console: Where to.
        sections: What follows the headline, in order.
    """
    words = Words.for_console(summary.metric, console)
    console.print(Rule(words.name(summary.study, "bold"), style="dim"))
    won, compared = headline(summary, words)
    console.print(words.text(won, "bold"))
    console.print(words.text(compared))
    if summary.best is not None and (alike := others_alike(summary.best, words)):
        console.print(words.text(alike))
    if missed := not_kept(summary):
        console.print(words.text(missed, "bold yellow"))
    console.print()
    for line in _notices(summary, words):
        console.print(line)
    for section in sections:
        drawn = section(summary, words, console.width)
        if drawn is not None:
            console.print()
            console.print(drawn)


def _notices(summary: Summary, words: Words) -> list[Text]:
    """What was searched, what must be known about the data, and what is missing."""
    lines = [words.text(what_was_searched(summary))]
    lines += [words.text(summary.data.skew)] if summary.data.skew else []
    lines += [words.text(note, "yellow") for note in summary.data.notes]
    lines += [words.text(found) for found in data_findings.in_sentences(summary.data.findings)]
    for name, why in summary.left_out:
        said = words.text("Left out: ", "bold yellow")
        said.append_text(words.name(name))
        said.append_text(words.text(f": {why}"))
        lines.append(said)
    return lines


def what_was_searched(summary: Summary) -> str:
    """How many trials ended in which way, on how many pictures of how many groups, in two or three sentences."""
    counts, data = summary.trials, summary.data
    of = f" of {counts.budget}" if counts.budget is not None else ""
    others = [
        plural(counts.baselines, "baseline"),
        plural(counts.duplicates, "duplicate") if counts.duplicates else "",
        f"{counts.running} running" if counts.running else "",
    ]
    beside = "; beside them " + ", ".join(part for part in others if part)
    grouped = f" {data.grouped}" if data.grouped else ""
    folds = f"{data.folds} folds" if data.folds > 1 else "one part"
    return (
        f"{counts.counted}{of} trials: {counts.completed} completed, {counts.pruned} pruned early, "
        f"{counts.failed} failed{beside}. {plural(data.development, 'picture')} of "
        f"{plural(len(data.classes), 'class', 'classes')} scored in {folds}, {data.holdout} kept back.{grouped}"
    )
