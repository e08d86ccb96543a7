"""Tables of what was learned: freeze depth, parameters, classes, mistakes, time and failures."""

from math import isnan

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tlsearch.report.charts import axis_of, bar, span
from tlsearch.report.lessons import Answers, Branch, CacheSummary
from tlsearch.report.results import section, table
from tlsearch.report.text import NOTHING, Words, duration, number, plural, spoken
from tlsearch.report.values import Summary

BAR = 24
MOST_CLASSES = 12  # a wider confusion matrix becomes a list of the most frequent confusions
MOST_CONFUSIONS = 10
MOST_NUMBERS = 5


def depths(summary: Summary, words: Words, width: int) -> RenderableType | None:
    """What training more of the network did."""
    if not summary.depths:
        return None
    found = table()
    found.add_column("stages trained")
    found.add_column("trials", justify="right")
    found.add_column("median", justify="right", no_wrap=True)
    found.add_column("best", justify="right", no_wrap=True)
    found.add_column("median to best", no_wrap=True)
    axis = axis_of([score for one in summary.depths for score in (one.best, one.median)])
    for one in summary.depths:
        drawn = span(
            one.median,
            one.best,
            one.best,
            axis=axis,
            width=BAR if width >= 80 else 14,
            ascii_only=words.ascii_only,
        )
        label = "0 (all frozen)" if one.unfrozen == 0 else str(one.unfrozen)
        found.add_row(label, str(one.trials), words.score(one.median), words.score(one.best), drawn)
    return section("How much of the network to train", found)


def importance(summary: Summary, words: Words, width: int) -> RenderableType | None:
    """Which parameters the score depended on."""
    if summary.importance is None:
        return None
    if summary.importance.withheld:
        return section("What mattered for the score", words.text(summary.importance.withheld, "dim"))
    found = table()
    found.add_column("parameter", overflow="fold")
    found.add_column("share", justify="right", no_wrap=True)
    found.add_column("", no_wrap=True)
    columns = BAR if width >= 80 else 14
    for name, share in summary.importance.shares:
        drawn = bar(share, columns, ascii_only=words.ascii_only)
        found.add_row(words.name(spoken(name)), f"{100 * share:.0f} %", drawn)
    for branch in summary.importance.branches:
        _add_branch(found, branch, words, columns)
    return section("What mattered for the score", found)


def classes(summary: Summary, words: Words, width: int) -> RenderableType | None:
    """How the winner answers, class by class, and what it takes for what."""
    if summary.answers is None:
        return None
    names = summary.data.classes
    found = table()
    found.add_column("", justify="right", style="dim")
    found.add_column("class", overflow="fold")
    found.add_column("pictures", justify="right")
    found.add_column("found", justify="right", no_wrap=True)
    found.add_column("right when named", justify="right", no_wrap=True)
    for place, (name, one) in enumerate(zip(names, summary.answers.per_class, strict=True), start=1):
        shares = (_share(one.recall), _share(one.precision))
        found.add_row(str(place), words.name(name, longest=32), str(one.support), *shares)
    digits = len(str(max(max(row) for row in summary.answers.confusion)))
    fits = len(names) * (max(digits, len(str(len(names)))) + 2) + 30 <= width
    fits = fits and len(names) <= MOST_CLASSES
    confused = _matrix(summary.answers, names, words) if fits else _confusions(summary.answers, names, words)
    title = "Class by class, answered by models that did not train on the picture"
    return section(title, found, Text(), confused)


def mistakes(summary: Summary, words: Words, width: int) -> RenderableType | None:
    """The answers that were wrong and sure."""
    if summary.answers is None or not summary.answers.mistakes:
        return None
    shown = len(summary.answers.mistakes)
    found = table()
    found.add_column("file", overflow="fold")
    found.add_column("is", overflow="fold")
    found.add_column("taken for", overflow="fold")
    found.add_column("sure", justify="right", no_wrap=True)
    for one in summary.answers.mistakes:
        file = words.name(one.file, longest=60 if width >= 80 else 40)
        true, predicted = words.name(one.truth, longest=24), words.name(one.predicted, longest=24)
        found.add_row(file, true, predicted, f"{100 * one.probability:.0f} %")
    return section(f"The surest {shown} of {plural(summary.answers.wrong, 'mistake')}", found)


