"""Scores recipes over folds: probe, fit, race, and out-of-fold predictions."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import nn

from tlsearch.errors import StoreError, TlsearchError
from tlsearch.freezing import frozen_stages
from tlsearch.records import EpochRecord, FailureReason, ModelFacts, TrialState
from tlsearch.stats import score
from tlsearch.training.fit import Fitted, Material, fitted
from tlsearch.training.heads import HeadOutcome, HeadRow, fit_heads
from tlsearch.training.loop import Fold, NonFiniteError, PrunedError, is_device_lost, is_out_of_memory
from tlsearch.training.order import derive
from tlsearch.work import Job, Progress, Row, RowResult
from tlsearch.workbench.costs import Costs
from tlsearch.workbench.parts import Parts
from tlsearch.workbench.starting import Starts

OnEpoch = Callable[[EpochRecord], None]
Emit = Callable[[EpochRecord | RowResult | Progress], None]

RATED_S = 1.0  # a pass is told with its rate from then on


class DeviceLostError(Exception):
    """The device is of no more use to this process, which should end.

    Args:
        detail: One line.
        result: Of the row that it happened to; None where several were in work, of which nobody knows whose fault it
            was.
    """

    def __init__(self, detail: str, result: RowResult | None = None) -> None:
        super().__init__(detail)
        self.result = result


@dataclass(slots=True)
class Scores:
    """What is known of a row so far."""

    log_probs: NDArray[np.float32]  # (development images, classes); NaN where no fold predicted yet
    folds: list[float] = field(default_factory=list)
    rung: float | None = None
    probe_seconds: float = 0.0


class Scorer:
    """Scores the rows of one job.

    Args:
        parts: Of the study.
        starts: What heads begin from.
        costs: Of networks.
        job: Its repeat decides folds and seeds.
        emit: Told of each epoch, and of passes that fill the cache.

    Both ways to score raise what is no row's fault: StoreError where the disk is full, DeviceLostError.
    """

    def __init__(self, parts: Parts, starts: Starts, costs: Costs, job: Job, emit: Emit) -> None:
        self._parts, self._starts, self._costs = parts, starts, costs
        self._job, self._emit = job, emit
        self._labels = parts.true_labels()
        self._folds = parts.folds(job.repeat)
        # no trial's own: one draw serves all heads that are trained side by side, and comparisons are paired
        self._dropout_seed = derive(parts.context.seed, "dropout", job.repeat)

    def score_heads(self, rows: tuple[Row, ...]) -> Iterator[RowResult]:
        """Score rows that train heads alone; they share all but what a job's rows may vary.

        Yields:
            Each row's result as soon as it is known: of heads that learn side by side one after another, and each
            says how many those are.
        """
        left = dict(enumerate(rows))
        try:
            material = self._material(rows[0])
            for place, outcome in fit_heads([self._head_row(row, material) for row in rows], material, self._folds):
                yield self._head_result(left.pop(place), outcome)
        except (StoreError, DeviceLostError):
            raise
        except Exception as error:  # what the rows share failed, so each of those that are left did
            if is_device_lost(error) and len(left) > 1:
                raise DeviceLostError(_named(error)) from error
            yield from (failed_row(self._job, row, error, 0.0) for row in left.values())

    def _head_result(self, row: Row, outcome: HeadOutcome) -> RowResult:
        if isinstance(outcome.answers, Exception):
            return failed_row(self._job, row, outcome.answers, outcome.seconds, outcome.side_by_side)
        scores = self._blank()
        try:
            for fold, log_probs in zip(self._folds, outcome.answers, strict=True):
                self._keep(scores, fold, log_probs)
            return self._completed(row, scores, outcome.seconds, outcome.side_by_side)
        except Exception as error:  # of whatever kind: it is this row's result, and no fault of its neighbours
            return failed_row(self._job, row, error, outcome.seconds, outcome.side_by_side)

    def score_fine_tuned(self, row: Row) -> RowResult:
        """Score a row that trains stages as well: the probe, then its own schedule, on one fold after another."""
        began = time.monotonic()
        try:
            return self._over_folds(row, began)
        except Exception as error:  # of whatever kind: it is this row's result
            return failed_row(self._job, row, error, time.monotonic() - began)

    def _over_folds(self, row: Row, began: float) -> RowResult:
        scores = self._blank()
        try:
            material = self._material(row)
            for fold in self._folds:
                self._fine_tune(row, fold, material, scores)
                if fold.fold == 0 and len(self._folds) > 1 and _worse(scores.folds[0], row.prune_below):
                    raise PrunedError(scores.folds[0])
        except PrunedError as pruned:
            return self._pruned(row, scores, pruned, time.monotonic() - began - scores.probe_seconds)
        return self._completed(row, scores, time.monotonic() - began - scores.probe_seconds)

    def refit(self, row: Row, fold: Fold) -> AbstractContextManager[Fitted]:
        """The fit that scored a row on a fold, once more, to be looked at until its context ends.

        Of a head that was trained on all folds side by side, the same but for rounding.
        """
        material = self._material(row)
        head, _ = self._first_head(row, fold, material)
        return fitted(row.recipe, head, material, fold, dropout_seed=self._dropout_seed, on_epoch=lambda *_: None)

    def _material(self, row: Row) -> Material:
        show = shown(self._emit, row.recipe.backbone)

        def progress(done: int, total: int) -> None:
            show(done, total)
            if done == total:
                self._emit(Progress(text=""))  # the row trains again: epochs and results tell of that

        return self._parts.material(row.recipe, progress)

    def _fine_tune(self, row: Row, fold: Fold, material: Material, scores: Scores) -> None:
        recipe = row.recipe
        head, probe_seconds = self._first_head(row, fold, material)
        scores.probe_seconds += probe_seconds
        rung = math.ceil(recipe.epochs / 2) - 1 if len(self._folds) == 1 and recipe.epochs > 1 else None

        def on_epoch(fit: Fitted, epoch: int, loss: float, seconds: float) -> None:
            self._told(row, fold, epoch, loss, seconds)
            if epoch == rung:
                halfway = fit.predict(fold.validation)
                scores.rung = score(self._parts.context.metric, halfway, self._labels[fold.validation])
                if _worse(scores.rung, row.prune_below):
                    raise PrunedError(scores.rung)

        with fitted(recipe, head, material, fold, dropout_seed=self._dropout_seed, on_epoch=on_epoch) as fit:
            self._keep(scores, fold, fit.predict(fold.validation))

    def _first_head(self, row: Row, fold: Fold, material: Material) -> tuple[nn.Sequential, float]:
        """A row's head as its training begins, and the seconds that a fresh probe for it took."""
        head = self._parts.head(row.recipe, self._init_seed(row))
        return head, self._starts.begin(head, row.recipe, material, fold)

    def _head_row(self, row: Row, material: Material) -> HeadRow:
        def start(head: nn.Sequential, fold: Fold) -> None:
            self._starts.begin(head, row.recipe, material, fold)

        return HeadRow(
            recipe=row.recipe,
            head=lambda: self._parts.head(row.recipe, self._init_seed(row)),
            start=start,
            dropout_seed=self._dropout_seed,
            on_epoch=lambda fold, epoch, loss, seconds: self._told(row, fold, epoch, loss, seconds),
        )

    def _init_seed(self, row: Row) -> int:
        return derive(self._parts.context.seed, "init", row.seed_key, self._job.repeat)

    def _told(self, row: Row, fold: Fold, epoch: int, loss: float, seconds: float) -> None:
        self._emit(epoch_record(row, fold, epoch, loss, seconds))

    def _blank(self) -> Scores:
        shape = (len(self._labels), len(self._parts.context.classes))
        return Scores(log_probs=np.full(shape, np.nan, dtype=np.float32))

    def _keep(self, scores: Scores, fold: Fold, log_probs: NDArray[np.float32]) -> None:
        scores.log_probs[fold.validation] = log_probs
        scores.folds.append(score(self._parts.context.metric, log_probs, self._labels[fold.validation]))

    def _facts(self, row: Row) -> ModelFacts:
        backbone = self._parts.loaded(row.recipe).backbone
        frozen = min(
            frozen_stages(backbone, unfrozen=phase.unfrozen, freeze_until=row.recipe.freeze_until)
            for phase in row.recipe.phases
        )
        return self._costs.facts(row.recipe, self._parts.head(row.recipe, 0), frozen)

    def _completed(self, row: Row, scores: Scores, seconds: float, side_by_side: int = 1) -> RowResult:
        return RowResult.of(
            self._job,
            row,
            TrialState.COMPLETED,
            score=score(self._parts.context.metric, scores.log_probs, self._labels),
            fold_scores=tuple(scores.folds),
            rung_score=scores.rung,
            log_probs=scores.log_probs,
            facts=self._facts(row),
            seconds=seconds,
            side_by_side=side_by_side,
            probe_seconds=scores.probe_seconds,
        )

    def _pruned(self, row: Row, scores: Scores, pruned: PrunedError, seconds: float) -> RowResult:
        where = "on the first fold" if len(self._folds) > 1 else "at half of its schedule"
        return RowResult.of(
            self._job,
            row,
            TrialState.PRUNED,
            fold_scores=tuple(scores.folds),
            rung_score=scores.rung,
            detail=f"{pruned.score:.4f} {where}, below the {row.prune_below:.4f} that earlier trials had there",
            facts=self._facts(row),
            seconds=seconds,
            probe_seconds=scores.probe_seconds,
        )


