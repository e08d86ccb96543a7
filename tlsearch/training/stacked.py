"""Trains heads side by side on several folds, as one program.

A step of a small head is more overhead than arithmetic, and what is done in one step pays it once: five folds of a
head, or fifty heads that see the same pictures. Each row has its own weights, rates, loss and schedule on each fold, so
what it learns is what it would have learned alone, but for rounding; which rows stand beside it does not matter.
"""

import math
import time
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tlsearch.cuda_graph import Capture, cuda_graph
from tlsearch.training.fit import Material, objective_of
from tlsearch.training.loop import Fold, MicroBatch, NonFiniteError, log_probabilities, order_of
from tlsearch.training.order import batches, rate_scale, view_of
from tlsearch.training.recipe import Phase, Recipe
from tlsearch.training.row_stepper import row_stepper
from tlsearch.training.stacked_batch import Batch, Seen, on_its_way
from tlsearch.training.stacked_head import StackedHead, chances
from tlsearch.training.stacked_objective import StackedObjective
from tlsearch.training.stacked_step import Steps

ANSWERED = 1024  # pictures that a head answers at once: their features are a few megabytes

FoldEpochDone = Callable[[Fold, int, float, float], None]  # fold, epoch, mean training loss, seconds
StartHead = Callable[[nn.Sequential, Fold], None]
Answers = list[NDArray[np.float32]]  # of each fold's validation images, log-probabilities (n, C)


