"""Its mistakes: what is taken for what with the pictures behind it, class by class, and the surest wrong answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np

from tlsearch.report.cells import MOST_CLASSES, MOST_CONFUSIONS, Cell, shown_cells
from tlsearch.report.lessons import Answers
from tlsearch.report.page.album import Album, cell_key
from tlsearch.report.page.section import Desk, Section, Shown, per_cent
from tlsearch.report.text import NOTHING, number, plural

GROUP = "Its answers"
STRIP = 8  # pictures in each row at the top
NO_ANSWERS = "No answers of the named configuration are stored, so nothing can be said of its mistakes."


@dataclass(frozen=True, slots=True, kw_only=True)
class Opener:
    """A figure that opens the pictures behind it.

    Args:
        cell: Whose pictures: true class, answer.
        count: How many there are.
        what: What they are, in words.
    """

    cell: Cell
    count: int
    what: str

    @classmethod
    def of(cls, cell: Cell, answers: Answers, names: Sequence[str]) -> "Opener":
        """For one cell of the matrix."""
        true, answer = cell
        how = "recognised" if true == answer else f"taken for {names[answer]}"
        return cls(cell=cell, count=answers.confusion[true][answer], what=f"{names[true]}, {how}")

    @property
    def key(self) -> str:
        """What the page's script knows the pictures by."""
        return cell_key(self.cell)

    @property
    def said(self) -> str:
        """What they are, and how many."""
        return f"{self.what}: {plural(self.count, 'picture')}"

    @property
    def right(self) -> bool:
        """Whether its pictures were recognised."""
        return self.cell[0] == self.cell[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixCell:
    """One cell, and how deep it is coloured (0 to 1)."""

    opens: Opener
    depth: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """One class; shares are in per cent, for bars."""

    name: str
    pictures: int
    opens: Opener
    found: str
    found_share: float
    right: str
    right_share: float


def strips(desk: Desk) -> tuple[tuple[str, str, tuple[Shown, ...]], ...]:
    """The pictures that matter, as (kind, title, pictures): the surest right answers of each class in turn, and the
    surest mistakes."""
    album = Album.of(desk)
    if album is None:
        return ()
    rows = (
        ("right", "Surest right answers", _surest_right(album)),
        ("wrong", "Surest mistakes", [place for place in album.worst() if album.has(place)][:STRIP]),
    )
    return tuple((kind, title, tuple(album.shown(place) for place in places)) for kind, title, places in rows if places)


def confusion(desk: Desk) -> Section:
    """The confusion matrix, whose cells open the pictures behind them."""
    answers, album = desk.material.summary.answers, Album.of(desk)
    names = desk.material.summary.data.classes
    if answers is None or album is None:
        return _section("confusion", "What it takes for what", missing=_no_answers(desk))
    cells = shown_cells(answers.confusion)
    pictures = album.behind(cells)
    small = len(names) <= MOST_CLASSES
    counts = np.array(answers.confusion)  # (C, C)
    lead = [
        f"{number(int(counts.trace()))} of {plural(int(counts.sum()), 'picture')} are right, answered by models that "
        "did not train on the picture."
    ]
    kinds = int(np.count_nonzero(counts) - np.count_nonzero(counts.diagonal()))
    if not small and kinds > MOST_CONFUSIONS:
        lead.append(f"Of {number(kinds)} kinds of confusion the {MOST_CONFUSIONS} most frequent are listed.")
    content = {
        "names": names,
        "matrix": list(zip(names, _matrix(answers, names), strict=True)) if small else [],
        "list": [] if small else [Opener.of(cell, answers, names) for cell in cells if cell[0] != cell[1]],
    }
    lead += _how_to_see(pictures, desk)
    return _section("confusion", "What it takes for what", lead=" ".join(lead), content=content, cells=pictures)


def classes(desk: Desk) -> Section:
    """How each class fares."""
    summary = desk.material.summary
    if summary.answers is None:
        return _section("classes", "Class by class", missing=_no_answers(desk))
    names = summary.data.classes
    rows = [
        ClassRow(
            name=name,
            pictures=one.support,
            opens=Opener.of((place, place), summary.answers, names),
            found=_share(one.recall),
            found_share=_width(one.recall),
            right=_share(one.precision),
            right_share=_width(one.precision),
        )
        for place, (name, one) in enumerate(zip(names, summary.answers.per_class, strict=True))
    ]
    lead = (
        "Found: how many of the class's pictures it recognises; press the figure to see them. Right when named: how "
        "often it is right where it names the class."
    )
    return _section("classes", "Class by class", lead=lead, content={"rows": rows})


def surest_mistakes(desk: Desk) -> Section:
    """The wrong answers that were the surest, and where the network looked."""
    album, pictures = Album.of(desk), desk.material.pictures
    title = "Its surest mistakes"
    if album is None:
        return _section("mistakes", title, missing=_no_answers(desk))
    if not album.worst():
        return _section("mistakes", title, missing="It made no mistake on these pictures.")
    maps = {} if pictures is None else {one.file: one.image for one in pictures.heat_maps}
    shown = [
        (picture, desk.gallery.place(maps[picture.file]) if picture.file in maps else "")
        for picture in map(album.shown, album.worst())
    ]
    lead = "A sure mistake is often a wrong label, an odd picture, or something that the model cannot see."
    if any(heat for _, heat in shown):
        lead += " The second picture shows where the network looked (Grad-CAM): the warmer, the more it counted."
    if pictures is not None and pictures.cam_note:
        lead += f" {pictures.cam_note}"
    if pictures is None:
        lead += (
            " This run stored no pictures, so only their names are shown."
            if desk.has_chosen
            else " Small pictures of them come at the end of the run; until then only their names are shown."
        )
    return _section("mistakes", title, lead=lead, content={"shown": shown})


def _section(
    key: str,
    title: str,
    *,
    lead: str = "",
    missing: str = "",
    content: Mapping[str, object] | None = None,
    cells: Mapping[str, object] | None = None,
) -> Section:
    return Section(
        key=key,
        group=GROUP,
        nav=title,
        title=title,
        lead=lead,
        missing=missing,
        content=content or {},
        cells=cells or {},
    )


def _no_answers(desk: Desk) -> str:
    return NO_ANSWERS if desk.material.summary.best is not None else "No trial has completed yet."


def _how_to_see(pictures: Mapping[str, Sequence[Sequence[str]]], desk: Desk) -> list[str]:
    """How to come to the pictures behind a cell, and why some are missing."""
    said = []
    if pictures:
        seen = any(uri for shown in pictures.values() for uri, *_ in shown)
        said.append(f"Press a number to see {'the pictures' if seen else 'which pictures are'} behind it.")
    if desk.material.pictures is not None and desk.material.pictures.thumb_note:
        said.append(desk.material.pictures.thumb_note)
    return said


def _matrix(answers: Answers, names: Sequence[str]) -> list[list[MatrixCell]]:
    return [
        [_cell(Opener.of((true, answer), answers, names), sum(row)) for answer in range(len(row))]
        for true, row in enumerate(answers.confusion)
    ]


def _surest_right(album: Album) -> list[int]:
    """Places of right answers, the surest of each class in turn."""
    columns = [
        [place for place in places if album.has(place)]
        for (true, answer), places in album.cells().items()
        if true == answer
    ]
    return [column[turn] for turn in range(STRIP) for column in columns if turn < len(column)][:STRIP]


def _cell(opens: Opener, of: int) -> MatrixCell:
    # a power below 1: rare confusions stay visible
    depth = round(0.2 + 0.8 * (opens.count / of) ** 0.6, 3) if opens.count else 0.0
    return MatrixCell(opens=opens, depth=depth)


def _share(value: float) -> str:
    return NOTHING if isnan(value) else per_cent(value)


def _width(value: float) -> float:
    return 0.0 if isnan(value) else round(100 * value, 1)
