"""LocalExecutor: warm worker processes on this machine, one a device."""

import queue
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tlsearch.closable import Closable
from tlsearch.errors import TlsearchError
from tlsearch.execution.codec import event_from_json
from tlsearch.execution.pool import WorkerPool
from tlsearch.execution.process import WorkerProcess
from tlsearch.execution.results import read_results, results_file
from tlsearch.records import EpochRecord, FailureReason
from tlsearch.work import Job, JobEnded, Progress, RowResult, WorkerContext, WorkerEvent

HEARTBEAT_S = 0.1  # how often deaths and time-outs are looked for while no message comes
START_TIMEOUT_S = 300.0  # a cold import of torch and keras from a slow disk takes tens of seconds
MAX_FAILED_STARTS = 3


@dataclass(slots=True, kw_only=True)
class _Slot:
    """One device's place: the process that holds it now, and what it does."""

    number: int
    context: WorkerContext
    process: WorkerProcess
    deadline: float  # monotonic; of the start, or of the next word about the rows in work
    latest: float = float("inf")  # of the next result, whatever is told before
    ready: bool = False
    failed_starts: int = 0
    job: Job | None = None
    started: bool = False  # whether the job's first row is in work
    ended_rows: set[tuple[int, int]] = field(default_factory=set)  # (trial, attempt)
    seen_training: set[int] = field(default_factory=set)  # trials with an epoch since the last result
    fault: tuple[FailureReason, str] | None = None  # what the executor or the worker itself knows of its death

    @property
    def limit_s(self) -> float | None:
        """How long it may take to the next result; rows that end together have the time of all of them."""
        if self.job is None or self.job.timeout_s is None:
            return None
        return self.job.timeout_s * (len(self.job.rows) if self.job.ends_together else 1)

    def restart_clock(self) -> None:
        """From now on the worker has its whole limit again."""
        limit = self.limit_s
        self.latest = float("inf") if limit is None else time.monotonic() + limit
        self.give_a_turn()

    def give_a_turn(self) -> None:
        """The worker goes on with its rows: it has one row's time to tell of that again, within its whole limit."""
        one_row = None if self.job is None else self.job.timeout_s
        self.deadline = self.latest if one_row is None else min(self.latest, time.monotonic() + one_row)

    def too_long(self) -> str:
        """What the worker let pass, now that its deadline is over."""
        assert self.job is not None, "nothing else has a deadline once it is started"
        if self.deadline < self.latest:
            return f"neither an epoch nor a result within {self.job.timeout_s:g} s"
        return f"no result within {self.limit_s:g} s"


