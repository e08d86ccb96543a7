"""`tlsearch run` as a process of its own, followed by the log that it writes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAIN = "from tlsearch.cli import program; program()"
STRUCK = Path(__file__).with_name("struck_command.py")
POLL_S = 0.001
Line = dict[str, Any]


@dataclass
class Study:
    """A study that is run by the command line, always by the same command.

    Args:
        folder: Where the command runs; `runs/` lies below.
        name: The study's, which is its folder's.
        arguments: After `tlsearch run`.
        environment: In addition to this process's own.
    """

    folder: Path
    name: str
    arguments: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    _seen: int = field(default=0, init=False)  # lines of the log that are known

    @property
    def log(self) -> Path:
        return self.folder / "runs" / self.name / "logs" / "events.jsonl"

    @property
    def store_url(self) -> str:
        return f"sqlite:///{self.folder / 'runs' / self.name / 'study.db'}"

    @property
    def said(self) -> str:
        """What the last run printed."""
        return (self.folder / "output.txt").read_text()

    def logged(self) -> list[Line]:
        """All whole lines of the log; a kill may tear the last one."""
        return [json.loads(line) for line in _whole_lines(self.log)]

    @contextmanager
    def started(self, strike: "Strike | None" = None) -> Iterator[subprocess.Popen[bytes]]:
        """The command, running; killed at the end, if it still does."""
        self._seen = len(_whole_lines(self.log))
        command = ["-c", MAIN] if strike is None else ["-P", str(STRUCK), *strike.arguments]
        with (self.folder / "output.txt").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, *command, "run", *self.arguments],
                cwd=self.folder,
                env={**os.environ, "TLSEARCH_OFFLINE": "1", **self.environment, "TLSEARCH_TEST": str(self.folder)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def run(self, within_s: float = 300.0) -> int:
        """Run to the end; returns the exit code."""
        with self.started() as process:
            return process.wait(within_s)

    def run_struck(self, strike: "Strike", within_s: float = 120.0) -> int:
        """Run until the strike ends it; returns the exit code."""
        with self.started(strike) as process:
            return process.wait(within_s)

    def processes(self) -> list[int]:
        """Every process that a run of this study started and that lives."""
        mark = f"TLSEARCH_TEST={self.folder}".encode()
        found = []
        for environ in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in environ.read_bytes().split(b"\0"):
                    found.append(int(environ.parent.name))
            except OSError:  # it ended as we looked, or is another user's
                continue
        return found

    def nothing_is_left_running(self, within_s: float = 2.0) -> bool:
        until = time.monotonic() + within_s
        while self.processes():
            if time.monotonic() > until:
                return False
            time.sleep(POLL_S)
        return True

    def new_lines(self, process: subprocess.Popen[bytes]) -> Iterator[Line]:
        """What this run logs, as it does, until it ends."""
        while process.poll() is None:
            lines = _whole_lines(self.log)
            for line in lines[self._seen :]:
                self._seen += 1
                yield json.loads(line)
            time.sleep(POLL_S)


@dataclass(frozen=True)
class Strike:
    """A signal that comes at one exact moment.

    Args:
        signum: The signal.
        kind: Of the journal's event that it follows: the first one with these `fields`.
        fields: Of that event.
        stored: Whether it comes after the transaction that keeps the event, else before.
    """

    signum: signal.Signals
    kind: str
    fields: dict[str, int] = field(default_factory=dict)
    stored: bool = False

    @property
    def arguments(self) -> list[str]:
        """For `struck_command.py`."""
        return [self.signum.name, "stored" if self.stored else "logged", self.kind, json.dumps(self.fields)]


def _whole_lines(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []
