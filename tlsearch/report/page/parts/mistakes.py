"""Its mistakes: what is taken for what with the pictures behind it, class by class, and the surest wrong answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np

from tlsearch.report.cells import MOST, Cell, cell_pictures, worst_mistakes
from tlsearch.report.page.gallery import Gallery
from tlsearch.report.page.material import Answered
from tlsearch.report.page.section import Desk, Section, Shown, per_cent, sureness
from tlsearch.report.text import NOTHING, number, plural

GROUP = "Its answers"
MOST_CLASSES = 30  # a wider matrix becomes a list of the most frequent confusions
MOST_CONFUSIONS = 40
STRIP = 8  # pictures in each row at the top
LONGEST_NAME = 32  # below a picture; elsewhere a class has its whole name
NO_ANSWERS = "No answers of the named configuration are stored, so nothing can be said of its mistakes."


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixCell:
    """One cell: its count, how deep it is coloured (0 to 1), and the key of the pictures behind it, if any."""

    count: int
    depth: float
    right: bool
    pictures: str
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """One class; shares are in per cent, for bars."""

    name: str
    pictures: int
    found: str
    found_share: float
    right: str
    right_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Album:
    """The answered pictures, ready to be shown."""

    answered: Answered
    names: Sequence[str]
    gallery: Gallery

    @classmethod
    def of(cls, desk: Desk) -> "Album | None":
        """Of the named configuration's answers; None where none are stored."""
        answered = desk.material.answered
        if answered is None:
            return None
        classes = desk.material.summary.data.classes
        names = [desk.words.name(name, longest=LONGEST_NAME).plain for name in classes]
        return cls(answered=answered, names=names, gallery=desk.gallery)

    def has(self, place: int) -> bool:
        """Whether there is a small copy of a picture."""
        return self.answered.files[place] in self.gallery

    def sure(self, place: int) -> str:
        """How sure the answer to a picture was."""
        return sureness(float(np.exp(self.answered.log_probs[place].max())))

    def shown(self, place: int) -> Shown:
        """A picture with its class, and with what it was taken for where that is another one."""
        answer, true = int(self.answered.log_probs[place].argmax()), int(self.answered.labels[place])
        title = self.names[true] if answer == true else f"{self.names[true]}, taken for {self.names[answer]}"
        file = self.answered.files[place]
        return Shown(uri=self.gallery.take(file), file=file, title=title, note=self.sure(place))

    def cells(self) -> dict[Cell, tuple[int, ...]]:
        """Places of the pictures behind each cell."""
        return cell_pictures(self.answered.log_probs, self.answered.labels)

    def worst(self) -> tuple[int, ...]:
        """Places of the surest mistakes."""
        return worst_mistakes(self.answered.log_probs, self.answered.labels)


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
        return _section("confusion", "What it takes for what", missing=NO_ANSWERS)
    cells = _behind(album)
    matrix = [
        [
            _cell(count, sum(row), (true, answer), names, bool(cells.get(f"{true}-{answer}")))
            for answer, count in enumerate(row)
        ]
        for true, row in enumerate(answers.confusion)
    ]
    small = len(names) <= MOST_CLASSES
    wrong = [cell for true, row in enumerate(matrix) for place, cell in enumerate(row) if place != true and cell.count]
    right = sum(row[place].count for place, row in enumerate(matrix))
    lead = (
        f"{number(right)} of {plural(right + answers.wrong, 'picture')} are right, answered by models that did not "
        "train on the picture."
    )
    if cells:
        lead += " Press a number to see the pictures behind it."
    if desk.material.pictures is not None and desk.material.pictures.thumb_note:
        lead += f" {desk.material.pictures.thumb_note}"
    return _section(
        "confusion",
        "What it takes for what",
        lead=lead,
        content={
            "names": names,
            "matrix": list(zip(names, matrix, strict=True)) if small else [],
            "list": [] if small else sorted(wrong, key=lambda cell: -cell.count)[:MOST_CONFUSIONS],
        },
        cells=cells,
    )


def classes(desk: Desk) -> Section:
    """How each class fares."""
    summary = desk.material.summary
    if summary.answers is None:
        return _section("classes", "Class by class", missing=NO_ANSWERS)
    rows = [
        ClassRow(
            name=name,
            pictures=one.support,
            found=_share(one.recall),
            found_share=_width(one.recall),
            right=_share(one.precision),
            right_share=_width(one.precision),
        )
        for name, one in zip(summary.data.classes, summary.answers.per_class, strict=True)
    ]
    lead = "Found: how many of the class's pictures it recognises. Right when named: how often it is right where it "
    return _section("classes", "Class by class", lead=f"{lead}names the class.", content={"rows": rows})


def surest_mistakes(desk: Desk) -> Section:
    """The wrong answers that were the surest, and where the network looked."""
    album, pictures = Album.of(desk), desk.material.pictures
    title = "Its surest mistakes"
    if album is None:
        return _section("mistakes", title, missing=NO_ANSWERS)
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
        lead += " This run stored no pictures, so only their names are shown."
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


def _surest_right(album: Album) -> list[int]:
    """Places of right answers, the surest of each class in turn."""
    columns = [
        [place for place in places if album.has(place)]
        for (true, answer), places in album.cells().items()
        if true == answer
    ]
    return [column[turn] for turn in range(STRIP) for column in columns if turn < len(column)][:STRIP]


def _behind(album: Album) -> dict[str, object]:
    """[address, file, sureness] of the pictures by cell ("true-answer"), until the page is full.

    Wrong cells take theirs first, and one of each in turn.
    """
    found = album.cells()
    order = sorted(found, key=lambda cell: (cell[0] == cell[1], -len(found[cell])))
    taken: dict[str, list[list[str]]] = {}
    for turn in range(MOST):
        for true, answer in order:
            places = found[true, answer]
            if turn < len(places) and (uri := album.gallery.take(album.answered.files[places[turn]])):
                shown = [uri, album.answered.files[places[turn]], album.sure(places[turn])]
                taken.setdefault(f"{true}-{answer}", []).append(shown)
    return dict(taken)


def _cell(count: int, of: int, cell: Cell, names: Sequence[str], has_pictures: bool) -> MatrixCell:
    true, answer = cell
    if true == answer:
        said = f"{names[true]}, recognised: {plural(count, 'picture')}"
    else:
        said = f"{names[true]}, taken for {names[answer]}: {plural(count, 'picture')}"
    return MatrixCell(
        count=count,
        depth=round(0.2 + 0.8 * (count / of) ** 0.6, 3) if count else 0.0,  # rare confusions stay visible
        right=true == answer,
        pictures=f"{true}-{answer}" if has_pictures else "",
        said=said,
    )


def _share(value: float) -> str:
    return NOTHING if isnan(value) else per_cent(value)


def _width(value: float) -> float:
    return 0.0 if isnan(value) else round(100 * value, 1)