class LocalExecutor(Closable):
    """One worker process a context, started at once so that imports run while the coordinator still prepares.

    Args:
        contexts: One a device; all of the same study.
        results: Folder of result lines, one file a job.
        logs: Folder of what workers print, one capped file a worker.
        workbench: "module:function"; the function maps a context to a workbench, in the worker.
        start_timeout_s: How long opening the workbench may take.
        pool: Where workers come from, and where those that wait for a job go at the end; it writes its own logs.
            None starts workers for this executor alone.
    """

    def __init__(
        self,
        contexts: Sequence[WorkerContext],
        *,
        results: Path,
        logs: Path,
        workbench: str = "tlsearch.workbench:open_workbench",
        start_timeout_s: float = START_TIMEOUT_S,
        pool: WorkerPool | None = None,
    ) -> None:
        self._results = results
        self._logs = logs
        self._workbench = workbench
        self._start_timeout_s = start_timeout_s
        self._pool = pool or WorkerPool(logs)
        self._keeps = pool is not None
        self._waiting: deque[Job] = deque()
        self._events: list[WorkerEvent] = []
        self._slots: list[_Slot] = []
        for number, context in enumerate(contexts):
            process = self._pool.take(number, context.threads)
            deadline = time.monotonic() + start_timeout_s
            self._slots.append(_Slot(number=number, context=context, process=process, deadline=deadline))
        for slot in self._slots:  # all of them start before the first is written to
            self._send_context(slot)

    @property
    def capacity(self) -> int:
        """One job a worker."""
        return len(self._slots)

    def submit(self, job: Job) -> None:
        """Give the job to an idle worker, or let it wait for one."""
        self._waiting.append(job)
        self._dispatch()

    def poll(self, timeout_s: float) -> Sequence[WorkerEvent]:
        """What happened since the last call; see `Executor`.

        A worker that died, or whose row took longer than the job's time-out (`Job.timeout_s`), ends its job with a
        reason; a fresh one takes its place.
        """
        until = time.monotonic() + timeout_s
        while True:
            self._receive(0.0)
            for slot in self._slots:
                self._look_after(slot)
            self._dispatch()
            left = until - time.monotonic()
            if self._events or left <= 0:
                events, self._events = self._events, []
                return events
            self._receive(min(left, HEARTBEAT_S))

    def close(self, grace_s: float = 0.0) -> None:
        """Let rows in work end for at most `grace_s`, then kill every process group but those that the pool keeps."""
        self._waiting.clear()
        until = time.monotonic() + grace_s
        if self._keeps:
            self._give_back()
        for slot in self._slots:
            if slot.started and grace_s > 0:
                slot.process.send({"order": "stop"})
            else:
                slot.process.kill()
        for slot in self._slots:
            slot.process.wait(until - time.monotonic())
            slot.process.kill()
        self._slots = []

    def _give_back(self) -> None:
        """Part with the workers that have opened their workbench and wait for a job."""
        busy = []
        for slot in self._slots:
            if slot.ready and slot.job is None and slot.fault is None:
                self._pool.give_back(slot.number, slot.process)
            else:
                busy.append(slot)
        self._slots = busy

    def _send_context(self, slot: _Slot) -> None:
        context = slot.context.to_json()
        order = {"order": "open", "context": context, "results": str(self._results), "workbench": self._workbench}
        slot.process.send(order)

    def _dispatch(self) -> None:
        for slot in self._slots:
            if self._waiting and slot.job is None and not slot.process.ended:
                slot.job = self._waiting.popleft()
                slot.started, slot.ended_rows, slot.seen_training = False, set(), set()
                slot.process.send({"order": "job", "job": slot.job.to_json()})

    def _receive(self, timeout_s: float) -> None:
        """Take in every message that is there, waiting for the first."""
        try:
            inbox = self._pool.inbox
            process, message = inbox.get(timeout=timeout_s) if timeout_s else inbox.get_nowait()
            while True:
                slot = next((slot for slot in self._slots if slot.process is process), None)
                if slot is not None and message is not None:
                    self._take(slot, message)
                process, message = inbox.get_nowait()
        except queue.Empty:
            return

    def _take(self, slot: _Slot, message: dict[str, Any]) -> None:
        match message["event"]:
            case "ready":
                slot.ready, slot.failed_starts, slot.deadline = True, 0, float("inf")
            case "started":
                slot.started = True
                slot.restart_clock()
            case "done":
                self._events.append(JobEnded(job=message["job"]))
                slot.job, slot.started, slot.deadline = None, False, float("inf")
            case "refused":
                error = TlsearchError(message["message"], hint=message["hint"])
                error.exit_code = message["exit_code"]
                raise error
            case "broken":
                slot.fault = FailureReason(message["reason"]), message["detail"]
            case _:
                self._pass_on(slot, event_from_json(message))

    def _pass_on(self, slot: _Slot, event: WorkerEvent) -> None:
        self._events.append(event)
        if isinstance(event, RowResult):
            slot.ended_rows.add((event.trial, event.attempt))
            slot.seen_training = set()
            slot.restart_clock()
        elif isinstance(event, EpochRecord):
            slot.seen_training.add(event.trial)
            slot.give_a_turn()
        elif isinstance(event, Progress):
            slot.restart_clock()  # a pass fills the cache for whoever comes next: it is not the row's own work

    def _look_after(self, slot: _Slot) -> None:
        """Replace the slot's process where it died or ran out of time, and tell how its job ended."""
        if not slot.process.ended and time.monotonic() < slot.deadline:
            return
        if not slot.process.ended:
            said = slot.too_long() if slot.started else f"no result within {self._start_timeout_s:g} s"
            slot.fault = FailureReason.TIMEOUT, said
        slot.process.kill()
        self._receive(0.0)  # its last messages
        reason, detail = slot.fault or slot.process.death()
        if not slot.ready:
            self._count_failed_start(slot, detail)
        if slot.job is not None and slot.started:
            self._end_job(slot, slot.job, reason, detail)
        elif slot.job is not None:
            self._waiting.appendleft(slot.job)  # nothing of it was in work: no fault of its own
        self._replace(slot)

    def _count_failed_start(self, slot: _Slot, detail: str) -> None:
        slot.failed_starts += 1
        if slot.failed_starts >= MAX_FAILED_STARTS or slot.fault is not None:
            log = self._logs / f"worker-{slot.number}.log"
            raise TlsearchError(f"a worker cannot start: {detail}", hint=f"its log says more: {log}")

    def _end_job(self, slot: _Slot, job: Job, reason: FailureReason, detail: str) -> None:
        for result in read_results(results_file(self._results, job.id)):  # written, but its message was lost
            if (result.trial, result.attempt) not in slot.ended_rows:
                self._pass_on(slot, result)
        left = [row.trial for row in job.rows if (row.trial, row.attempt) not in slot.ended_rows]
        suspects = left if len(left) == 1 else [trial for trial in left if trial in slot.seen_training]
        blamed = suspects[0] if len(suspects) == 1 else None
        self._events.append(JobEnded(job=job.id, reason=reason, detail=detail, blamed=blamed))

    def _replace(self, slot: _Slot) -> None:
        slot.process = self._pool.take(slot.number, slot.context.threads)
        slot.deadline = time.monotonic() + self._start_timeout_s
        slot.ready, slot.job, slot.started, slot.fault = False, None, False, None
        self._send_context(slot)
