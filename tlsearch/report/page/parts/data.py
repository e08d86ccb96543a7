"""The data: how many pictures of which class, what was found in them, and whether more of them would help."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tlsearch.records import Json
from tlsearch.report.data_check import LabelDoubt
from tlsearch.report.page.curves import learning
from tlsearch.report.page.section import Desk, Section, Shown, per_cent, sureness
from tlsearch.report.text import number, plural

GROUP = "The data"
MOST_DOUBTS = 24
MOST_SETS = 12
MOST_OF_A_SET = 6
MOST_LINES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One kind of thing that was found.

    Args:
        title: Such as "3 near duplicates".
        said: What it means and what was done about it.
        sets: Pictures that belong together, with a line about each set.
        lines: What has no picture to show, or did not fit.
    """

    title: str
    said: str
    sets: tuple[tuple[str, tuple[Shown, ...]], ...] = ()
    lines: tuple[str, ...] = ()

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
    candidates = (
        _near(found, desk),
        _too_alike(found),
        _equal(found, desk),
        _doubts(desk),
        _enlarged(found),
        _converted(found),
        _files("unreadable", found, "file", "skipped", "Not readable as pictures."),
        _files(
            "dropped",
            found,
            "picture",
            "left out",
            "An equal picture is held out: a model would be tested on what it has seen.",
        ),
        _files("ignored", found, "file", "ignored", "Hidden, or no picture by its name."),
    )
    shown = [one for one in candidates if one is not None]
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
            "not_checked": [] if desk.material.summary.check else ["This run did not look for wrong labels."],
        },
    )


def more_pictures(desk: Desk) -> Section:
    """Whether more pictures would help."""
    check = desk.material.summary.check
    curve = None if check is None else check.learning
    chart = None if curve is None else learning(curve, desk.words)
    lead = ""
    if check is not None and curve is not None:
        lead = f"{curve.says} Measured with the features of {check.network}, its head fitted on parts of the pictures."
    return Section(
        key="more",
        group=GROUP,
        nav="Would more pictures help?",
        title="Would more pictures help?",
        lead=lead,
        missing="" if chart else "This run did not measure what fewer pictures would have given.",
        content={"chart": chart},
        charts=(chart,) if chart else (),
    )


def _near(found: Mapping[str, Json], desk: Desk) -> Finding | None:
    pairs = found.get("near") or []
    if not pairs:
        return None
    sets = []
    for pair in pairs[:MOST_SETS]:
        labels = [str(label) for label in pair.get("labels") or ("", "")]
        how = "mirrored" if pair.get("how") == "mirrored" else ""
        odd = "different labels" if len(set(labels)) > 1 else ""
        line = ", ".join(part for part in (f"{per_cent(float(pair['likeness']))} alike", how, odd) if part)
        sets.append((line, _set(pair["files"], labels, desk)))
    lines = [" = ".join(str(file) for file in pair["files"]) for pair in pairs[MOST_SETS:]]
    return Finding(
        title=plural(len(pairs), "pair of nearly equal pictures", "pairs of nearly equal pictures"),
        said="Resized, recompressed, cropped a little or mirrored. Each pair stays on one side of every split, so that "
        "no model is tested on what it has seen.",
        sets=tuple(sets),
        lines=tuple(lines),
    )


def _too_alike(found: Mapping[str, Json]) -> Finding | None:
    groups = found.get("too_alike") or []
    if not groups:
        return None
    return Finding(
        title=plural(
            len(groups), "large group of pictures that look alike", "large groups of pictures that look alike"
        ),
        said="Too many hang together to keep all on one side; where they are one object, name it with group_by.",
        lines=tuple(f"{plural(len(files), 'picture')}: {', '.join(str(file) for file in files)}" for files in groups),
    )


def _equal(found: Mapping[str, Json], desk: Desk) -> Finding | None:
    groups = found.get("duplicates") or []
    if not groups:
        return None
    sets = [("", _set(files, [""] * len(files), desk)) for files in groups[:MOST_SETS]]
    return Finding(
        title=plural(len(groups), "set of equal pictures", "sets of equal pictures"),
        said="Equal in every pixel; each set stays on one side of every split.",
        sets=tuple(sets),
        lines=tuple(" = ".join(str(file) for file in files) for files in groups[MOST_SETS:]),
    )


def _doubts(desk: Desk) -> Finding | None:
    check = desk.material.summary.check
    if check is None or not check.doubts:
        return None
    shown = tuple(_doubt(one, desk) for one in check.doubts[:MOST_DOUBTS])
    lines = [
        f"{one.file}: labelled {one.label}, looks like {one.suggested} ({sureness(one.sure)})"
        for one in check.doubts[MOST_DOUBTS:]
    ]
    return Finding(
        title=plural(len(check.doubts), "label worth a second look", "labels worth a second look"),
        said=f"Most suspicious first, judged by {check.network} on pictures that it was not fitted on. Not every one "
        "is wrong: look before you change it.",
        sets=(("", shown),),
        lines=tuple(lines),
    )


def _doubt(one: LabelDoubt, desk: Desk) -> Shown:
    return Shown(
        uri=desk.gallery.take(one.file),
        file=one.file,
        title=f"labelled {one.label}",
        note=f"looks like {one.suggested}, {sureness(one.sure)}",
    )


def _enlarged(found: Mapping[str, Json]) -> Finding | None:
    count = _count(found.get("enlarged"))
    if not count:
        return None
    said = "Smaller than the largest network's input, and enlarged: larger originals would show it more."
    return Finding(title=plural(count, "small picture"), said=said)


def _converted(found: Mapping[str, Json]) -> Finding | None:
    rules = found.get("conversions") or {}
    if not rules:
        return None
    said = ", ".join(f"{number(int(count))} {rule}" for rule, count in sorted(rules.items()))
    return Finding(title="Converted while decoding", said=f"By fixed rules: {said}.")


def _files(name: str, found: Mapping[str, Json], one: str, what: str, said: str) -> Finding | None:
    value = found.get(name)
    if not _count(value):
        return None
    lines: list[str] = []
    if isinstance(value, Mapping):
        lines = [f"{file}: {why}" for file, why in value.items()]
    elif isinstance(value, Sequence) and not isinstance(value, str):
        lines = [str(file) for file in value]
    return Finding(title=f"{plural(_count(value), one)} {what}", said=said, lines=tuple(lines))


def _set(files: Sequence[Json], labels: Sequence[str], desk: Desk) -> tuple[Shown, ...]:
    pairs = list(zip(files, labels, strict=True))[:MOST_OF_A_SET]
    return tuple(Shown(uri=desk.gallery.take(str(file)), file=str(file), title=label) for file, label in pairs)


def _count(found: Json) -> int:
    if found is None:
        return 0
    return len(found) if isinstance(found, list | tuple | dict) else int(found)
