"""What an earlier run left in flight: each job as it was dispatched, with the results that its worker had written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tlsearch.execution.results import read_results, results_file
from tlsearch.records import AttemptRecord, FailureReason
from tlsearch.store.store import Store
from tlsearch.work import RowResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A job whose end nobody told.

    Args:
        job: Its id.
        attempts: Its (trial, attempt) pairs that are live, in order.
        finished: The results of some of them, which are on the disk.
    """

    job: str
    attempts: Sequence[tuple[int, int]]
    finished: Sequence[RowResult]

    @property
    def unfinished(self) -> list[tuple[int, int]]:
        """The pairs that have no result."""
        done = {(result.trial, result.attempt) for result in self.finished}
        return [pair for pair in self.attempts if pair not in done]


def leftovers(store: Store, study: str, results: Path) -> list[Leftover]:
    """The jobs in flight, in the order in which they were dispatched.

    Args:
        store: Knows which attempts are live.
        study: Whose.
        results: Folder of result lines.
    """
    jobs: dict[str, list[AttemptRecord]] = {}
    for attempt in sorted(store.open_attempts(study), key=lambda attempt: (attempt.started, attempt.trial)):
        jobs.setdefault(attempt.job, []).append(attempt)
    return [_leftover(job, [(one.trial, one.attempt) for one in live], results) for job, live in jobs.items()]


def how_it_ended(*, was_stopped: bool, waited: bool) -> tuple[FailureReason, str]:
    """How an attempt ended that an earlier run left, and one line about it."""
    if was_stopped:
        return FailureReason.STOPPED, "the run was stopped"
    if waited:  # no fault of its own
        return FailureReason.STOPPED, "it waited for a worker when the coordinator went away"
    return FailureReason.INTERRUPTED, "the coordinator went away"


def _leftover(job: str, attempts: Sequence[tuple[int, int]], results: Path) -> Leftover:
    lines = read_results(results_file(results, job))
    return Leftover(job=job, attempts=attempts, finished=[r for r in lines if (r.trial, r.attempt) in attempts])
