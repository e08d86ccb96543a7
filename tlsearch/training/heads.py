"""Trains the heads of a job on cached features, on all folds of a partition: side by side where it pays."""

import contextlib
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tlsearch.errors import StoreError
from tlsearch.training.fit import Material, fitted
from tlsearch.training.loop import Fold, NonFiniteError, is_device_lost, is_out_of_memory
from tlsearch.training.recipe import Recipe
from tlsearch.training.resident import on_device
from tlsearch.training.stacked import (
    Answers,
    FoldEpochDone,
    StackedRow,
    StartHead,
    as_built,
    fit_stacked,
    folds_in_step,
    see_the_same,
)
from tlsearch.training.stacked_head import can_be_stacked, structure

# Weights of a whole stack: with gradients and moments 320 MB, which a worker can spare beside its backbone.
STACKED_AT_MOST = 20_000_000
# Of rows side by side on a CPU: with gradients, moments and directions 10 MB. Beyond what its cache holds a row costs
# ten times as much (17 classes on 3 folds: 0.2 ms a step with 8 rows, 1.1 ms with 32).
IN_CACHE = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadRow:
    """One head of a job.

    Args:
        recipe: With every stage frozen.
        head: Builds it with its initial weights.
        dropout_seed: Decides dropout.
        on_epoch: `(fold, epoch, mean loss, seconds)`.
        start: Puts into the head what it begins from on a fold, where that is something else.
    """

    recipe: Recipe
    head: Callable[[], nn.Sequential]
    dropout_seed: int
    on_epoch: FoldEpochDone
    start: StartHead = as_built


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadOutcome:
    """What became of a row.

    Args:
        answers: For each fold, in order, the log-probabilities of its validation images `(n, C)`; or what ended the
            row, which is no fault of its neighbours.
        seconds: Its share of the time.
        side_by_side: How many rows shared that time, this one included.
    """

    answers: Answers | Exception
    seconds: float
    side_by_side: int


class _Once:
    """Tells each epoch of a row once, though a stack that was given up has told some that are trained again."""

    def __init__(self, tell: FoldEpochDone) -> None:
        self._tell = tell
        self._told: set[tuple[int, int]] = set()

    def __call__(self, fold: Fold, epoch: int, loss: float, seconds: float) -> None:
        if (fold.fold, epoch) not in self._told:
            self._told.add((fold.fold, epoch))
            self._tell(fold, epoch, loss, seconds)


def fit_heads(rows: Sequence[HeadRow], material: Material, folds: Sequence[Fold]) -> Iterator[tuple[int, HeadOutcome]]:
    """Fit the heads of a job on every fold; what a head learns depends on the head and the folds alone.

    Args:
        rows: Any heads; those that can learn side by side do.
        material: What they stand on.
        folds: Of one partition.

    Yields:
        The place of a row and what became of it, as soon as that is known: of rows side by side one after another.

    Raises:
        StoreError: Where the disk is full.
        torch.AcceleratorError: Where the device was lost while several rows were in work.
    """
    material = on_device(material)
    for places in _groups(rows, material, len(folds)):
        group = [replace(rows[place], on_epoch=_Once(rows[place].on_epoch)) for place in places]
        yield from zip(places, _fit_group(group, material, folds), strict=True)


def _groups(rows: Sequence[HeadRow], material: Material, folds: int) -> Iterator[list[int]]:
    """Places of rows that are trained side by side, at most so many as pay."""
    together: dict[object, list[int]] = {}
    room: dict[object, int] = {}
    for place, row in enumerate(rows):
        try:
            head = row.head()
        except Exception:  # it is raised again where the row is trained, and is that row's outcome
            head = nn.Sequential()
        size = _rows_that_pay(head, row.recipe, material, folds)
        key: object = (structure(head), see_the_same(row.recipe), row.dropout_seed) if size > 1 else place
        together.setdefault(key, []).append(place)
        room[key] = max(1, size)
    for key, places in together.items():
        for start in range(0, len(places), room[key]):
            yield places[start : start + room[key]]


