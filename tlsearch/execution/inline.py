"""InlineExecutor: jobs run in this very process, for tests and for debugging with a breakpoint."""

from collections import deque
from collections.abc import Sequence
from pathlib import Path

from tlsearch.execution.codec import checked
from tlsearch.execution.results import ResultWriter, results_file
from tlsearch.records import EpochRecord
from tlsearch.work import Job, JobEnded, Progress, RowResult, Workbench, WorkerEvent


class InlineExecutor:
    """Runs one waiting job at each `poll`; what the workbench raises is not caught.

    Args:
        workbench: What runs the jobs.
        results: Folder for result lines; None keeps none, and nothing survives a kill.
    """

    def __init__(self, workbench: Workbench, *, results: Path | None = None) -> None:
        self._workbench = workbench
        self._results = results
        self._waiting: deque[Job] = deque()

    @property
    def capacity(self) -> int:
        """One job at a time."""
        return 1

    def submit(self, job: Job) -> None:
        """Let the job wait for a `poll`."""
        self._waiting.append(job)

    def poll(self, timeout_s: float) -> Sequence[WorkerEvent]:
        """Run the next job to its end, however long it takes, and return all of its events."""
        if not self._waiting:
            return []
        job = self._waiting.popleft()
        events: list[WorkerEvent] = []
        writer = None if self._results is None else ResultWriter(results_file(self._results, job.id))

        def emit(event: EpochRecord | RowResult | Progress) -> None:
            if isinstance(event, RowResult):
                event = checked(event)
                if writer is not None:
                    writer.append(event)
            events.append(event)

        try:
            self._workbench.run(job, emit)
        finally:
            if writer is not None:
                writer.close()
        return [*events, JobEnded(job=job.id)]

    def close(self, grace_s: float) -> None:
        """Forget the jobs that still wait."""
        self._waiting.clear()
