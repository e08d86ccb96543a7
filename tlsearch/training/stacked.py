"""Trains one head on several folds side by side, as one program.

A step of a small head is more overhead than arithmetic, and five folds in one step pay it once. Each fold has its own
weights, order, batches and dropout, so what it learns is what it would have learned alone, but for rounding.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from tlsearch.training.fit import Material, objective_of, stretch_of
from tlsearch.training.imbalance import Objective
from tlsearch.training.loop import Fold, Inputs, MicroBatch, NonFiniteError, Stretch, log_probabilities, order_of
from tlsearch.training.optim import Group, Stepper
from tlsearch.training.order import batches, rate_scale, view_of
from tlsearch.training.recipe import Phase, Recipe
from tlsearch.training.stacked_head import StackedHead

Indices = NDArray[np.int64]
FoldEpochDone = Callable[[Fold, int, float, float], None]  # fold, epoch, mean training loss, seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class StackedObjective:
    """What a step minimises on each of F folds; as `Objective`, with the fold in front.

    Args:
        label_smoothing: 0 to below 1.
        weights: `(F, C)`, or None.
        offset: `(F, 1, C)`, or None.
    """

    label_smoothing: float
    weights: torch.Tensor | None
    offset: torch.Tensor | None

    @classmethod
    def of(cls, objectives: Sequence[Objective]) -> "StackedObjective":
        """Stack the folds' objectives, which are of one recipe."""
        weights = [one.weights for one in objectives if one.weights is not None]
        offsets = [one.offset for one in objectives if one.offset is not None]
        return cls(
            label_smoothing=objectives[0].label_smoothing,
            weights=torch.stack(weights) if weights else None,
            offset=torch.stack(offsets)[:, None] if offsets else None,
        )

    def totals(self, logits: torch.Tensor, labels: torch.Tensor, present: torch.Tensor | None) -> torch.Tensor:
        """`(F,)`: the sum of the losses of each fold's pictures.

        Args:
            logits: `(F, n, C)`.
            labels: `(F, n)`.
            present: `(F, n)`, 1 for a picture and 0 for what only fills up; None where all are pictures.
        """
        if self.offset is not None:
            logits = logits + self.offset
        smoothing = self.label_smoothing
        flat = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), label_smoothing=smoothing, reduction="none")
        each = flat.view_as(labels)  # (F, n)
        if self.weights is not None:
            each = each * self.weights.gather(1, labels)
        return (each if present is None else each * present).sum(dim=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """One step's pictures of every fold, the shorter ones filled up with their own first picture.

    Args:
        rows: `(F, n)`.
        counts: `(F,)` pictures of each fold, or the one number of all.
        present: `(F, n)`, 1 for a picture and 0 for what only fills up; None where all are pictures.
    """

    rows: Indices
    counts: torch.Tensor | int
    present: torch.Tensor | None

    @classmethod
    def of(cls, rows: Sequence[Indices], device: torch.device) -> "_Batch":
        """Fill up to the longest; what fills up counts for nothing, and only has to be a picture."""
        longest = max(map(len, rows))
        if all(len(one) == longest for one in rows):
            return cls(rows=np.stack(rows), counts=longest, present=None)
        filled = [np.pad(one, (0, longest - len(one)), constant_values=one[0]) for one in rows]
        counts = torch.tensor([len(one) for one in rows], device=device)
        present = (torch.arange(longest, device=device) < counts[:, None]).float()
        return cls(rows=np.stack(filled), counts=counts, present=present)


def folds_in_step(folds: Sequence[Fold], batch_size: int) -> list[list[int]]:
    """Places of the folds that take equally many steps an epoch, and so can take them together."""
    by_steps: dict[int, list[int]] = {}
    for place, fold in enumerate(folds):
        steps = len(batches(fold.train, min(batch_size, len(fold.train))))
        by_steps.setdefault(steps, []).append(place)
    return list(by_steps.values())


def fit_stacked(
    recipe: Recipe,
    head: nn.Sequential,
    material: Material,
    folds: Sequence[Fold],
    *,
    dropout_seed: int,
    on_epoch: FoldEpochDone,
) -> list[NDArray[np.float32]]:
    """Train a recipe's phases on folds that take equally many steps.

    Args:
        recipe: With every stage frozen.
        head: With its initial weights, the same for every fold; it can be stacked, and holds the last fold's in the
            end.
        material: What it stands on.
        folds: As `folds_in_step` says.
        dropout_seed: Decides dropout.
        on_epoch: Told of each fold after each epoch.

    Returns:
        For each fold, in order, the log-probabilities of its validation images `(n, C)`.

    Raises:
        NonFiniteError: Where the training diverged on one of the folds.
        torch.OutOfMemoryError: Where the stack does not fit.
    """
    head.to(material.device).train()
    inputs = material.inputs(len(material.loaded.backbone.stages), recipe.augment)
    stacked = StackedHead(head, len(folds), dropout_seed=dropout_seed)
    objectives = [objective_of(recipe, material, fold) for fold in folds]
    first = 0
    for phase in recipe.phases:
        pairs = zip(folds, objectives, strict=True)
        stretches = [stretch_of(recipe, phase, first, fold, objective) for fold, objective in pairs]
        _train(
            stacked, _stepper(recipe, phase, stacked), recipe.clip_norm, inputs, material, folds, stretches, on_epoch
        )
        first += phase.epochs
    return list(_predictions(stacked, head, inputs, material, folds))


def _train(
    stacked: StackedHead,
    stepper: Stepper,
    clip_norm: float | None,
    inputs: Inputs,
    material: Material,
    folds: Sequence[Fold],
    stretches: Sequence[Stretch],
    on_epoch: FoldEpochDone,
) -> None:
    """One phase; as `loop.train`, on every fold at once."""
    labels, stretch = material.labels, stretches[0]  # but for batch size and objective all are alike
    objective = StackedObjective.of([one.objective for one in stretches])
    steps_an_epoch = len(batches(folds[0].train, stretch.batch_size))
    steps = stretch.epochs * steps_an_epoch
    for offset in range(stretch.epochs):
        began = time.monotonic()
        epoch = stretch.first + offset
        views = view_of(len(labels), seed=folds[0].seed, views=len(inputs.views), epoch=epoch)
        total = torch.zeros(len(folds), device=labels.device)
        for index, batch in enumerate(_batches(folds, stretches, labels, epoch)):
            rows = batch.rows.reshape(-1)
            x = inputs.gather(rows, views[rows], labels.device)
            logits = stacked.logits(x.view(*batch.rows.shape, -1), batch.present).float()
            losses = objective.totals(logits, labels[batch.rows], batch.present)  # (F,)
            gradients = torch.autograd.grad((losses / batch.counts).sum(), stepper.parameters)
            total += losses.detach()
            _clip(gradients, clip_norm)
            stepper.step(gradients, rate_scale(offset * steps_an_epoch + index, steps, stretch.schedule))
        _tell(folds, total, epoch, time.monotonic() - began, on_epoch)


def _batches(folds: Sequence[Fold], stretches: Sequence[Stretch], labels: torch.Tensor, epoch: int) -> Iterator[_Batch]:
    """The steps of an epoch: each fold's own batches in its own order."""
    of_folds = [
        batches(order_of(fold, labels, epoch, balanced=stretch.balanced), stretch.batch_size)
        for fold, stretch in zip(folds, stretches, strict=True)
    ]
    for rows in zip(*of_folds, strict=True):
        yield _Batch.of(rows, labels.device)


def _tell(folds: Sequence[Fold], total: torch.Tensor, epoch: int, seconds: float, on_epoch: FoldEpochDone) -> None:
    for fold, loss in zip(folds, total.tolist(), strict=True):
        mean = loss / len(fold.train)
        if not math.isfinite(mean):
            raise NonFiniteError(f"the training loss became {mean} in epoch {epoch + 1}")
        on_epoch(fold, epoch, mean, seconds / len(folds))


def _stepper(recipe: Recipe, phase: Phase, stacked: StackedHead) -> Stepper:
    """Steps without clipping, which is by fold."""
    groups = []
    for decayed in (True, False):  # biases and normalisation have one dimension behind the fold's
        own = [p for p in stacked.parameters if (p.ndim > 2) == decayed]
        decay = recipe.weight_decay if decayed else 0.0
        groups.append(Group(parameters=own, learning_rate=phase.learning_rate, weight_decay=decay))
    return Stepper(recipe.optimizer, [group for group in groups if group.parameters], None)


@torch.no_grad()
def _clip(gradients: Sequence[torch.Tensor], norm: float | None) -> None:
    """Scale each fold's gradients to at most a norm of all of them together, as `Stepper` does."""
    if norm is None:
        return
    each = torch.stack([torch.linalg.vector_norm(one.flatten(1), dim=1) for one in gradients])  # (weights, F)
    scale = (norm / (torch.linalg.vector_norm(each, dim=0) + 1e-6)).clamp(max=1.0)
    for one in gradients:
        one.mul_(scale.view(-1, *[1] * (one.ndim - 1)))


def _predictions(
    stacked: StackedHead, head: nn.Sequential, inputs: Inputs, material: Material, folds: Sequence[Fold]
) -> Iterator[NDArray[np.float32]]:
    head.eval()
    for place, fold in enumerate(folds):
        stacked.copy_to(head, place)
        yield log_probabilities(head, inputs, fold.validation, material.device, micro=MicroBatch())
