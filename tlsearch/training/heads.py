"""Trains the heads of one job on one fold's cached features.

The signature is that of one stacked program over all rows; the rows are trained one by one behind it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from tlsearch.training.fit import Fitted, Material, fitted
from tlsearch.training.loop import Fold
from tlsearch.training.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadRow:
    """One head of a job.

    Args:
        recipe: With every stage frozen.
        head: With its initial weights; trained in place.
        dropout_seed: Decides dropout.
        on_epoch: `(fit so far, epoch, mean loss, seconds)`.
    """

    recipe: Recipe
    head: nn.Sequential
    dropout_seed: int
    on_epoch: Callable[[Fitted, int, float, float], None]


def fit_heads(rows: Sequence[HeadRow], material: Material, fold: Fold) -> list[NDArray[np.float32] | Exception]:
    """Fit every row on one fold.

    Args:
        rows: They share the backbone and the augmentation.
        material: What they stand on.
        fold: The images.

    Returns:
        For each row the log-probabilities of the fold's validation images `(n, C)`, or the error that ended it: a
        row's result does not depend on its neighbours.
    """
    outcomes: list[NDArray[np.float32] | Exception] = []
    for row in rows:
        try:
            with fitted(
                row.recipe,
                row.head,
                material,
                fold,
                dropout_seed=row.dropout_seed,
                on_epoch=row.on_epoch,
            ) as fit:
                outcomes.append(fit.predict(fold.validation))
        except Exception as error:  # of whatever kind: it is this row's result
            outcomes.append(error)
    return outcomes
