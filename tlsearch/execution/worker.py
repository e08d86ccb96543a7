"""A worker process: opens a workbench, then runs jobs, until its coordinator says stop or is gone.

It speaks JSON lines. In: `warm` (imports while there is nothing else to do), `open` (before any job; another one takes
the place of the workbench before), `job`, `stop`. Out: `ready` after each `open`, `started`, the events of `codec`,
`done`; `refused` where no job can run here, `broken` where the workbench itself failed: after both it leaves.
"""

import importlib
import importlib.metadata
import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from tlsearch.errors import TlsearchError
from tlsearch.execution.codec import checked, event_to_json
from tlsearch.execution.results import ResultWriter, results_file
from tlsearch.records import EpochRecord, FailureReason
from tlsearch.work import Job, Progress, RowResult, Workbench, WorkerContext


def main() -> None:
    """Serve until told to leave; the process ends here, whatever a plugin left running in it."""
    messages_in, messages_out = _take_pipes()
    code = 1
    try:
        code = Worker(messages_out, Orders(messages_in)).serve()
    except SystemExit as leave:  # a plugin called sys.exit
        code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
        traceback.print_exc()
    except BaseException:
        traceback.print_exc()  # to the worker's log: its last line is told with the death
    finally:
        sys.stderr.flush()
        os._exit(code)  # no teardown: a hanging atexit or thread of a plugin must not keep the device


class Orders:
    """What the coordinator sends, read in a thread of its own, so that its death is noticed during a long step.

    Args:
        source: File descriptor of the pipe. Its end means that the coordinator is gone: the whole process group is
            killed at once, grandchildren included. (The kernel's parent-death signal would kill this process alone.)
    """

    def __init__(self, source: int) -> None:
        self.jobs: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()  # None: leave
        self.stopping = threading.Event()
        threading.Thread(target=self._read, args=(source,), daemon=True).start()

    def _read(self, source: int) -> None:
        with os.fdopen(source, "rb") as lines:
            for line in lines:
                message = json.loads(line)
                if message["order"] == "stop":
                    self.stopping.set()
                    self.jobs.put(None)
                else:
                    self.jobs.put(message)
        _leave_with_all_children()


def _leave_with_all_children() -> None:
    """The coordinator is gone: end the whole process group at once."""
    if sys.platform != "win32":
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


class _Leave(BaseException):
    """Ends a job between two rows or groups of heads; no plugin's `except Exception` catches it."""


class Worker:
    """The conversation with the coordinator.

    Args:
        out: Where messages go.
        orders: Where they come from.
    """

    def __init__(self, out: BinaryIO, orders: Orders) -> None:
        self._out = out
        self._orders = orders
        self._to_import: deque[str] = deque()
        self._workbench: Workbench | None = None
        self._results = Path()

    def serve(self) -> int:
        """Open workbenches, run jobs, and return the exit code."""
        try:
            while (order := self._next_order()) is not None:
                self._obey(order)
        except _Leave:
            return 0
        except TlsearchError as error:
            self._say({"event": "refused", "message": error.message, "hint": error.hint, "exit_code": error.exit_code})
            return 1
        except Exception as error:
            traceback.print_exc()
            reason = FailureReason.OUT_OF_MEMORY if _lacks_memory(error) else FailureReason.EXCEPTION
            self._say({"event": "broken", "reason": reason, "detail": f"{type(error).__name__}: {error}"})
            return 1
        return 0

    def _next_order(self) -> dict[str, Any] | None:
        """Wait for an order, and import meanwhile."""
        while self._to_import and self._orders.jobs.empty():
            name = self._to_import.popleft()
            try:
                importlib.import_module(name)
            except Exception:  # told in full by the job that needs it
                traceback.print_exc()
        return self._orders.jobs.get()

    def _obey(self, order: Mapping[str, Any]) -> None:
        match order["order"]:
            case "warm":
                check_versions(order["versions"])
                self._to_import.extend(order["modules"])
            case "open":
                self._workbench = None  # what it holds is given up before another is opened
                self._workbench = _open(order)
                self._results = Path(order["results"])
                self._say({"event": "ready"})
            case "job":
                assert self._workbench is not None
                self._run(self._workbench, Job.from_json(order["job"]))

    def _run(self, workbench: Workbench, job: Job) -> None:
        with ResultWriter(results_file(self._results, job.id)) as writer:
            self._say({"event": "started", "job": job.id})
            telling = _Telling(job, writer, say=self._say, stopping=self._orders.stopping)
            try:
                workbench.run(job, telling.emit)
            finally:  # the workbench may be broken, or the process about to leave: these rows are not
                telling.tell()
        self._say({"event": "done", "job": job.id})

    def _say(self, message: Mapping[str, Any]) -> None:
        try:
            self._out.write(json.dumps(message).encode("ascii") + b"\n")
            self._out.flush()
        except BrokenPipeError:  # raised into a trial, it would be written down as that trial's failure
            _leave_with_all_children()


