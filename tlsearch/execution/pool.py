"""WorkerPool: worker processes that start before it is known what they will do, and serve executor after executor."""

import queue
from pathlib import Path

from tlsearch.closable import Closable
from tlsearch.devices import cpu_threads
from tlsearch.execution.log import CappedLog
from tlsearch.execution.process import Inbox, WorkerProcess
from tlsearch.execution.warm_up import WORKBENCH, WarmUp


class WorkerPool(Closable):
    """The worker processes of one command; one executor at a time uses them.

    Args:
        logs: As for `keep_logs`; None holds what is printed in memory until that is called.
    """

    def __init__(self, logs: Path | None = None) -> None:
        self.inbox: Inbox = queue.SimpleQueue()
        self._logs = logs
        self._idle: dict[int, WorkerProcess] = {}
        self._held_logs: dict[int, CappedLog] = {}

    def start_first(self) -> None:
        """Start the one worker that every study needs, before anything is known of the study; returns at once.

        It imports torch while this process imports what it needs itself; versions, which this process does not know
        yet, are compared before the first job. With several devices its NumPy may use more threads than the others'.
        """
        self.warm_up(WarmUp(workers=1, threads=cpu_threads(), versions={}, modules=(WORKBENCH,)))

    def keep_logs(self, folder: Path) -> None:
        """Keep what workers printed and print in a folder, one capped file a worker.

        Raises:
            StoreError: Where it cannot be written.
        """
        self._logs = folder
        for number, log in self._held_logs.items():
            log.keep_in(_log_file(folder, number))
        self._held_logs.clear()

    def warm_up(self, wanted: WarmUp) -> None:
        """Start workers that nobody has asked for yet, and let them import; returns at once."""
        for number in range(wanted.workers):
            if number not in self._idle:
                self._idle[number] = self._spawn(number, wanted.threads)
        order = {"order": "warm", "versions": dict(wanted.versions), "modules": list(wanted.modules)}
        for process in self._idle.values():
            process.send(order)

    def take(self, number: int, threads: int) -> WorkerProcess:
        """The worker of that number: the one that waits, or a fresh one.

        Args:
            number: From 0; names its log.
            threads: Of a fresh one; a workbench says itself how many it uses.
        """
        waiting = self._idle.pop(number, None)
        if waiting is not None and not waiting.ended:
            return waiting
        if waiting is not None:
            waiting.kill()  # it died: its pipes are closed
        return self._spawn(number, threads)

    def give_back(self, number: int, process: WorkerProcess) -> None:
        """Keep a worker that has nothing in work for whoever takes it next."""
        self._idle[number] = process

    def close(self) -> None:
        """Leave no process behind."""
        for process in self._idle.values():
            process.kill()
        self._idle.clear()

    def _spawn(self, number: int, threads: int) -> WorkerProcess:
        log = CappedLog(None if self._logs is None else _log_file(self._logs, number))
        if self._logs is None:
            self._held_logs[number] = log
        return WorkerProcess(threads=threads, log=log, inbox=self.inbox)


def _log_file(folder: Path, number: int) -> Path:
    return folder / f"worker-{number}.log"
