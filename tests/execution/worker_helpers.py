"""What the tests of worker processes ask again and again."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from tlsearch.execution.executor import Executor
from tlsearch.work import JobEnded, RowResult, WorkerEvent


def events_until_end(executor: Executor, jobs: int = 1, within_s: float = 60.0) -> list[WorkerEvent]:
    """All events up to the end of that many jobs."""
    until = time.monotonic() + within_s
    events: list[WorkerEvent] = []
    while sum(isinstance(event, JobEnded) for event in events) < jobs:
        assert time.monotonic() < until, f"after {within_s} s only {events}"
        events += executor.poll(1.0)
    return events


def ends(events: list[WorkerEvent]) -> list[JobEnded]:
    return [event for event in events if isinstance(event, JobEnded)]


def results(events: list[WorkerEvent]) -> list[RowResult]:
    return [event for event in events if isinstance(event, RowResult)]


def is_running(pid: int) -> bool:
    """Whether there is such a process that has not ended; one that nobody has waited for yet has."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            return stat.read_text().rpartition(")")[2].split()[0] not in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def becomes_true(condition: Callable[[], bool], within_s: float) -> bool:
    """Ask again and again until it holds or the time is over."""
    until = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
