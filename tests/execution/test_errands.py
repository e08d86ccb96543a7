"""Errands: a worker's death gives one another chance, as it gives a study's jobs, and its own faults do not."""

from collections.abc import Sequence

import pytest
from fake_workbench import context, recipe

from tlsearch.records import FailureReason, TrialState
from tlsearch.runner.errand import run_errand
from tlsearch.work import Job, JobEnded, JobKind, Progress, Row, RowResult, WorkerContext, WorkerEvent

JOB = Job(id="alike-pictures", kind=JobKind.ALIKE, rows=(Row(trial=-1, attempt=1, recipe=recipe()),))


class Failing:
    """An executor whose worker ends a job in each of some ways, and then does it."""

    capacity = 1

    def __init__(self, *ends: FailureReason) -> None:
        self.ends = list(ends)
        self.jobs: list[str] = []
        self.closed = False
        self._waiting: list[Job] = []

    def __call__(self, contexts: Sequence[WorkerContext]) -> "Failing":
        return self

    def submit(self, job: Job) -> None:
        self.jobs.append(job.id)
        self._waiting.append(job)

    def poll(self, timeout_s: float) -> Sequence[WorkerEvent]:
        job = self._waiting.pop()
        begun = Progress(text="pictures", done=1, total=2)
        if self.ends:
            return [begun, JobEnded(job=job.id, reason=self.ends.pop(0), detail="killed by SIGKILL")]
        return [begun, RowResult.of(job, job.rows[0], TrialState.COMPLETED), JobEnded(job=job.id)]

    def close(self, grace_s: float) -> None:
        self.closed = True


def ran(executor: Failing) -> RowResult:
    return run_errand(JOB, context(), make_executor=executor, progress=lambda _: None)


@pytest.mark.parametrize("deaths", [0, 1, 2])
def test_an_errand_whose_worker_dies_is_run_again(deaths: int) -> None:
    executor = Failing(*[FailureReason.KILLED] * deaths)
    assert ran(executor).state is TrialState.COMPLETED
    assert len(set(executor.jobs)) == deaths + 1, "each try has a file of result lines of its own"
    assert executor.closed


def test_an_errand_that_loses_its_worker_three_times_has_failed() -> None:
    executor = Failing(*[FailureReason.CRASHED] * 9)
    result = ran(executor)
    assert (result.state, result.reason) == (TrialState.FAILED, FailureReason.CRASHED)
    assert result.detail == "killed by SIGKILL"
    assert len(executor.jobs) == 3
    assert executor.closed


@pytest.mark.parametrize("reason", [FailureReason.EXCEPTION, FailureReason.TIMEOUT, FailureReason.OUT_OF_MEMORY])
def test_an_errand_that_fails_without_a_death_is_not_tried_again(reason: FailureReason) -> None:
    executor = Failing(reason)
    assert ran(executor).reason is reason
    assert len(executor.jobs) == 1
