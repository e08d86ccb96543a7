"""Waits for locks of other processes, and turns every fault of the database into a StoreError."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tlsearch.errors import StoreError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Locks:
    """How long a file's locks are waited for, and what is said of its faults.

    Args:
        path: The file, for messages.
        timeout_s: How long locks of other processes are waited for.
        faults: What the library raises where the database fails; SQLAlchemy's errors carry the driver's own as `orig`.
    """

    path: Path
    timeout_s: float
    faults: type[Exception]

    def wait(self, attempt: Callable[[], T]) -> T:
        """Try until the file is not locked any more, or the time-out is over.

        Args:
            attempt: Is run again from its beginning after a lock.

        Raises:
            StoreError: The file stayed locked, or cannot be read or written.
        """
        until = time.monotonic() + self.timeout_s
        while True:
            try:
                return attempt()
            except self.faults as error:
                if not _is_lock(error) or time.monotonic() > until:
                    raise self.fault(error) from error
                # jitter: two waiters must not meet again and again
                time.sleep(random.uniform(0.005, 0.1))  # noqa: S311 - no secret depends on it

    def fault(self, error: Exception) -> StoreError:
        """What to raise in place of an error of the database."""
        if _is_lock(error):
            waited = f"locked by another process for {self.timeout_s:g} s"
            return StoreError(f"the store {self.path} is {waited}", hint="end that process, then run this again")
        said = str(_original(error))
        full = "make room on the disk, then run the same command again"
        hint = full if "full" in said else "check the disk and the file"
        return StoreError(f"the store {self.path} failed: {said}", hint=hint)


def _is_lock(error: Exception) -> bool:
    name = getattr(_original(error), "sqlite_errorname", "")
    return name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or "is locked" in str(_original(error))


def _original(error: Exception) -> object:
    """The driver's own error."""
    return getattr(error, "orig", error)
