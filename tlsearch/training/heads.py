"""Trains the heads of one job on one fold's cached features.

One stacked program over all rows would fit the signature; the rows are trained one by one behind it.
"""

from collections.abc import Callable, Iterator, Sequence
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
        head: Builds it with its initial weights.
        dropout_seed: Decides dropout.
        on_epoch: `(fit so far, epoch, mean loss, seconds)`.
    """

    recipe: Recipe
    head: Callable[[], nn.Sequential]
    dropout_seed: int
    on_epoch: Callable[[Fitted, int, float, float], None]


def fit_heads(rows: Sequence[HeadRow], material: Material, fold: Fold) -> Iterator[NDArray[np.float32] | Exception]:
    """Fit every row on one fold.

    Args:
        rows: They share the backbone and the augmentation.
        material: What they stand on.
        fold: The images.

    Yields:
        For each row, in order, the log-probabilities of the fold's validation images `(n, C)`, or the error that
        ended it: a row's result does not depend on its neighbours. Who asks for no more trains no more.
    """
    for row in rows:
        outcome: NDArray[np.float32] | Exception
        try:
            with fitted(
                row.recipe,
                row.head(),
                material,
                fold,
                dropout_seed=row.dropout_seed,
                on_epoch=row.on_epoch,
            ) as fit:
                outcome = fit.predict(fold.validation)
        except Exception as error:  # of whatever kind: it is this row's result
            outcome = error
        yield outcome
