"""The journal of a run: events in the store, all of them and finer ones in a log file, and the time they took."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

from tlsearch.disk import writing
from tlsearch.records import Event, Json, used_seconds
from tlsearch.store.store import Store


class Journal:
    """Writes what happens, and knows how much of the time budget is used.

    Args:
        store: Where events are kept.
        study: Whose.
        log: A file of one JSON object a line, for a person or a program that follows the run.
        began: When the run did, of the monotonic clock: a jump of the other one changes no budget.
    """

    def __init__(self, store: Store, study: str, log: Path, *, began: float) -> None:
        self._store = store
        self._study = study
        self._began = began
        self._used_before = used_seconds(store.events(study))
        with writing(log.parent):
            log.parent.mkdir(parents=True, exist_ok=True)
        self._log = log

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
        self.log(kind, **data)
        return self._store.add_event(self._study, kind, {**data, "run_s": round(self.run_seconds, 3)})

    def phase_timed(self, phase: str, began: float) -> None:
        """Keep what a part of the run took, which began at that time of the monotonic clock."""
        self.event("phase_timed", phase=phase, seconds=time.monotonic() - began)

    def log(self, kind: str, **data: Json) -> None:
        """Log what is too fine for the store.

        Raises:
            StoreError: Where the file cannot be written.
        """
        line = json.dumps({"at": datetime.now(UTC).isoformat(), "kind": kind, **data})
        with writing(self._log), self._log.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
