"""The pictures that were answered, ready to be shown: one by one, and behind the cells of the confusion matrix."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from tlsearch.report.cells import MOST, Cell, cell_pictures, worst_mistakes
from tlsearch.report.page.gallery import Gallery
from tlsearch.report.page.material import Answered
from tlsearch.report.page.section import Desk, Shown, sureness

LONGEST_NAME = 32  # of a class below a picture; elsewhere it has its whole name


def cell_key(cell: Cell) -> str:
    """What the page's script knows a cell by."""
    true, answer = cell
    return f"{true}-{answer}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Album:
    """The answered pictures.

    Args:
        answered: All of them.
        names: Of the classes, in label order.
        gallery: Has their small copies.
    """

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

    def shown(self, place: int) -> Shown:
        """A picture with its class, and with what it was taken for where that is another one."""
        answer, true = int(self.answered.log_probs[place].argmax()), int(self.answered.labels[place])
        title = self.names[true] if answer == true else f"{self.names[true]}, taken for {self.names[answer]}"
        file, note = self._named(place)
        return Shown(uri=self.gallery.take(file), file=file, title=title, note=note)

    def cells(self) -> dict[Cell, tuple[int, ...]]:
        """Places of the pictures behind each cell."""
        return cell_pictures(self.answered.log_probs, self.answered.labels)

    def worst(self) -> tuple[int, ...]:
        """Places of the surest mistakes."""
        return worst_mistakes(self.answered.log_probs, self.answered.labels)

    def behind(self, cells: Sequence[Cell]) -> dict[str, list[list[str]]]:
        """[address, file, sureness] of the pictures behind some cells, by the cells' keys.

        The address is "" where there is no small copy, or no room for it: the picture is named then. Names take half of
        the room at most. One picture of each cell in turn takes its place, that of the first cells first.
        """
        found = self.cells()
        turns = [(cell, found[cell][turn]) for turn in range(MOST) for cell in cells if turn < len(found[cell])]
        sizes = list(accumulate((len(json.dumps(["", *self._named(place)])) for _, place in turns), initial=0))
        fitting = sum(size <= self.gallery.left // 2 for size in sizes[1:])
        self.gallery.spend(sizes[fitting])
        taken: dict[str, list[list[str]]] = {}
        for cell, place in turns[:fitting]:
            file, sure = self._named(place)
            taken.setdefault(cell_key(cell), []).append([self.gallery.take(file), file, sure])
        return taken

    def _named(self, place: int) -> tuple[str, str]:
        """A picture's file, and how sure the answer to it was."""
        return self.answered.files[place], sureness(float(np.exp(self.answered.log_probs[place].max())))
