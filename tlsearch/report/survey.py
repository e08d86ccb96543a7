"""A survey of pictures before a study is made of them: its values, and how a terminal shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, RenderableType
from rich.rule import Rule

from tlsearch.records import Json
from tlsearch.report.charts import bar
from tlsearch.report.data_check import DataCheck
from tlsearch.report.data_findings import SHOWN, doubts, in_sentences, more_pictures, nearly_equal
from tlsearch.report.results import section, table
from tlsearch.report.text import Words, number, plural

BAR = 24  # columns
SKEWED = 3.0  # the largest class over the smallest, from which on plain accuracy misleads
CLASSES_SHOWN = 40
COUNTED_ALONE = ("enlarged", "ignored", "conversions", "too_alike")  # the other findings are listed


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFault:
    """What keeps a study from running on the pictures, and the way out; "" where the message names it."""

    message: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What is known of some pictures.

    Args:
        root: Where they are.
        metric: Of the scores.
        per_class: Readable pictures of each class.
        findings: What is odd, by name, as a study's context has it; "conflicts" are lists of files that show equal
            pixels under several labels.
        notes: Sentences that belong to the data.
        faults: What keeps a study from running; empty where nothing does.
        check: What probes said, as a study stores it; None where there is too little to probe.
        unchecked: Why there is none.
    """

    root: Path
    metric: str
    per_class: Mapping[str, int]
    findings: Mapping[str, Json]
    notes: tuple[str, ...]
    faults: tuple[DataFault, ...]
    check: Mapping[str, Json] | None
    unchecked: str

    def to_json(self) -> dict[str, Json]:
        """What `tlsearch data check --json` prints."""
        return {
            "root": str(self.root),
            "metric": self.metric,
            "classes": dict(self.per_class),
            "findings": dict(self.findings),
            "notes": list(self.notes),
            "faults": [{"message": fault.message, "hint": fault.hint} for fault in self.faults],
            "check": None if self.check is None else dict(self.check),
            "unchecked": self.unchecked,
        }


def render_survey(survey: Survey, console: Console) -> None:
    """Print a survey on a console, as wide as it is: first whether a study can run, then what is worth knowing."""
    words = Words.for_console(survey.metric, console)
    console.print(Rule(words.name(str(survey.root), "bold"), style="dim"))
    counts = survey.per_class
    pictures = plural(sum(counts.values()), "picture")
    console.print(words.text(f"{pictures} in {plural(len(counts), 'class', 'classes')}. {_verdict(survey)}", "bold"))
    for fault in survey.faults:
        console.print(words.text(f"- {fault.message}", "red"))
        if fault.hint:
            console.print(words.text(f"  {fault.hint}"))
    for note in survey.notes:
        console.print(words.text(note, "yellow"))
    counted = {name: survey.findings[name] for name in COUNTED_ALONE if name in survey.findings}
    for sentence in in_sentences(counted):
        console.print(words.text(sentence))
    for drawn in _sections(survey, words, console.width):
        if drawn is not None:
            console.print()
            console.print(drawn)


def _sections(survey: Survey, words: Words, width: int) -> Sequence[RenderableType | None]:
    found = survey.findings
    parts = [
        _classes(survey.per_class, words),
        _listed("Files that cannot be read", [f"{name}: {why}" for name, why in found["unreadable"].items()], words),
        _listed("Equal pictures under several labels", [" = ".join(names) for names in found["conflicts"]], words),
        _listed("Equal pictures", [" = ".join(names) for names in found["duplicates"]], words),
        nearly_equal(found, words, width),
    ]
    if survey.check is None:
        return [*parts, words.text(f"Labels and the amount of pictures were not checked: {survey.unchecked}.")]
    check = DataCheck.from_json(survey.check)
    return [*parts, doubts(check, words, width) or _no_doubts(words), more_pictures(check.learning, words)]


def _verdict(survey: Survey) -> str:
    if not survey.faults:
        return "Nothing keeps a study from running on them."
    return f"{plural(len(survey.faults), 'fault keeps', 'faults keep')} a study from running on them:"


def _classes(per_class: Mapping[str, int], words: Words) -> RenderableType:
    most, least = max(per_class.values()), min(per_class.values())
    found = table()
    found.add_column("class", overflow="fold")
    found.add_column("pictures", justify="right", no_wrap=True)
    found.add_column("", no_wrap=True)
    for name, count in list(per_class.items())[:CLASSES_SHOWN]:
        drawn = bar(count / max(most, 1), BAR, ascii_only=words.ascii_only)
        found.add_row(words.name(name, longest=24), number(count), drawn)
    skewed = (
        f"The largest class has {most / max(least, 1):.1f} times the pictures of the smallest: unless its file says "
        "otherwise, a study scores by balanced accuracy then, for which every class counts alike."
    )
    return section("Classes", found, *([words.text(skewed)] if most > SKEWED * least else []))


def _listed(title: str, entries: Sequence[str], words: Words) -> RenderableType | None:
    if not entries:
        return None
    shown = [words.text(f"- {entry}") for entry in entries[:SHOWN]]
    left = len(entries) - SHOWN
    more = [words.text(f"{number(left)} more: --json lists them.", "dim")] if left > 0 else []
    return section(f"{title}: {number(len(entries))}", *shown, *more)


def _no_doubts(words: Words) -> RenderableType:
    said = "No picture looks like another class than its own to a classifier that never saw it."
    return section("No label stands out as wrong", words.text(said))
