"""Jobs that are no trial's: their names, and what becomes of them where a worker dies."""

import uuid
from collections.abc import Callable
from dataclasses import replace

from tlsearch.records import FailureReason, TrialState
from tlsearch.work import Job, JobEnded, RowResult

POLL_S = 0.2
WORKER_DEATHS = 3  # with a trial or another job alone in flight, before it counts as that one's fault
DEATHS = (FailureReason.KILLED, FailureReason.CRASHED, FailureReason.EXITED)
NO_RESULT = "the worker ended the job without a result"


def until_told(job: Job, run: Callable[[Job], RowResult]) -> RowResult:
    """Run a job that is no trial's until a worker lives to tell of it.

    A worker that dies gives the job another chance; where that was the last one, the result is a failed one.

    Args:
        job: Gets an id of its own at each try.
        run: Runs it once, and waits for its one result: `lost_result` where its worker died.
    """
    for attempt in range(1, WORKER_DEATHS + 1):
        result = run(replace(job, id=f"{job.id}-{attempt}"))
        if result.reason not in DEATHS:
            break
    return result


def lost_result(job: Job, ended: JobEnded) -> RowResult:
    """The result of a job that is no trial's and ended without one."""
    reason, detail = ended.reason or FailureReason.EXCEPTION, ended.detail or NO_RESULT
    return RowResult.of(job, job.rows[0], TrialState.FAILED, reason=reason, detail=detail)


def job_id(what: str, of: int | str) -> str:
    """A job's id, unique in the study's life: it names the file of its result lines."""
    return f"{what}-{of}-{uuid.uuid4().hex[:8]}"
