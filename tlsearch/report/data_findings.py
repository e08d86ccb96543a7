"""What was found in the data, in words and tables: for `tlsearch data check` and for a study's report."""

from collections.abc import Mapping, Sequence

from rich.console import RenderableType
from rich.text import Text

from tlsearch.records import Json
from tlsearch.report.data_check import DataCheck, LearningCurve
from tlsearch.report.results import section, table
from tlsearch.report.text import Words, number, plural
from tlsearch.report.values import Summary
from tlsearch.stats import Interval

SHOWN = 10  # of a list; `--json` has all
ROOMY = 80  # columns from which file names are shown longer
COUNTED = (
    ("unreadable", "file", "files", "could not be read and were skipped"),
    ("dropped", "picture", "pictures", "left out, since an equal one is held out"),
    ("duplicates", "set", "sets", "of equal pictures, each kept on one side of every split"),
    ("near", "pair", "pairs", "of nearly equal pictures, each kept on one side of every split"),
    ("too_alike", "set", "sets", "of pictures too many and too alike to be copies: not kept together"),
    ("enlarged", "picture", "pictures", "smaller than the largest network's input, and enlarged"),
    ("ignored", "file", "files", "ignored: hidden, or no picture by name"),
)


def in_sentences(findings: Mapping[str, Json]) -> list[str]:
    """What a person should know of pictures that were skipped, dropped, tied together, changed or ignored.

    Args:
        findings: As a study's context has them.
    """
    counts = {name: _count(findings[name]) for name, *_ in COUNTED if name in findings}
    found = [f"{plural(counts[name], one, many)} {said}." for name, one, many, said in COUNTED if counts.get(name)]
    if converted := findings.get("conversions"):
        by_rule = ", ".join(f"{number(count)} {rule}" for rule, count in sorted(converted.items()))
        found.append(f"Pictures converted: {by_rule}.")
    return found


def nearly_equal(findings: Mapping[str, Json], words: Words, width: int) -> RenderableType | None:
    """Pairs of pictures that show one photograph; those under two labels first."""
    pairs = sorted(findings.get("near", ()), key=lambda pair: (_one_label(pair), -float(pair["likeness"])))
    if not pairs:
        return None
    found = table()
    found.add_column("picture", overflow="fold")
    found.add_column("nearly equal to", overflow="fold")
    found.add_column("alike", justify="right", no_wrap=True)
    for pair in pairs[:SHOWN]:
        names = (_file(file, words, width) for file in pair["files"])
        found.add_row(*names, f"{100 * float(pair['likeness']):.1f} %")
    two = [pair for pair in pairs if not _one_label(pair)]
    said = _rest(len(pairs), words)
    if two:
        under_two = plural(
            len(two), "pair stands under two labels, and comes", "pairs stand under two labels, and come"
        )
        said.insert(0, words.text(f"{under_two} first: one of the labels may be wrong."))
    return section(plural(len(pairs), "pair of nearly equal pictures", "pairs of nearly equal pictures"), found, *said)


def labels(summary: Summary, words: Words, width: int) -> RenderableType | None:
    """The labels worth a second look, of a study that was checked."""
    return None if summary.check is None else doubts(summary.check, words, width)


def alike(summary: Summary, words: Words, width: int) -> RenderableType | None:
    """The nearly equal pictures of a study."""
    return nearly_equal(summary.data.findings, words, width)


def amount(summary: Summary, words: Words, width: int) -> RenderableType | None:
    """Whether more pictures would help, of a study that was checked."""
    return None if summary.check is None else more_pictures(summary.check.learning, words)


def doubts(check: DataCheck, words: Words, width: int) -> RenderableType | None:
    """Pictures that look like another class than their label says, the most suspicious first."""
    if not check.doubts:
        return None
    found = table()
    found.add_column("picture", overflow="fold")
    found.add_column("label", overflow="fold")
    found.add_column("looks like", overflow="fold")
    found.add_column("sure", justify="right", no_wrap=True)
    for one in check.doubts[:SHOWN]:
        shown = (words.name(name, longest=24) for name in (one.label, one.suggested))
        found.add_row(_file(one.file, words, width), *shown, f"{100 * one.sure:.0f} %")
    said = words.text(
        "They look like another class to a classifier that never saw them. Wrong labels stand out so, and hard "
        "pictures too: look at the first, and stop where they turn out right.",
        "dim",
    )
    title = plural(len(check.doubts), "label worth a second look", "labels worth a second look")
    return section(title, found, said, *_rest(len(check.doubts), words))


def more_pictures(learning: LearningCurve, words: Words) -> RenderableType:
    """Whether more pictures would help: the score by how many were trained on, and what it says."""
    found = table()
    found.add_column("trained on", justify="right", no_wrap=True)
    found.add_column("score", justify="right", no_wrap=True)
    found.add_column("95 % sure", justify="right", no_wrap=True)
    curve = zip(learning.images, learning.score, learning.low, learning.high, strict=True)
    for images, score, low, high in curve:
        shown = words.score(score), words.span(Interval(low=low, high=high))
        found.add_row(plural(images, "picture"), *shown)
    how = "Of a plain classifier on features of frozen networks, with a part of the pictures it could learn from."
    return section("Would more pictures help?", words.text(learning.says), found, words.text(how, "dim"))


def _one_label(pair: Mapping[str, Sequence[str]]) -> bool:
    return len(set(pair["labels"])) == 1


def _file(name: str, words: Words, width: int) -> Text:
    return words.name(name, longest=60 if width >= ROOMY else 36)


def _rest(count: int, words: Words) -> list[Text]:
    return [words.text(f"{number(count - SHOWN)} more: --json lists them.", "dim")] if count > SHOWN else []


def _count(found: Json) -> int:
    return len(found) if isinstance(found, list | tuple | dict) else int(found)
