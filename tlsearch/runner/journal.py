"""The journal of a run: events in the store, all of them and finer ones in a log file, and the time they took."""

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from tlsearch.disk import writing
from tlsearch.records import Event, Json
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

    def log(self, kind: str, **data: Json) -> None:
        """Log what is too fine for the store.

        Raises:
            StoreError: Where the file cannot be written.
        """
        line = json.dumps({"at": datetime.now(UTC).isoformat(), "kind": kind, **data})
        with writing(self._log), self._log.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def used_seconds(events: Iterable[Event]) -> float:
    """What all runs took, by the last event of each: a killed run's last moments are not known."""
    total = last = 0.0
    for event in events:
        if event.kind == "run_started":
            total, last = total + last, 0.0
        last = max(last, float(event.data.get("run_s", 0.0)))
    return total + last