def time(summary: Summary, words: Words, width: int) -> RenderableType | None:
    """Where the time went, and what the cache saved."""
    if not summary.seconds:
        return None
    total = sum(summary.seconds.values())
    title = f"Where {duration(total)} went"
    found = table()
    found.add_column("phase")
    found.add_column("time", justify="right", no_wrap=True)
    found.add_column("", no_wrap=True)
    for phase, seconds in summary.seconds.items():
        share = seconds / total if total else 0.0
        found.add_row(words.name(phase), duration(seconds), bar(share, BAR, ascii_only=words.ascii_only))
    notes = [] if summary.cache is None else [words.text(what_the_cache_saved(summary.cache), "dim")]
    return section(title, found, *notes)


def what_the_cache_saved(cache: CacheSummary) -> str:
    """What went through frozen networks, and what would have without the cache, in a sentence or two."""
    said = f"Frozen parts were computed for {plural(cache.pictures, 'picture')} in {duration(cache.seconds)}."
    if cache.seconds_saved <= 0:
        return said
    return (
        f"{said} Without the cache they would have been computed for about {number(cache.pictures_without)}: "
        f"{duration(cache.seconds_saved)} more."
    )


def failures(summary: Summary, words: Words, width: int) -> RenderableType | None:
    """What failed, and why."""
    if not summary.failures:
        return None
    found = table()
    found.add_column("reason")
    found.add_column("trials", justify="right")
    found.add_column("first", overflow="fold")
    for one in summary.failures:
        numbers = [str(trial) for trial in one.trials[:MOST_NUMBERS]]
        which = f"{len(one.trials)} (trial {', '.join(numbers)}{', ...' if len(one.trials) > MOST_NUMBERS else ''})"
        found.add_row(words.name(one.reason.replace("_", " ")), which, words.name(one.detail, longest=160))
    return section("What failed", found)


def _add_branch(found: Table, branch: Branch, words: Words, columns: int) -> None:
    within = words.name(f"where {branch.where} ({plural(branch.trials, 'trial')})", "dim")
    if not branch.shares:
        found.add_row(within, NOTHING, Text("too few trials", style="dim"))
        return
    found.add_row(within, "", "")
    for name, share in branch.shares:
        drawn = bar(share, columns, ascii_only=words.ascii_only, style="blue")
        found.add_row(words.name(f"  {spoken(name)}"), f"{100 * share:.0f} %", drawn)


def _matrix(answers: Answers, names: tuple[str, ...], words: Words) -> RenderableType:
    found = table()
    found.add_column("", justify="right", style="dim")
    found.add_column("", overflow="fold")
    for place in range(1, len(names) + 1):
        found.add_column(str(place), justify="right", no_wrap=True)
    for place, (name, row) in enumerate(zip(names, answers.confusion, strict=True), start=1):
        cells = [_count(count, right=column == place) for column, count in enumerate(row, start=1)]
        found.add_row(str(place), words.name(name, longest=24), *cells)
    return section("What is taken for what (rows: what it is; columns: the answer)", found)


def _confusions(answers: Answers, names: tuple[str, ...], words: Words) -> RenderableType:
    pairs = [
        (count, names[true], names[answer])
        for true, row in enumerate(answers.confusion)
        for answer, count in enumerate(row)
        if count and true != answer
    ]
    found = table()
    found.add_column("is", overflow="fold")
    found.add_column("taken for", overflow="fold")
    found.add_column("pictures", justify="right")
    for count, true, answer in sorted(pairs, key=lambda pair: -pair[0])[:MOST_CONFUSIONS]:
        found.add_row(words.name(true, longest=32), words.name(answer, longest=32), str(count))
    return section("Most frequent confusions", found)


def _count(count: int, *, right: bool) -> Text:
    if right:
        return Text(str(count), style="green")
    return Text(str(count), style="red") if count else Text(".", style="dim")


def _share(value: float) -> str:
    return NOTHING if isnan(value) else f"{100 * value:.0f} %"