def as_built(head: nn.Sequential, fold: Fold) -> None:
    """Begins from the weights that a head has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackedRow:
    """One row of a stack.

    Args:
        recipe: With every stage frozen.
        head: With its initial weights; holds what was learned on the last fold in the end.
        on_epoch: Told of each fold after each epoch.
        start: Puts into the head what it begins from on a fold, where that is something else.
    """

    recipe: Recipe
    head: nn.Sequential
    on_epoch: FoldEpochDone
    start: StartHead = as_built


def folds_in_step(folds: Sequence[Fold], batch_size: int) -> list[list[int]]:
    """Places of the folds that take equally many steps an epoch, and so can take them together."""
    by_steps: dict[int, list[int]] = {}
    for place, fold in enumerate(folds):
        steps = len(batches(fold.train, min(batch_size, len(fold.train))))
        by_steps.setdefault(steps, []).append(place)
    return list(by_steps.values())


def see_the_same(recipe: Recipe) -> tuple[object, ...]:
    """What rows of one stack have in common beside the structure of their heads: pictures, steps and rule.

    A recipe of several phases begins its optimizer anew in between, and stands in a stack of its own.
    """
    alone = recipe.digest() if len(recipe.phases) > 1 else ""
    balanced = recipe.imbalance == "balanced_sampling"
    return recipe.batch_size, recipe.augment, recipe.optimizer, recipe.clip_norm, balanced, alone


def fit_stacked(
    rows: Sequence[StackedRow],
    material: Material,
    folds: Sequence[Fold],
    *,
    dropout_seed: int,
    capture: Capture | None = None,
) -> list[Answers | NonFiniteError]:
    """Train rows on folds.

    Args:
        rows: Equal in `see_the_same`, their heads in `structure`; each can be stacked.
        material: What they stand on.
        folds: As `folds_in_step` says.
        dropout_seed: Decides dropout, for all rows alike.
        capture: Makes a graph of a step; None is `cuda_graph` on a GPU, and no graph elsewhere.

    Returns:
        For each row, in order, its answers, or how its training diverged on one of the folds.

    Raises:
        torch.OutOfMemoryError: Where the stack does not fit.
    """
    if capture is None and material.device.type == "cuda":
        capture = cuda_graph
    stack = _Stack(rows, material, folds, dropout_seed=dropout_seed, capture=capture)
    *before, last = range(len(rows[0].recipe.phases))
    for phase in before:
        stack.train(phase)
    stack.train(last, to_the_end=True)
    return [stack.outcomes[place] for place in range(len(rows))]


class _Stack:
    """Rows in training, by their place among those that were given; a row leaves with its outcome."""

    def __init__(
        self,
        rows: Sequence[StackedRow],
        material: Material,
        folds: Sequence[Fold],
        *,
        dropout_seed: int,
        capture: Capture | None,
    ) -> None:
        for row in rows:
            row.head.to(material.device).train()
        self.outcomes: dict[int, Answers | NonFiniteError] = {}
        self._rows, self._material, self._folds = rows, material, folds
        recipe = rows[0].recipe
        self._inputs = material.inputs(len(material.loaded.backbone.stages), recipe.augment)
        self._balanced = recipe.imbalance == "balanced_sampling"
        self._batch_sizes = [min(recipe.batch_size, len(fold.train)) for fold in folds]
        self._steps_an_epoch = len(batches(folds[0].train, self._batch_sizes[0]))
        self._first = 0  # the number of a phase's first epoch
        # places, in the order in which they lie in the stack: those together that drop alike
        self._training = sorted(range(len(rows)), key=lambda place: chances(rows[place].head))
        stacked = [rows[place] for place in self._training]
        self._head = StackedHead([row.head for row in stacked], len(folds), dropout_seed=dropout_seed)
        for lies, row in enumerate(stacked):
            for number, fold in enumerate(folds):
                row.start(row.head, fold)
                self._head.copy_from(row.head, number, lies)
        objectives = [[objective_of(row.recipe, material, fold) for row in stacked] for fold in folds]
        objective = StackedObjective.of(objectives, material.classes, material.device)
        self._steps = Steps(self._head, objective, capture)

    def train(self, number: int, *, to_the_end: bool = False) -> None:
        """One phase; as `loop.train`, for every row on every fold at once.

        Args:
            number: Of the phase.
            to_the_end: Whether it is the last one: each row leaves with its answers after its own epochs.
        """
        if not self._training:
            return
        phases = [self._rows[place].recipe.phases[number] for place in self._training]
        self._begin_phase(phases)
        epochs = dict(zip(self._training, (phase.epochs for phase in phases), strict=True))
        for epoch in range(max(epochs.values())):
            self._epoch(epoch, [epochs[place] for place in self._training])
            done = [place for place in self._training if to_the_end and epochs[place] == epoch + 1]
            for place in done:
                self.outcomes.setdefault(place, self._answers(place))
            self._go_on_without(self.outcomes)
            if not self._training:
                return
        self._first += max(epochs.values())

    def _epoch(self, epoch: int, epochs: Sequence[int]) -> None:
        """One epoch of a phase; `epochs` are those of the phase, for each row in training."""
        labels, number = self._material.labels, self._first + epoch
        began = time.monotonic()
        views = view_of(len(labels), seed=self._folds[0].seed, views=len(self._inputs.views), epoch=number)
        left = self._steps_an_epoch * (min(epochs) - epoch)
        self._steps.begin_epoch()
        for batch, scales in zip(self._batches(number), self._scales(epoch, epochs), strict=True):
            flat = batch.rows.reshape(-1)
            x = self._inputs.gather(flat, views[flat], labels.device).view(*batch.rows.shape, -1)  # (F, n, D)
            shown = labels[on_its_way(batch.rows, labels.device)]
            seen = Seen(x=x, labels=shown, counts=batch.counts, present=batch.present)
            self._steps.take(seen, scales, left=left)
        losses = self._steps.losses.T.tolist()
        self._tell(losses, number, (time.monotonic() - began) / (len(epochs) * len(self._folds)))

    def _batches(self, epoch: int) -> Iterator[Batch]:
        """The steps of an epoch: each fold's own batches in its own order."""
        labels = self._material.labels
        of_folds = [
            batches(order_of(fold, labels, epoch, balanced=self._balanced), size)
            for fold, size in zip(self._folds, self._batch_sizes, strict=True)
        ]
        size = max(len(rows) for of_fold in of_folds for rows in of_fold) if self._steps.of_one_size else None
        for rows in zip(*of_folds, strict=True):
            yield Batch.of(rows, labels.device, size=size)

    def _scales(self, epoch: int, epochs: Sequence[int]) -> torch.Tensor:
        """What each row's peak rate is multiplied by at each step of an epoch, `(steps, R)`."""
        steps = self._steps_an_epoch
        schedules = [self._rows[place].recipe.schedule for place in self._training]
        scales = [
            [rate_scale(step, steps * n, schedule) for n, schedule in zip(epochs, schedules, strict=True)]
            for step in range(epoch * steps, (epoch + 1) * steps)
        ]
        return torch.tensor(scales, device=self._material.device)

    def _tell(self, totals: Sequence[Sequence[float]], epoch: int, seconds: float) -> None:
        """Tell of each row's mean losses, of its folds in order; one that is no number ends the row."""
        for place, of_folds in zip(self._training, totals, strict=True):
            for fold, loss in zip(self._folds, of_folds, strict=True):
                mean = loss / len(fold.train)
                if not math.isfinite(mean):
                    self.outcomes[place] = NonFiniteError(f"the training loss became {mean} in epoch {epoch + 1}")
                    break
                self._rows[place].on_epoch(fold, epoch, mean, seconds)

    def _answers(self, place: int) -> Answers | NonFiniteError:
        head, found = self._rows[place].head.eval(), []
        try:
            for number, fold in enumerate(self._folds):
                self._head.copy_to(head, number, self._training.index(place))
                device, micro = self._material.device, MicroBatch()
                found.append(log_probabilities(head, self._inputs, fold.validation, device, micro=micro, most=ANSWERED))
        except NonFiniteError as error:
            return error
        return found

    def _go_on_without(self, ended: Container[int]) -> None:
        kept = [row for row, place in enumerate(self._training) if place not in ended]
        if len(kept) == len(self._training):
            return
        self._training = [self._training[row] for row in kept]
        if kept:
            self._steps.keep(kept)

    def _begin_phase(self, phases: Sequence[Phase]) -> None:
        recipes = [self._rows[place].recipe for place in self._training]
        stepper = row_stepper(
            recipes[0].optimizer,
            self._head.parameters,
            learning_rates=[phase.learning_rate for phase in phases],
            weight_decays=[recipe.weight_decay for recipe in recipes],
            clip_norm=recipes[0].clip_norm,
            repeatable=self._steps.of_one_size,
        )
        self._steps.begin_phase(stepper)
