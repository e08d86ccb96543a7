"""Many picture files to shrunken pixels, in order; threads decode, since decoders let each other run."""

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tlsearch.ahead import in_order
from tlsearch.data import pillow_rules
from tlsearch.data.pillow_rules import PictureError
from tlsearch.errors import DataError

AHEAD = 4  # pictures a thread that may wait for their turn: bounds the memory, 150 MB for 50 megapixels each


ProgressCallback = Callable[[str, int, int], None]  # (what is done, pictures, of how many)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """One picture, or why there is none.

    Args:
        pixels: uint8 `(h, w, 3)` for each side that was asked for, shrunk to it; empty where it cannot be read.
        size: Width and height before shrinking.
        digest: sha256 of the upright RGB pixels before shrinking: equal pictures have equal digests, whatever
            their files are; "" where it cannot be read.
        rules: Names of the conversions that were applied.
        failure: Why it cannot be read.
    """

    pixels: tuple[NDArray[np.uint8], ...]
    size: tuple[int, int] = (0, 0)
    digest: str = ""
    rules: tuple[str, ...] = ()
    failure: str | None = None


def decode_all(files: Sequence[Path], content: Sequence[str], sides: Sequence[int], threads: int) -> Iterator[Decoded]:
    """Decode files in order, each at most once and completely.

    Args:
        files: Any files; those that are no pictures come as failures.
        content: What `content_digests` said of them.
        sides: The shorter sides that a picture is shrunk to; of several each gets its own pixels.
        threads: How many decode.

    Raises:
        DataError: Where a file is no longer what `content` says.
    """

    def decoded(file: tuple[Path, str]) -> Decoded:
        return _decode_one(*file, sides)

    with ThreadPoolExecutor(threads) as pool:
        yield from in_order(pool, decoded, zip(files, content, strict=True), ahead=AHEAD * threads)


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silence Pillow's warnings of odd headers and big pictures: what matters of them is a failure here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def content_digests(files: Sequence[Path], threads: int, progress: ProgressCallback | None = None) -> list[str]:
    """sha256 of every file's bytes; of one that cannot be read, why."""
    digests = []
    with ThreadPoolExecutor(threads) as pool:
        for done, digest in enumerate(pool.map(_content_digest, files), start=1):
            digests.append(digest)
            if progress is not None:
                progress("reading pictures", done, len(files))
    return digests


def _content_digest(path: Path) -> str:
    try:
        return hashlib.sha256(pillow_rules.read_bytes(path)).hexdigest()
    except PictureError as error:
        return f"unreadable: {error}"


def _decode_one(path: Path, content: str, sides: Sequence[int]) -> Decoded:
    try:
        data = pillow_rules.read_bytes(path)
        if hashlib.sha256(data).hexdigest() != content:
            raise DataError(f"{path} changed while the pictures were being read", hint="run the command again")
        image, rules = pillow_rules.decode_bytes(data)
    except PictureError as error:
        return Decoded(pixels=tuple(np.zeros((0, 0, 3), np.uint8) for _ in sides), failure=str(error))
    digest = hashlib.sha256(f"{image.width}x{image.height}:".encode() + image.tobytes()).hexdigest()
    pixels = tuple(np.asarray(pillow_rules.shrink(image, side)) for side in sides)  # (h, w, 3) each
    return Decoded(pixels=pixels, size=image.size, digest=digest, rules=rules)
