"""Trains a head on cached features, on all folds of a partition: side by side where it can be, else one by one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from tlsearch.training.fit import Material, fitted
from tlsearch.training.loop import Fold, is_out_of_memory
from tlsearch.training.recipe import Recipe
from tlsearch.training.stacked import FoldEpochDone, fit_stacked, folds_in_step
from tlsearch.training.stacked_head import can_be_stacked

# Weights of a whole stack: with gradients and moments 320 MB, which a worker can spare beside its backbone.
STACKED_AT_MOST = 20_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadRow:
    """One head of a job.

    Args:
        recipe: With every stage frozen.
        head: Builds it with its initial weights.
        dropout_seed: Decides dropout.
        on_epoch: `(fold, epoch, mean loss, seconds)`.
    """

    recipe: Recipe
    head: Callable[[], nn.Sequential]
    dropout_seed: int
    on_epoch: FoldEpochDone


def fit_head(row: HeadRow, material: Material, folds: Sequence[Fold]) -> list[NDArray[np.float32]]:
    """Fit a head on every fold; which way depends on the head and the folds alone, never on other heads.

    Args:
        row: The head.
        material: What it stands on.
        folds: Of one partition.

    Returns:
        For each fold, in order, the log-probabilities of its validation images `(n, C)`.

    Raises:
        NonFiniteError: Where the training diverged.
        torch.OutOfMemoryError: Where a single picture does not fit.
    """
    found: dict[int, NDArray[np.float32]] = {}
    for places in folds_in_step(folds, row.recipe.batch_size):
        fitted_here = _together(row, material, [folds[place] for place in places])
        found |= dict(zip(places, fitted_here, strict=True))
    return [found[place] for place in range(len(folds))]


def _together(row: HeadRow, material: Material, folds: Sequence[Fold]) -> list[NDArray[np.float32]]:
    head = row.head()
    if not _can_go_together(head, row.recipe, material, len(folds)):
        return [_alone(row, material, fold) for fold in folds]
    try:
        return fit_stacked(row.recipe, head, material, folds, dropout_seed=row.dropout_seed, on_epoch=row.on_epoch)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return [_alone(row, material, fold) for fold in folds]


def _can_go_together(head: nn.Sequential, recipe: Recipe, material: Material, folds: int) -> bool:
    if folds == 1 or not material.pools or not can_be_stacked(head, recipe.batch_size):
        return False
    weights = folds * sum(weight.numel() for weight in head.parameters())
    return 0 < weights <= STACKED_AT_MOST


def _alone(row: HeadRow, material: Material, fold: Fold) -> NDArray[np.float32]:
    with fitted(
        row.recipe,
        row.head(),
        material,
        fold,
        dropout_seed=row.dropout_seed,
        on_epoch=lambda _, epoch, loss, seconds: row.on_epoch(fold, epoch, loss, seconds),
    ) as fit:
        return fit.predict(fold.validation)