def epoch_record(row: Row, fold: Fold, epoch: int, loss: float, seconds: float) -> EpochRecord:
    """An epoch of a row on a fold."""
    return EpochRecord(
        trial=row.trial,
        attempt=row.attempt,
        repeat=fold.repeat,
        fold=fold.fold,
        epoch=epoch,
        train_loss=loss,
        seconds=seconds,
    )


def shown(emit: Emit, what: str) -> Callable[[int, int], None]:
    """Tells how far a piece of work is, of so many pictures, and how many it does a second."""
    since, before = time.monotonic(), 0

    def progress(done: int, total: int) -> None:
        nonlocal since, before
        now = time.monotonic()
        if done < before or not before:  # a pass begins
            since, before = now, done
        seconds = now - since
        rate = f" ({(done - before) / seconds:.0f} a second)" if seconds >= RATED_S else ""
        emit(Progress(text=f"{what}{rate}", done=done, total=total))

    return progress


def failed_row(job: Job, row: Row, error: Exception, seconds: float, side_by_side: int = 1) -> RowResult:
    """The result of a row that an error ended; of heads that shared their time, all tell how many did.

    Raises:
        StoreError: The error itself, where it tells of the disk: no trial is counted for that.
        DeviceLostError: Where nothing more can be computed here; holds the result, unless it is the error itself.
    """
    if isinstance(error, StoreError | DeviceLostError):
        raise error
    if isinstance(error, NonFiniteError):
        reason = FailureReason.NON_FINITE
    elif is_out_of_memory(error):
        reason = FailureReason.OUT_OF_MEMORY
    else:
        reason = FailureReason.EXCEPTION
    detail = _first_line(error) if isinstance(error, NonFiniteError) else _named(error)
    time_taken = {"seconds": seconds, "side_by_side": side_by_side}
    result = RowResult.of(job, row, TrialState.FAILED, reason=reason, detail=detail, **time_taken)
    if is_device_lost(error):
        raise DeviceLostError(detail, result) from error
    return result


def _named(error: Exception) -> str:
    if isinstance(error, TlsearchError):  # its message is a sentence of its own
        return f"{error.message} ({error.hint})" if error.hint else error.message
    return f"{type(error).__name__}: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def _worse(reached: float, threshold: float | None) -> bool:
    return threshold is not None and reached < threshold
