"""What was found in the data, in words and tables: for `tlsearch data check` and for a study's report."""

from collections.abc import Mapping, Sequence
from math import inf

from rich.console import RenderableType
from rich.text import Text

from tlsearch.records import Json
from tlsearch.report.alike import Pair, near_pairs, under_two_labels
from tlsearch.report.data_check import DataCheck, LearningCurve
from tlsearch.report.found import doubted, told, two_labels
from tlsearch.report.results import section, table
from tlsearch.report.text import Words, number, plural
from tlsearch.report.values import Best, Summary
from tlsearch.stats import Interval

SHOWN = 10  # of a list; `--json` has all
NAMED = 3  # of a large group of files
ROOMY = 80  # columns from which file names are shown longer
LEARNING_COLUMNS = ("trained on", "score", "95 % sure")


def in_sentences(findings: Mapping[str, Json]) -> list[str]:
    """What a person should know of pictures that were skipped, dropped, tied together, changed or ignored.

    Args:
        findings: As a study's context has them.
    """
    return [one.sentence for one in told(findings).values()]


def nearly_equal(findings: Mapping[str, Json], words: Words, width: int) -> RenderableType | None:
    """Pairs of pictures that show one photograph; those under two labels first."""
    pairs = near_pairs(findings)
    if not pairs:
        return None
    found = table()
    found.add_column("picture", overflow="fold")
    found.add_column("nearly equal to", overflow="fold")
    found.add_column("alike", justify="right", no_wrap=True)
    for pair in pairs[:SHOWN]:
        names = _pair(pair, words, width)
        found.add_row(*names, f"{100 * float(pair['likeness']):.1f} %")
    said = [words.text(two)] if (two := two_labels(findings)) else []
    return section(told(findings)["near"].title, found, *said, *_rest(len(pairs), words))


def looking_alike(findings: Mapping[str, Json], words: Words, width: int) -> RenderableType | None:
    """Large groups of pictures that look alike, with the first files of each."""
    groups = findings.get("too_alike", ())
    if not groups:
        return None
    shown = [words.text(f"- {_group(files, words, width)}") for files in groups[:SHOWN]]
    return section("Large groups of pictures that look alike", *shown, *_rest(len(groups), words))


def large_groups(summary: Summary, words: Words, width: int) -> RenderableType | None:
    """The large groups of pictures of a study that look alike."""
    return looking_alike(summary.data.findings, words, width)


def labels(summary: Summary, words: Words, width: int) -> RenderableType | None:
    """The labels worth a second look, of a study that was checked."""
    return None if summary.check is None else doubts(summary.check, words, width)


def alike(summary: Summary, words: Words, width: int) -> RenderableType | None:
    """The nearly equal pictures of a study."""
    return nearly_equal(summary.data.findings, words, width)


def amount(summary: Summary, words: Words, width: int) -> RenderableType | None:
    """Whether more pictures would help, of a study that was checked."""
    return None if summary.check is None else more_pictures(summary.check.learning, words, summary.best)


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
    said = doubted(check)
    return section(said.title, found, words.text(said.explained, "dim"), *_rest(len(check.doubts), words))


def more_pictures(learning: LearningCurve, words: Words, best: Best | None = None) -> RenderableType:
    """Whether more pictures would help: the score by how many were trained on, what it says, and how to read it.

    Args:
        learning: What fewer pictures would have given.
        words: Of the study.
        best: What the study named best; None where the pictures were only checked.
    """
    found = table()
    for column in LEARNING_COLUMNS:
        found.add_column(column, justify="right", no_wrap=True)
    for row in learning_rows(learning, words):
        found.add_row(*row)
    notes = [words.text(note, "dim") for note in how_to_read(learning, words, best)]
    return section("Would more pictures help?", words.text(learning.says), found, *notes)


def learning_rows(learning: LearningCurve, words: Words) -> list[tuple[str, str, str]]:
    """A learning curve as the rows of a table: pictures trained on, the score, its interval."""
    curve = zip(learning.images, learning.score, learning.low, learning.high, strict=True)
    return [
        (plural(images, "picture"), words.score(score), words.span(Interval(low=low, high=high)))
        for images, score, low, high in curve
    ]


def how_to_read(learning: LearningCurve, words: Words, best: Best | None) -> list[str]:
    """What a learning curve was measured with and what it has to do with what the study named best, in sentences."""
    said = ["Of a plain classifier on features of frozen networks, with a part of the pictures it could learn from."]
    if best is None:
        return said
    said.append("It is another, quicker classifier than the winner: read how its score rises, not how high it is.")
    reached = max(learning.score, default=-inf)
    if best.chosen and best.interval is not None and round(reached, 3) > round(best.interval.high, 3):  # as it reads
        said.append(
            f"Here it even reaches {words.score(reached)}, more than can be expected of the winner (95 % sure: "
            f"{words.span(best.interval)}): so the search may not yet have found what these networks can do. More "
            "trials, or more epochs in each, could."
        )
    return said


def _pair(pair: Pair, words: Words, width: int) -> list[Text]:
    """Both names; where the labels differ, each with its own."""
    names = [_file(file, words, width) for file in pair["files"]]
    if not under_two_labels(pair):
        return names
    labels = (words.name(label, longest=24).plain for label in pair["labels"])
    return [Text(f"{name.plain} ({label})") for name, label in zip(names, labels, strict=True)]


def _group(files: Sequence[str], words: Words, width: int) -> str:
    named = ", ".join(_file(file, words, width).plain for file in files[:NAMED])
    left = len(files) - NAMED
    return f"{plural(len(files), 'picture')}: {named}{f' and {number(left)} more' if left > 0 else ''}"


def _file(name: str, words: Words, width: int) -> Text:
    return words.name(name, longest=60 if width >= ROOMY else 36)


def _rest(count: int, words: Words) -> list[Text]:
    return [words.text(f"{number(count - SHOWN)} more: --json lists them.", "dim")] if count > SHOWN else []
