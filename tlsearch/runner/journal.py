"""The journal of a run: events in the store, all of them and finer ones in a log file, and the time they took."""

import errno
import json
import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tlsearch.closable import Closable
from tlsearch.disk import writing
from tlsearch.records import Event, Json, used_seconds
from tlsearch.store.store import Store


class Journal(Closable):
    """Writes what happens, and knows how much of the time budget is used. Use it as a context manager.

    Args:
        store: Where events are kept.
        study: Whose.
        log: A file of one JSON object a line, for a person or a program that follows the run.
        began: When the run did, of the monotonic clock: a jump of the other one changes no budget.

    Raises:
        StoreError: Where the log cannot be written.
    """

    def __init__(self, store: Store, study: str, log: Path, *, began: float) -> None:
        self._store = store
        self._study = study
        self._began = began
        self._used_before = used_seconds(store.events(study))
        self._log = log
        with writing(log):
            log.parent.mkdir(parents=True, exist_ok=True)
            # kept open: a study of heads logs thousands of epochs
            self._file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)

    def close(self) -> None:
        """Close the log."""
        os.close(self._file)

    @property
    def run_seconds(self) -> float:
        """Since this run began."""
        return time.monotonic() - self._began

    @property
    def used_seconds(self) -> float:
        """By all runs of the study, this one included."""
        return self._used_before + self.run_seconds

    def event(self, kind: str, **data: Json) -> Event:
        """Keep an event in the store, and log it."""
        (event,) = self.events(kind, [data])
        return event

    def events(self, kind: str, told: Sequence[Mapping[str, Json]]) -> list[Event]:
        """Keep several events of a kind in the store, and log them."""
        for data in told:
            self.log(kind, **data)
        at = {"run_s": round(self.run_seconds, 3)}
        return self._store.add_events(self._study, kind, [{**data, **at} for data in told])

    def phase_timed(self, phase: str, began: float) -> None:
        """Keep what a part of the run took, which began at that time of the monotonic clock."""
        self.event("phase_timed", phase=phase, seconds=time.monotonic() - began)

    def log(self, kind: str, **data: Json) -> None:
        """Log what is too fine for the store.

        Raises:
            StoreError: Where the file cannot be written.
        """
        line = json.dumps({"at": datetime.now(UTC).isoformat(), "kind": kind, **data}).encode("ascii") + b"\n"
        with writing(self._log):
            if os.write(self._file, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
