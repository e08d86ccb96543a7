"""Runs one job after another on what a study shares."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from tlsearch.host import PluginHost
from tlsearch.records import EpochRecord
from tlsearch.work import Job, JobKind, Progress, RowResult, WorkerContext
from tlsearch.workbench.final import fit_final
from tlsearch.workbench.parts import Parts
from tlsearch.workbench.scoring import Scorer, failed_row
from tlsearch.workbench.truth import score_truth

Emit = Callable[[EpochRecord | RowResult | Progress], None]


class StudyBench:
    """A study's workbench.

    Args:
        context: All that jobs need of the study.
    """

    def __init__(self, context: WorkerContext) -> None:
        torch.set_num_threads(context.threads)
        if context.deterministic:
            torch.use_deterministic_algorithms(mode=True)
        host = PluginHost.load(files=[Path(file) for file in context.plugins])
        self._parts = Parts(context, host)

    def run(self, job: Job, emit: Emit) -> None:
        """Do a job; each row's result is emitted as soon as it is known."""
        if job.kind is JobKind.PREPARE:
            self._prepare(job, emit)
        elif job.kind is JobKind.FINAL:
            self._guarded(job, emit, lambda: fit_final(self._parts, job, emit))
        elif job.kind is JobKind.TRUTH:
            self._guarded(job, emit, lambda: score_truth(self._parts, job, _shown(emit, "fresh pictures")))
        else:
            self._score(job, emit)

    def _score(self, job: Job, emit: Emit) -> None:
        scorer = Scorer(self._parts, job, emit)
        if any(row.recipe.fine_tunes for row in job.rows):
            for row in job.rows:
                emit(scorer.score_fine_tuned(row))
            return
        try:
            results = scorer.score_heads(job.rows)
        except Exception as error:  # what the rows share failed, so each of them did
            results = [failed_row(job, row, error, 0.0) for row in job.rows]
        for result in results:
            emit(result)

    def _prepare(self, job: Job, emit: Emit) -> None:
        """Cache a backbone's features, and score the job's probe on them."""
        (row,) = job.rows

        def prepared() -> RowResult:
            provider = self._parts.provider(row.recipe)
            provider.fill(_shown(emit, row.recipe.backbone))
            (result,) = Scorer(self._parts, job, lambda _: None).score_heads(job.rows)
            counts = provider.counts
            cache = {
                "hits": counts.hits,
                "misses": counts.misses,
                "images": counts.pictures,
                "seconds": counts.seconds,
                "runtime": provider.runtime,
            }
            return replace(result, log_probs=None, extras={"cache": cache})

        self._guarded(job, emit, prepared)

    def _guarded(self, job: Job, emit: Emit, work: Callable[[], RowResult]) -> None:
        try:
            emit(work())
        except Exception as error:  # the coordinator decides what a failed job means
            emit(failed_row(job, job.rows[0], error, 0.0))


def _shown(emit: Emit, what: str) -> Callable[[int, int], None]:
    def progress(done: int, total: int) -> None:
        emit(Progress(text=what, done=done, total=total))

    return progress
