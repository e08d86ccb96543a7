"""StudyLock: one coordinator a study; the operating system releases it when its holder dies."""

import json
import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from tlsearch.errors import BusyError, StoreError


class StudyLock:
    """Held by the one process that writes a study; use as a context manager.

    Args:
        path: The lock file; beside it `<path>.holder` says who holds it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._holder = path.with_name(path.name + ".holder")
        self._lock = FileLock(path)

    def acquire(self) -> None:
        """Take the lock without waiting.

        Raises:
            BusyError: Another process holds it; names its host, process and since when.
            StoreError: The folder cannot be written.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            self._sign()
        except Timeout as busy:
            if not self._path.exists():  # no file can be made there: nobody holds it
                raise self._unwritable("no file can be made there") from busy
            raise self._busy() from busy
        except OSError as error:
            self._lock.release()
            raise self._unwritable(error.strerror or str(error)) from error

    def release(self) -> None:
        """Give the lock back."""
        self._holder.unlink(missing_ok=True)
        self._lock.release()

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _unwritable(self, why: str) -> StoreError:
        return StoreError(
            f"cannot lock the study with {self._path}: {why}",
            hint="make room on the disk, or the folder writable, or write the study elsewhere",
        )

    def _sign(self) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        text = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": now})
        draft = self._holder.with_name(f"{self._holder.name}.{os.getpid()}")
        draft.write_text(text, encoding="utf-8")
        draft.replace(self._holder)  # whoever reads it meets all of it or nothing

    def _busy(self) -> BusyError:
        """Who holds the lock; a holder that has only just taken it may need a moment to sign."""
        for _ in range(10):
            try:
                who = json.loads(self._holder.read_text(encoding="utf-8"))
                break
            except (OSError, ValueError):
                time.sleep(0.05)
        else:
            return BusyError(f"another process runs this study (it holds {self._path})", hint="wait for it to end")
        return BusyError(
            f"process {who['pid']} on {who['host']} runs this study since {who['since']}",
            hint="wait for it to end, or stop it and run the same command again",
        )
