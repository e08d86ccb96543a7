"""CappedLog: what a worker prints, kept up to a limit, and its last words."""

import contextlib
import threading
from collections import deque
from pathlib import Path
from typing import IO

from tlsearch.disk import writing


class CappedLog:
    """The newest part of a stream of bytes, in a file and one older generation of it.

    Args:
        path: As for `keep_in`; None holds the bytes in memory until that is called.
        limit: Bytes that each of the two files may take.

    Raises:
        StoreError: Where the file cannot be opened.
    """

    def __init__(self, path: Path | None = None, *, limit: int = 1_000_000) -> None:
        self._limit = limit
        self._lock = threading.Lock()  # who reads the stream is not who knows where it is kept
        self._held = b""  # until there is a file
        self._ended = False
        self._path: Path | None = None
        self._file: IO[bytes] | None = None
        self._recent: deque[bytes] = deque(maxlen=40)
        self._open_line = b""
        if path is not None:
            self.keep_in(path)

    def keep_in(self, path: Path) -> None:
        """Keep what came and what comes in a file.

        Args:
            path: Appended to; `<path>.old` holds what came before. Bytes are kept as they are, valid UTF-8 or not.

        Raises:
            StoreError: Where the file cannot be opened.
        """
        with self._lock:
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = path.open("ab", buffering=0)
            self._path = path
            self._append(self._held)
            self._held = b""
            if self._ended:
                self._file.close()

    def write(self, data: bytes) -> None:
        """Keep the data; may put the file aside and start another. What a full disk doesn't take is lost."""
        with self._lock:
            if self._path is None:
                self._held = (self._held + data)[-self._limit :]
            else:
                self._append(data)
        *lines, self._open_line = (self._open_line + data[-2000:]).split(b"\n")
        self._open_line = self._open_line[-2000:]
        self._recent.extend(lines[-40:])

    def _append(self, data: bytes) -> None:
        """Write to the file, or to a fresh one where it would grow too large."""
        assert self._file is not None
        assert self._path is not None
        with contextlib.suppress(OSError):  # whoever reads the worker's pipe must go on, or the worker waits for ever
            if self._file.tell() + len(data) > self._limit:
                self._path.replace(self._path.with_name(self._path.name + ".old"))
                fresh = self._path.open("ab", buffering=0)
                self._file.close()
                self._file = fresh
            self._file.write(data[-self._limit :])

    def close(self) -> None:
        """Close the file: nothing comes any more. What is held is still written once `keep_in` is called."""
        with self._lock:
            self._ended = True
            if self._file is not None:
                self._file.close()

    def last_words(self) -> str:
        """The last line that says something, in at most 200 printable characters; "" where there is none.

        Of a dump by Python's fault handler that is its first line, not the stack and the modules that follow.
        """
        lines = [*self._recent, self._open_line]
        dump = next((line for line in lines if line.startswith(b"Fatal Python error:")), None)
        spoken = [line for line in lines if line.strip()]
        last = dump or (spoken[-1] if spoken else b"")
        text = last.decode("utf-8", errors="replace").strip()
        return "".join(letter if letter.isprintable() else "?" for letter in text)[:200]
