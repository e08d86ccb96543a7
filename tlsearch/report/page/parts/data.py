"""The data: how many pictures of which class, what was found in them, and whether more of them would help."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tlsearch.records import Json
from tlsearch.report.alike import MOST_GROUPS, MOST_OF_A_SET, MOST_SETS, near_pairs, under_two_labels
from tlsearch.report.data_check import LabelDoubt, class_gains
from tlsearch.report.data_findings import LEARNING_COLUMNS, how_to_read, learning_rows
from tlsearch.report.found import Told, doubted, told, two_labels
from tlsearch.report.page.curves import learning
from tlsearch.report.page.section import BEFORE_THE_FIRST, Desk, Section, Shown, per_cent, sureness
from tlsearch.report.text import number, plural

GROUP = "The data"
MOST_DOUBTS = 24
MOST_LINES = 200
NOT_CHECKED = "This run did not look for wrong labels."
NOT_MEASURED = "This run did not measure what fewer pictures would have given."


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One kind of thing that was found.

    Args:
        title: Such as "3 sets of equal pictures".
        said: What it means and what was done about it.
        sets: Pictures that belong together, with a line about each set.
        lines: What has no picture to show, or did not fit.
        unfolds: What shows them.
    """

    title: str
    said: str
    sets: tuple[tuple[str, tuple[Shown, ...]], ...] = ()
    lines: tuple[str, ...] = ()
    unfolds: str = "Show them"

    @property
    def first(self) -> tuple[str, ...]:
        """As many of the lines as a person may want to scroll through."""
        return self.lines[:MOST_LINES]

    @property
    def left(self) -> int:
        """How many lines there are beyond those."""
        return len(self.lines) - len(self.first)


def pictures(desk: Desk) -> Section:
    """What was found in the pictures."""
    found = desk.material.summary.data.findings
    counts = [(str(name), int(count)) for name, count in (found.get("per_class") or {}).items()]
    most = max((count for _, count in counts), default=1) or 1
    about = told(found)
    candidates = (
        _near(about.get("near"), found, desk),
        _too_alike(about.get("too_alike"), found, desk),
        _equal(about.get("duplicates"), found, desk),
        _doubts(desk),
        *(_told(about.get(name)) for name in ("enlarged", "conversions")),
        *(_files(about.get(name), found.get(name)) for name in ("unreadable", "dropped", "ignored")),
    )
    shown = [one for one in candidates if one is not None]
    not_checked = NOT_CHECKED if desk.has_tried else f"Labels are not checked yet. {BEFORE_THE_FIRST}"
    return Section(
        key="data",
        group=GROUP,
        nav="What was found in it",
        title="What was found in the pictures",
        lead="" if shown else "Nothing odd was found.",
        missing="" if found else "This run stored no findings about its pictures.",
        content={
            "counts": [(name, number(count), round(100 * count / most, 1)) for name, count in counts],
            "findings": shown,
            "not_checked": [] if desk.material.summary.check else [not_checked],
        },
    )


def more_pictures(desk: Desk) -> Section:
    """Whether more pictures would help."""
    check, best = desk.material.summary.check, desk.material.summary.best
    curve = None if check is None else check.learning
    chart = None if curve is None else learning(curve, desk.words)
    content: dict[str, object] = {}
    if curve is not None:
        content = {
            "chart": chart,
            "columns": LEARNING_COLUMNS,
            "rows": learning_rows(curve, desk.words),
            "class_columns": ("class", "found with half", "found with all", "points gained"),
            "classes": [
                (one.name, per_cent(one.half), per_cent(one.whole), f"{100 * one.gain:+.0f}")
                for one in class_gains(curve.per_class)
            ],
            "remarks": how_to_read(curve, desk.words, best),
        }
    return Section(
        key="more",
        group=GROUP,
        nav="Would more pictures help?",
        title="Would more pictures help?",
        lead="" if curve is None else curve.says,
        missing="" if chart else NOT_MEASURED if desk.has_tried else BEFORE_THE_FIRST,
        content=content,
        charts=(chart,) if chart else (),
    )


