"""Which pictures are shown: those behind a cell of the confusion matrix, and the worst mistakes.

A run stores small copies of them, and a page looks them up: both ask here, so that they mean the same pictures.
Pictures are told by their place among the development pictures. Throughout, log-probabilities are `(n, C)`; a picture
that no fold predicted has a row of NaN and is left out.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

MOST = 24  # of a cell, and of the worst mistakes
MOST_CLASSES = 30  # a wider matrix becomes a list of the most frequent confusions
MOST_CONFUSIONS = 40
Cell = tuple[int, int]  # true class, answer


def cell_pictures(log_probs: NDArray[np.floating], labels: ArrayLike, most: int = MOST) -> dict[Cell, tuple[int, ...]]:
    """The pictures behind each cell that has any, at most so many of each.

    Args:
        log_probs: Out-of-fold predictions.
        labels: `(n,)` true classes.
        most: Of a cell. Of a wrong cell they are the surest; of right answers half are the surest and half the least
            sure, for neither alone shows what the class looks like to the network.

    Returns:
        By (true class, answer), in that order: places, the surest first.
    """
    truth = np.asarray(labels, dtype=np.int64)
    answers, surest_first = _answers(log_probs)
    cells: dict[Cell, list[int]] = {}
    for place in surest_first:
        cells.setdefault((int(truth[place]), int(answers[place])), []).append(place)
    return {cell: tuple(_shown(cells[cell], most, right=cell[0] == cell[1])) for cell in sorted(cells)}


def shown_cells(confusion: Sequence[Sequence[int]]) -> list[Cell]:
    """The cells whose pictures can be seen: wrong ones first, the fullest before the others, then right ones.

    Args:
        confusion: `(C, C)` counts; row: true class, column: answer. Of more than `MOST_CLASSES` classes the page lists
            the most frequent confusions in place of the matrix.
    """
    counts = {(true, answer): count for true, row in enumerate(confusion) for answer, count in enumerate(row) if count}
    wrong = sorted((cell for cell in counts if cell[0] != cell[1]), key=lambda cell: (-counts[cell], cell))
    listed = wrong if len(confusion) <= MOST_CLASSES else wrong[:MOST_CONFUSIONS]
    return [*listed, *(cell for cell in counts if cell[0] == cell[1])]


def worst_mistakes(log_probs: NDArray[np.floating], labels: ArrayLike, most: int = MOST) -> tuple[int, ...]:
    """Places of the wrong answers that were the surest, the surest first."""
    truth = np.asarray(labels, dtype=np.int64)
    answers, surest_first = _answers(log_probs)
    return tuple([place for place in surest_first if answers[place] != truth[place]][:most])


def _answers(log_probs: NDArray[np.floating]) -> tuple[NDArray[np.int64], list[int]]:
    """The answer to each picture, and the predicted ones in order of sureness; equally sure ones in their own order."""
    predicted = np.flatnonzero(~np.isnan(log_probs).any(axis=1))
    answers = np.nan_to_num(log_probs, nan=-np.inf).argmax(axis=1)
    sureness = log_probs[predicted, answers[predicted]]
    return answers, predicted[np.argsort(-sureness, kind="stable")].tolist()


def _shown(places: list[int], most: int, *, right: bool) -> list[int]:
    if len(places) <= most or not right:
        return places[:most]
    surest = most - most // 2
    return [*places[:surest], *places[len(places) - most // 2 :]]
