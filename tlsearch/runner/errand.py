"""An errand: one job on a worker of its own, apart from any study's trials."""

from collections.abc import Callable, Sequence

from tlsearch.execution.executor import Executor
from tlsearch.records import TrialState
from tlsearch.runner.dispatch import NO_RESULT, POLL_S
from tlsearch.work import Job, JobEnded, Progress, RowResult, WorkerContext


def run_errand(
    job: Job,
    context: WorkerContext,
    *,
    make_executor: Callable[[Sequence[WorkerContext]], Executor],
    progress: Callable[[Progress], None],
) -> RowResult:
    """Run a job and wait for its first result; a worker that dies gives a failed one.

    Args:
        job: What to do.
        context: All that the worker knows.
        make_executor: Starts workers, one a context.
        progress: Told what is in work.

    Raises:
        TlsearchError: Where no job can run at all.
    """
    executor = make_executor([context])
    try:
        executor.submit(job)
        while True:
            for event in executor.poll(POLL_S):
                match event:
                    case RowResult():
                        return event
                    case Progress():
                        progress(event)
                    case JobEnded():
                        detail = event.detail or NO_RESULT
                        return RowResult.of(job, job.rows[0], TrialState.FAILED, reason=event.reason, detail=detail)
    finally:
        executor.close(0.0)
