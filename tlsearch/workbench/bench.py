"""Runs one job after another on what a study shares."""

import os
from collections.abc import Callable
from pathlib import Path

import torch

from tlsearch.devices import give_back_freed_memory
from tlsearch.host import PluginHost
from tlsearch.work import Job, JobKind, RowResult, WorkerContext
from tlsearch.workbench.alike import find_alike
from tlsearch.workbench.costs import Costs
from tlsearch.workbench.datacheck import check_data
from tlsearch.workbench.explain import explain
from tlsearch.workbench.final import fit_final
from tlsearch.workbench.parts import Parts
from tlsearch.workbench.preparing import prepare
from tlsearch.workbench.scoring import DeviceLostError, Emit, Scorer, failed_row, shown
from tlsearch.workbench.starting import Starts
from tlsearch.workbench.truth import score_truth


class StudyBench:
    """A study's workbench.

    Args:
        context: All that jobs need of the study.
    """

    def __init__(self, context: WorkerContext) -> None:
        torch.set_num_threads(context.threads)
        _compute_in_full_precision()
        if context.deterministic:
            # without it cuBLAS may sum in another order, which torch refuses; read when the first product is computed
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(mode=True)
        host = PluginHost.load(files=[Path(file) for file in context.plugins])
        self._parts = Parts(context, host)
        self._starts, self._costs = Starts(self._parts), Costs(self._parts)

    def run(self, job: Job, emit: Emit) -> None:
        """Do a job; each row's result is emitted as soon as it is known.

        Raises:
            StoreError: Where the disk is full.
            DeviceLostError: Where no job can run here any more; the row that it happened to has its result, where
                one alone was in work.
        """
        try:
            self._do(job, emit)
        except DeviceLostError as lost:
            if lost.result is not None:
                emit(lost.result)
            raise

    def _do(self, job: Job, emit: Emit) -> None:
        if job.kind is JobKind.PREPARE:
            self._guarded(job, emit, lambda: prepare(self._parts, self._starts, job, emit))
        elif job.kind is JobKind.ALIKE:
            self._guarded(job, emit, lambda: find_alike(self._parts, job, emit))
        elif job.kind is JobKind.FINAL:
            self._guarded(job, emit, lambda: fit_final(self._parts, self._starts, self._costs, job, emit))
        elif job.kind is JobKind.TRUTH:
            self._guarded(job, emit, lambda: score_truth(self._parts, job, shown(emit, "fresh pictures")))
        elif job.kind is JobKind.EXPLAIN:
            self._guarded(job, emit, lambda: explain(self._parts, self._starts, self._costs, job, emit))
        elif job.kind is JobKind.CHECK:
            self._guarded(job, emit, lambda: check_data(self._parts, job, emit))
        else:
            self._score(job, emit)

    def _score(self, job: Job, emit: Emit) -> None:
        scorer = Scorer(self._parts, self._starts, self._costs, job, emit)
        results = scorer.score_heads(job.rows) if job.ends_together else map(scorer.score_fine_tuned, job.rows)
        for result in results:
            emit(result)

    def _guarded(self, job: Job, emit: Emit, work: Callable[[], RowResult]) -> None:
        try:
            emit(work())
        except Exception as error:  # the coordinator decides what a failed job means
            emit(failed_row(job, job.rows[0], error, 0.0))
        finally:
            give_back_freed_memory()


def _compute_in_full_precision() -> None:
    """Turn TensorFloat-32 off: on recent GPUs it is cuDNN's default, and its errors of 1e-3 are not the model's."""
    # by the older switches: after the newer ones (`fp32_precision`) torch.export refuses to read them
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
