"""A survey of pictures before a study is made of them: its values, and how a terminal shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, RenderableType
from rich.rule import Rule

from tlsearch.records import Json
from tlsearch.report.charts import bar
from tlsearch.report.class_gains import gains_by_class
from tlsearch.report.data_check import DataCheck
from tlsearch.report.data_findings import SHOWN, doubts, in_sentences, looking_alike, more_pictures, nearly_equal
from tlsearch.report.results import section, table
from tlsearch.report.text import Words, number, plural

BAR = 24  # columns
CLASSES_SHOWN = 40  # `--json` has all
COUNTED_ALONE = ("dropped", "enlarged", "ignored", "conversions", "too_alike")  # faults are listed


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
        skew: What a study of them does since the classes are of unequal size; "" where nothing.
        findings: What is odd, by name, as a study's context has it. And what must be mended: "conflicts", each with
            the files that show equal pixels and their labels; "leaks", each with a file, one that is like it and held
            out more, and the ready parts of both.
        notes: Sentences that belong to the data.
        faults: What keeps a study from running; empty where nothing does.
        check: What probes said, as a study stores it; None where there is too little to probe.
        unchecked: Why there is none.
        grouped: How many groups the pictures come in, in a sentence; "" where none is named.
    """

    root: Path
    metric: str
    per_class: Mapping[str, int]
    skew: str
    findings: Mapping[str, Json]
    notes: tuple[str, ...]
    faults: tuple[DataFault, ...]
    check: Mapping[str, Json] | None
    unchecked: str
    grouped: str = ""

    def to_json(self) -> dict[str, Json]:
        """What `tlsearch data check --json` prints."""
        return {
            "root": str(self.root),
            "metric": self.metric,
            "classes": dict(self.per_class),
            "skew": self.skew,
            "grouped": self.grouped,
            "findings": dict(self.findings),
            "notes": list(self.notes),
            "faults": [{"message": fault.message, "hint": fault.hint} for fault in self.faults],
            "data_check": None if self.check is None else DataCheck.from_json(self.check).to_json(),
            "unchecked": self.unchecked,
        }


def render_survey(survey: Survey, console: Console) -> None:
    """Print a survey on a console, as wide as it is: first whether a study can run, then what is worth knowing."""
    words = Words.for_console(survey.metric, console)
    console.print(Rule(words.name(_as_seen_from_here(survey.root), "bold"), style="dim"))
    counts = survey.per_class
    pictures = f"{plural(sum(counts.values()), 'picture')} in {plural(len(counts), 'class', 'classes')}."
    console.print(words.text(" ".join(filter(None, (pictures, survey.grouped, _verdict(survey)))), "bold"))
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
    conflicts, leaks = [_conflict(one) for one in found["conflicts"]], [_leak(one) for one in found["leaks"]]
    parts = [
        _classes(survey, words),
        _listed("Files that cannot be read", [f"{name}: {why}" for name, why in found["unreadable"].items()], words),
        _listed("Equal pictures under several labels", conflicts, words, most=len(conflicts)),
        _listed("Pictures on both sides of the ready parts", leaks, words, most=len(leaks)),
        _listed("Equal pictures", [" = ".join(names) for names in found["duplicates"]], words),
        nearly_equal(found, words, width),
        looking_alike(found, words, width),
    ]
    if survey.check is None:
        return [*parts, words.text(f"Labels and the amount of pictures were not checked: {survey.unchecked}.")]
    check = DataCheck.from_json(survey.check)
    labels = doubts(check, words, width) or _no_doubts(words)
    return [*parts, labels, more_pictures(check.learning, words), gains_by_class(check.learning, words)]


def _verdict(survey: Survey) -> str:
    if not survey.faults:
        return "Nothing keeps a study from running on them."
    return f"{plural(len(survey.faults), 'fault keeps', 'faults keep')} a study from running on them:"


def _as_seen_from_here(place: Path) -> str:
    """A path as a person would type it: below the working directory relative to it."""
    here = Path.cwd()
    return str(place.relative_to(here) if place.is_relative_to(here) else place)


def _classes(survey: Survey, words: Words) -> RenderableType:
    most = max(survey.per_class.values())
    found = table()
    found.add_column("class", overflow="fold")
    found.add_column("pictures", justify="right", no_wrap=True)
    found.add_column("", no_wrap=True)
    for name, count in list(survey.per_class.items())[:CLASSES_SHOWN]:
        drawn = bar(count / max(most, 1), BAR, ascii_only=words.ascii_only)
        found.add_row(words.name(name, longest=24), number(count), drawn)
    left = len(survey.per_class) - CLASSES_SHOWN
    said = [words.text(f"and {plural(left, 'more class', 'more classes')}: --json has all.", "dim")] if left > 0 else []
    said += [words.text(survey.skew)] if survey.skew else []
    return section("Classes", found, *said)


def _conflict(found: Mapping[str, Json]) -> str:
    pairs = zip(found["files"], found["labels"], strict=True)
    return " = ".join(f"{file} ({label})" for file, label in pairs)


def _leak(found: Mapping[str, Json]) -> str:
    (file, like), (part, held_out) = found["files"], found["parts"]
    return f"{file} ({part}) goes with {like} ({held_out})"


def _listed(title: str, entries: Sequence[str], words: Words, *, most: int = SHOWN) -> RenderableType | None:
    """What was found, line by line; all of it where each is a fault to mend."""
    if not entries:
        return None
    shown = [words.text(f"- {entry}") for entry in entries[:most]]
    left = len(entries) - most
    more = [words.text(f"{number(left)} more: --json lists them.", "dim")] if left > 0 else []
    return section(f"{title}: {number(len(entries))}", *shown, *more)


def _no_doubts(words: Words) -> RenderableType:
    said = "No picture looks like another class than its own to a classifier that never saw it."
    return section("No label stands out as wrong", words.text(said))
