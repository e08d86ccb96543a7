"""CappedLog: what a worker prints, kept up to a limit, and its last words."""

import contextlib
from collections import deque
from pathlib import Path

from tlsearch.disk import writing


class CappedLog:
    """The newest part of a stream of bytes, in a file and one older generation of it.

    Args:
        path: Appended to; `<path>.old` holds what came before. Bytes are kept as they are, valid UTF-8 or not.
        limit: Bytes that each of the two files may take.

    Raises:
        StoreError: Where the file cannot be opened.
    """

    def __init__(self, path: Path, *, limit: int = 1_000_000) -> None:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
        self._path = path
        self._limit = limit
        self._recent: deque[bytes] = deque(maxlen=40)
        self._open_line = b""

    def write(self, data: bytes) -> None:
        """Keep the data; may put the file aside and start another. What a full disk doesn't take is lost."""
        if self._file.tell() + len(data) > self._limit:
            self._file.close()
            self._path.replace(self._path.with_name(self._path.name + ".old"))
            self._file = self._path.open("ab", buffering=0)
        with contextlib.suppress(OSError):  # whoever reads the worker's pipe must go on, or the worker waits for ever
            self._file.write(data[-self._limit :])
        *lines, self._open_line = (self._open_line + data[-2000:]).split(b"\n")
        self._open_line = self._open_line[-2000:]
        self._recent.extend(lines[-40:])

    def close(self) -> None:
        """Close the file."""
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
