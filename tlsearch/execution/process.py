"""WorkerProcess: one spawned worker with its pipes, its threads, its log and its death."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import IO, Any

from tlsearch.devices import computing_environment
from tlsearch.execution.log import CappedLog
from tlsearch.records import FailureReason

CRASHES = ("SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS")

Inbox = queue.SimpleQueue[tuple["WorkerProcess", dict[str, Any] | None]]


class WorkerProcess:
    """A worker in a session and process group of its own, so that Ctrl-C spares it and one kill ends all its children.

    Args:
        threads: For computing on a CPU.
        log: Takes what the worker prints.
        inbox: Gets (this, message) for each message of the worker; (this, None) once there are no more.
    """

    def __init__(self, *, threads: int, log: CappedLog, inbox: Inbox) -> None:
        self._log = log
        self._inbox = inbox
        self._killed = False
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tlsearch.execution.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(threads),
            start_new_session=True,
        )
        self._threads = [
            threading.Thread(target=self._read_messages, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._read_chatter, args=(self._process.stderr,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def send(self, message: Mapping[str, Any]) -> None:
        """Give the worker an order; one that was killed gets none."""
        if self._killed:
            return
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died: `ended` tells, and with what
            self._process.stdin.write(json.dumps(message).encode("ascii") + b"\n")
            self._process.stdin.flush()

    def wait(self, timeout_s: float) -> None:
        """Wait for its end, but no longer than that."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, timeout_s))

    def kill(self) -> None:
        """End the worker and everything that it started; afterwards all of its messages are in the inbox."""
        if self._killed:
            return  # its number may be another process's by now
        self._killed = True
        if sys.platform != "win32":
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join(1.0)  # a grandchild that left the group may hold a pipe: don't wait for it
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def death(self) -> tuple[FailureReason, str]:
        """How it died, of its own or by a signal: the reason, and one line with its last words."""
        code = self._process.returncode
        words = self._log.last_words()
        said = f"; its last words: {words}" if words else ""
        if code >= 0:
            return FailureReason.EXITED, f"the worker exited with code {code}{said}"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        if name in CRASHES:
            return FailureReason.CRASHED, f"the worker crashed ({name}){said}"
        hint = " (out of memory, if nobody did it)" if name == "SIGKILL" else ""
        return FailureReason.KILLED, f"the worker was killed by {name}{hint}{said}"

    def _read_messages(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                if line.endswith(b"\n"):  # a message that its writer's death cut short says nothing
                    self._inbox.put((self, json.loads(line)))
        self._inbox.put((self, None))

    def _read_chatter(self, pipe: IO[bytes]) -> None:
        with pipe:
            while data := os.read(pipe.fileno(), 65_536):
                self._log.write(data)
        self._log.close()


def _environment(threads: int) -> dict[str, str]:
    """The coordinator's environment and import path, and what must be decided before a framework is imported."""
    return {
        **computing_environment(),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
    }
