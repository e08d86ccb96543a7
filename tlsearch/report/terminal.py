"""A summary on a terminal: first what a person wants to know, then what it rests on."""

from collections.abc import Callable, Mapping, Sequence

from rich.console import Console, RenderableType
from rich.rule import Rule
from rich.text import Text

from tlsearch.records import Json
from tlsearch.report import calibrated, details, results
from tlsearch.report.headline import headline, others_alike
from tlsearch.report.text import Words, number, plural
from tlsearch.report.values import Summary

Section = Callable[[Summary, Words, int], RenderableType | None]  # None where there is nothing to tell

SECTIONS: tuple[Section, ...] = (
    results.how_sure,
    results.baselines,
    results.leaderboard,
    results.networks,
    details.depths,
    details.importance,
    details.classes,
    details.mistakes,
    calibrated.believable,
    details.time,
    details.failures,
)


FINDINGS = (
    ("unreadable", "file", "files", "could not be read and were skipped"),
    ("dropped", "picture", "pictures", "left out, since an equal one is held out"),
    ("duplicates", "set", "sets", "of equal pictures, each kept on one side of every split"),
    ("enlarged", "picture", "pictures", "smaller than the largest network's input, and enlarged"),
    ("ignored", "file", "files", "ignored: hidden, or no picture by name"),
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
    lines = [words.text(_what_was_searched(summary))]
    lines += [words.text(note, "yellow") for note in summary.data.notes]
    lines += [words.text(found) for found in _found_in_the_data(summary.data.findings)]
    for name, why in summary.left_out:
        said = words.text("Left out: ", "bold yellow")
        said.append_text(words.name(name))
        said.append_text(words.text(f": {why}"))
        lines.append(said)
    return lines


def _found_in_the_data(findings: Mapping[str, Json]) -> list[str]:
    """What a person should know of pictures that were skipped, dropped, tied together, changed or ignored."""
    counts = {name: _count(value) for name, value in findings.items()}
    found = [f"{plural(counts[name], one, many)} {said}." for name, one, many, said in FINDINGS if counts.get(name)]
    if converted := findings.get("conversions"):
        by_rule = ", ".join(f"{number(count)} {rule}" for rule, count in sorted(converted.items()))
        found.append(f"Pictures converted: {by_rule}.")
    return found


def _what_was_searched(summary: Summary) -> str:
    counts, data = summary.trials, summary.data
    of = f" of {counts.budget}" if counts.budget is not None else ""
    others = [
        plural(counts.baselines, "baseline"),
        plural(counts.duplicates, "duplicate") if counts.duplicates else "",
        f"{counts.running} running" if counts.running else "",
    ]
    beside = "; beside them " + ", ".join(part for part in others if part)
    folds = f"{data.folds} folds" if data.folds > 1 else "one part"
    return (
        f"{counts.counted}{of} trials: {counts.completed} completed, {counts.pruned} pruned early, "
        f"{counts.failed} failed{beside}. {plural(data.development, 'picture')} of "
        f"{plural(len(data.classes), 'class', 'classes')} scored in {folds}, {data.holdout} kept back."
    )


def _count(found: Json) -> int:
    return len(found) if isinstance(found, list | tuple | dict) else int(found)