def _rows_that_pay(head: nn.Sequential, recipe: Recipe, material: Material, folds: int) -> int:
    """How many heads like this one are trained side by side; 0 where not even its folds are."""
    weights = folds * sum(weight.numel() for weight in head.parameters())
    if not material.pools or not can_be_stacked(head, recipe.batch_size) or not 0 < weights <= STACKED_AT_MOST:
        return 0
    if material.device.type != "cpu":
        return STACKED_AT_MOST // weights
    # with a hidden layer a step is arithmetic and memory traffic, of which rows share nothing: one at a time, whose
    # folds go together, and whose gradients are cheaper than autograd's
    return max(1, IN_CACHE // weights) if _is_linear(head) else 1


def _is_linear(head: nn.Sequential) -> bool:
    return sum(isinstance(layer, nn.Linear) for layer in head) == 1


@contextlib.contextmanager
def _threads(head: nn.Sequential) -> Iterator[None]:
    """One thread for linear heads, else as many as there are.

    Their operations take microseconds, so that threads wait for each other longer than they work: a step of five rows
    takes 0.66 ms on one and 1.0 on two, and twenty times that where another process, such as the coordinator that asks
    for the next trials, has one of the cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if _is_linear(head) else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _fit_group(rows: Sequence[HeadRow], material: Material, folds: Sequence[Fold]) -> Iterator[HeadOutcome]:
    """Outcomes in the order of the rows, all at once where they shared their steps."""
    began = time.monotonic()
    together = _tried_together(rows, material, folds) if len(rows) > 1 else None
    if together is not None:
        seconds = (time.monotonic() - began) / len(rows)
        for found in together:
            yield HeadOutcome(answers=found, seconds=seconds, side_by_side=len(rows))
        return
    for row in rows:
        began = time.monotonic()
        answers = _caught(row, material, folds)
        yield HeadOutcome(answers=answers, seconds=time.monotonic() - began, side_by_side=1)


def _tried_together(
    rows: Sequence[HeadRow], material: Material, folds: Sequence[Fold]
) -> Sequence[Answers | Exception] | None:
    """What rows side by side come to; None where the stack failed, for a reason that each row alone may not have."""
    try:
        return _side_by_side(rows, material, folds)
    except StoreError:
        raise
    except Exception as error:
        if is_device_lost(error):
            raise
        if not is_out_of_memory(error):
            traceback.print_exc()  # to the worker's log: where every row does well alone, nothing else tells of it
    return None  # out of the handler, whose error holds on to all that did not fit


def _caught(row: HeadRow, material: Material, folds: Sequence[Fold]) -> Answers | Exception:
    try:
        return _fit_one(row, material, folds)
    except StoreError:
        raise
    except Exception as error:  # of whatever kind: it is this row's outcome
        return error


def _fit_one(row: HeadRow, material: Material, folds: Sequence[Fold]) -> Answers:
    if _rows_that_pay(row.head(), row.recipe, material, len(folds)):
        try:
            (answers,) = _side_by_side([row], material, folds)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            if isinstance(answers, NonFiniteError):
                raise answers
            return answers
    return [_alone(row, material, fold) for fold in folds]


def _side_by_side(rows: Sequence[HeadRow], material: Material, folds: Sequence[Fold]) -> list[Answers | NonFiniteError]:
    """Rows on all folds; each fold's answers in its place, whatever steps it takes an epoch."""
    found: list[dict[int, NDArray[np.float32]]] = [{} for _ in rows]
    diverged: dict[int, NonFiniteError] = {}
    for places in folds_in_step(folds, rows[0].recipe.batch_size):
        left = [number for number in range(len(rows)) if number not in diverged]
        if not left:
            break
        stacked = [_stacked(rows[number]) for number in left]
        on = [folds[place] for place in places]
        with _threads(stacked[0].head):
            outcomes = fit_stacked(stacked, material, on, dropout_seed=rows[0].dropout_seed)
        for number, outcome in zip(left, outcomes, strict=True):
            if isinstance(outcome, NonFiniteError):
                diverged[number] = outcome
            else:
                found[number] |= dict(zip(places, outcome, strict=True))
    return [
        diverged.get(number) or [found[number][place] for place in range(len(folds))] for number in range(len(rows))
    ]


def _stacked(row: HeadRow) -> StackedRow:
    return StackedRow(recipe=row.recipe, head=row.head(), start=row.start, on_epoch=row.on_epoch)


def _alone(row: HeadRow, material: Material, fold: Fold) -> NDArray[np.float32]:
    head = row.head()
    row.start(head, fold)
    with fitted(
        row.recipe,
        head,
        material,
        fold,
        dropout_seed=row.dropout_seed,
        on_epoch=lambda _, epoch, loss, seconds: row.on_epoch(fold, epoch, loss, seconds),
    ) as fit:
        return fit.predict(fold.validation)
