"""An errand: one job beside a study's trials, with an executor of its own."""

from collections.abc import Callable, Sequence

from tlsearch.execution.executor import Executor
from tlsearch.runner.jobs import POLL_S, lost_result, until_told
from tlsearch.work import Job, JobEnded, Progress, RowResult, WorkerContext


def run_errand(
    job: Job,
    context: WorkerContext,
    *,
    make_executor: Callable[[Sequence[WorkerContext]], Executor],
    progress: Callable[[Progress], None],
) -> RowResult:
    """Run a job and wait for its first result; a worker that dies gives it another chance, as `until_told` says.

    Args:
        job: What to do.
        context: All that the worker knows.
        make_executor: Starts workers, one a context.
        progress: Told what is in work.

    Raises:
        TlsearchError: Where no job can run at all.
    """
    executor = make_executor([context])

    def once(tried: Job) -> RowResult:
        executor.submit(tried)
        result: RowResult | None = None
        while True:
            for event in executor.poll(POLL_S):
                match event:
                    case RowResult():
                        result = event
                    case Progress():
                        progress(event)
                    case JobEnded():  # not before: a worker that is still busy cannot be kept for the study
                        return result or lost_result(tried, event)

    try:
        return until_told(job, once)
    finally:
        executor.close(0.0)