class _Telling:
    """What a job tells: its results once their lines are on the disk, those of heads in few writes.

    Args:
        job: Whose.
        writer: Of its lines.
        say: Sends a message.
        stopping: Whether to leave once what is in work has ended.
    """

    def __init__(
        self, job: Job, writer: ResultWriter, *, say: Callable[[Mapping[str, Any]], None], stopping: threading.Event
    ) -> None:
        self._one_by_one, self._left = not job.ends_together, len(job.rows)
        self._writer, self._say, self._stopping = writer, say, stopping
        self._ended: list[RowResult] = []  # and not told yet
        self._of_group = 0  # results in a row of heads that learned side by side

    def emit(self, event: EpochRecord | RowResult | Progress) -> None:
        """Take what a workbench tells; between two groups of heads, or two other rows, the process may leave."""
        if isinstance(event, RowResult):
            self._take(checked(event))
            return
        if self._ended and self._writer.is_due:
            self.tell()
        self._say(event_to_json(event))

    def tell(self) -> None:
        """Tell of rows that ended, once their lines are on the disk."""
        ended, self._ended = self._ended, []
        if ended:
            self._writer.append(*ended)
        for result in ended:
            self._say(event_to_json(result))

    def _take(self, result: RowResult) -> None:
        self._ended.append(result)
        self._left -= 1
        self._of_group += 1
        if self._of_group < result.side_by_side and self._left:  # the others of its group are told in a moment
            return
        self._of_group = 0
        stops = self._stopping.is_set()
        if self._one_by_one or not self._left or self._writer.is_due or stops:
            self.tell()
        if stops:
            raise _Leave


def check_versions(expected: Mapping[str, str]) -> None:
    """Compare installed distributions with the coordinator's, before any framework is imported.

    Raises:
        TlsearchError: Names every distribution that differs.
    """
    differing = []
    for name, wanted in expected.items():
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = "none"
        if found != wanted:
            differing.append(f"{name} is {found} here and {wanted} in the study's coordinator")
    if differing:
        raise TlsearchError(
            f"a worker has other versions: {'; '.join(differing)}",
            hint="install the same versions for both, then run the same command again",
        )


def _open(opening: Mapping[str, Any]) -> Workbench:
    context = WorkerContext.from_json(opening["context"])
    check_versions(context.versions)
    module, _, function = opening["workbench"].partition(":")
    workbench: Workbench = getattr(importlib.import_module(module), function)(context)
    return workbench


def _take_pipes() -> tuple[int, BinaryIO]:
    """Keep the coordinator's pipes to ourselves: a plugin that prints or reads must not meet them.

    Standard output then goes where standard error goes, to the worker's log; standard input is empty.
    """
    messages_in, messages_out = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return messages_in, os.fdopen(messages_out, "wb")


def _lacks_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"  # torch's, unimported


if __name__ == "__main__":
    main()
