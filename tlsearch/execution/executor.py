"""The contract between the coordinator and whatever runs its jobs."""

from collections.abc import Sequence
from typing import Protocol

from tlsearch.work import Job, WorkerEvent


class Executor(Protocol):
    """Runs jobs somewhere else and reports what comes of them.

    A job's events arrive in the order in which they happened, its JobEnded last. Each row's result is on the disk as a
    result line before it is reported.
    """

    @property
    def capacity(self) -> int:
        """How many jobs run at a time; more than that wait for their turn."""

    def submit(self, job: Job) -> None:
        """Accept a job; returns at once."""

    def poll(self, timeout_s: float) -> Sequence[WorkerEvent]:
        """What happened since the last call; waits until something did, or for `timeout_s` in vain.

        Raises:
            TlsearchError: Where no job can run at all: another version of a plugin, changed data.
        """

    def close(self, grace_s: float) -> None:
        """Let rows in work end for at most `grace_s`, then leave no process behind.

        Results of that time are found in the result lines, not in a later `poll`.
        """