def _near(about: Told | None, found: Mapping[str, Json], desk: Desk) -> Finding | None:
    if about is None:
        return None
    pairs = near_pairs(found)
    sets = []
    for pair in pairs[:MOST_SETS]:
        labels = [str(label) for label in pair.get("labels") or ("", "")]
        how = "mirrored" if pair.get("how") == "mirrored" else ""
        odd = "different labels" if under_two_labels(pair) else ""
        line = ", ".join(part for part in (f"{per_cent(float(pair['likeness']))} alike", how, odd) if part)
        sets.append((line, _set(pair["files"], labels, desk)))
    lines = tuple(" = ".join(_labelled(pair)) for pair in pairs[MOST_SETS:])
    said = " ".join(part for part in (about.explained, two_labels(found)) if part)
    return Finding(title=about.title, said=said, sets=tuple(sets), lines=lines, unfolds=_more(lines))


def _more(lines: Sequence[str]) -> str:
    return f"Show {number(len(lines))} more"


def _group(files: Sequence[str]) -> str:
    first = f"; the first {MOST_OF_A_SET}" if len(files) > MOST_OF_A_SET else ""
    return f"{plural(len(files), 'picture')}{first}"


def _labelled(pair: Mapping[str, Json]) -> list[str]:
    """Both files of a pair; where the labels differ, each with its own."""
    files = [str(file) for file in pair["files"]]
    if not under_two_labels(pair):
        return files
    return [f"{file} ({label})" for file, label in zip(files, pair["labels"], strict=True)]


def _too_alike(about: Told | None, found: Mapping[str, Json], desk: Desk) -> Finding | None:
    if about is None:
        return None
    groups = [[str(file) for file in files] for files in found["too_alike"]]
    sets = tuple((_group(files), _unlabelled(files, desk)) for files in groups[:MOST_GROUPS])
    lines = tuple(f"{plural(len(files), 'picture')}: {', '.join(files)}" for files in groups)
    return Finding(title=about.title, said=about.explained, sets=sets, lines=lines, unfolds="Show all their files")


def _equal(about: Told | None, found: Mapping[str, Json], desk: Desk) -> Finding | None:
    if about is None:
        return None
    groups = found["duplicates"]
    sets = tuple(("", _unlabelled(files, desk)) for files in groups[:MOST_SETS])
    lines = tuple(" = ".join(str(file) for file in files) for files in groups[MOST_SETS:])
    return Finding(title=about.title, said=about.explained, sets=sets, lines=lines, unfolds=_more(lines))


def _doubts(desk: Desk) -> Finding | None:
    check = desk.material.summary.check
    if check is None or not check.doubts:
        return None
    shown = tuple(_doubt(one, desk) for one in check.doubts[:MOST_DOUBTS])
    lines = tuple(
        f"{one.file}: labelled {one.label}, looks like {one.suggested} ({sureness(one.sure)})"
        for one in check.doubts[MOST_DOUBTS:]
    )
    about = doubted(check)
    return Finding(title=about.title, said=about.explained, sets=(("", shown),), lines=lines, unfolds=_more(lines))


def _doubt(one: LabelDoubt, desk: Desk) -> Shown:
    return Shown(
        uri=desk.gallery.take(one.file),
        file=one.file,
        title=f"labelled {one.label}",
        note=f"looks like {one.suggested}, {sureness(one.sure)}",
    )


def _files(about: Told | None, value: Json) -> Finding | None:
    """Files alone, with why where that is known; a store may have only their number."""
    if about is None:
        return None
    lines: tuple[str, ...] = ()
    if isinstance(value, Mapping):
        lines = tuple(f"{file}: {why}" for file, why in value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        lines = tuple(str(file) for file in value)
    return Finding(title=about.title, said=about.explained, lines=lines)


def _told(about: Told | None) -> Finding | None:
    return None if about is None else Finding(title=about.title, said=about.explained)


def _unlabelled(files: Sequence[Json], desk: Desk) -> tuple[Shown, ...]:
    return _set(files, [""] * len(files), desk)


def _set(files: Sequence[Json], labels: Sequence[str], desk: Desk) -> tuple[Shown, ...]:
    pairs = list(zip(files, labels, strict=True))[:MOST_OF_A_SET]
    return tuple(Shown(uri=desk.gallery.take(str(file)), file=str(file), title=label) for file, label in pairs)
