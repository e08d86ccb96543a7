"""Pixels: one picture by the rules of its weights, and all pictures decoded once into one memory-mapped file."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from tlsearch.data import pillow_rules
from tlsearch.data.decoding import ProgressCallback, content_digests, decode_all, quiet_pillow
from tlsearch.data.pillow_rules import PictureError, shrink
from tlsearch.devices import cpu_threads
from tlsearch.disk import writing
from tlsearch.errors import DataError
from tlsearch.specs import Preprocessing

__all__ = ["PixelStore", "ProgressCallback", "decode", "fit", "resize_px", "shrink"]

RULES_VERSION = 1  # of decoding and shrinking: a change that changes pixels counts up, and every cache is made anew
PIXELS_FILE = "pixels.bin"
INDEX_FILE = "index.json"
UNFINISHED = ".unfinished-"
STALE_S = 3600.0  # an unfinished folder that nobody wrote to for so long belongs to a process that is gone


def decode(path: Path) -> Image.Image:
    """Read a picture file as upright RGB by the rules of `pillow_rules`; raises DataError that names the file."""
    try:
        return pillow_rules.decode(path)
    except PictureError as error:
        raise DataError(f"{path} cannot be used: {error}") from error


def fit(pixels: NDArray[np.uint8], preprocessing: Preprocessing, image_px: int) -> NDArray[np.uint8]:
    """Make the network's square: uint8 `(h, w, 3)` to a fresh uint8 `(image_px, image_px, 3)`."""
    return pillow_rules.fit(
        pixels,
        image_px=image_px,
        resize=preprocessing.resize,
        crop_fraction=preprocessing.crop_fraction,
        interpolation=preprocessing.interpolation,
    )


def resize_px(preprocessing: Preprocessing, image_px: int) -> int:
    """The shorter side that a stored picture needs, so that `fit` doesn't enlarge it."""
    if preprocessing.resize == "crop":
        return max(image_px, pillow_rules.cropped_from_px(image_px, preprocessing.crop_fraction))
    return image_px


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelStore:
    """All pictures of a dataset, decoded, in the order of their files. Safe to read from several threads.

    Args:
        folder: Where it lies.
        digest: sha256 over everything in it; equal digests mean equal pixels in equal order.
        shorter_px: The shorter side that larger pictures were shrunk to.
        shapes: Height and width of each stored picture; (0, 0) where the file cannot be read.
        sizes: Width and height of each picture before it was shrunk.
        hashes: sha256 of each picture's full-size pixels; "" where the file cannot be read.
        rules: Names of the conversions that each picture went through.
        failures: By index, why a file cannot be read.
        flat: All pixels, one picture after another.
        offsets: Where each picture begins in `flat`.
        content: sha256 of each file's bytes, where this process has read them.
    """

    folder: Path
    digest: str
    shorter_px: int
    shapes: tuple[tuple[int, int], ...]
    sizes: tuple[tuple[int, int], ...]
    hashes: tuple[str, ...]
    rules: tuple[tuple[str, ...], ...]
    failures: Mapping[int, str]
    flat: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    content: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """One picture, uint8 `(h, w, 3)`: a read-only window on the file."""
        height, width = self.shapes[index]
        start = int(self.offsets[index])
        return self.flat[start : start + height * width * 3].reshape(height, width, 3)

    @classmethod
    def build(
        cls,
        files: Sequence[Path],
        shorter_px: int,
        folder_root: Path,
        progress: ProgressCallback | None = None,
        *,
        also_px: int | None = None,
    ) -> "PixelStore":
        """Decode every file once, or open what an earlier call decoded of the same bytes.

        Args:
            files: One a picture; one that cannot be read gets an entry in `failures` and no pixels.
            shorter_px: The shorter side to store, as `resize_px` says.
            folder_root: Where stores are cached; each in a folder of its own.
            progress: Told what is done with how many pictures of how many: first all are read, then decoded.
            also_px: Another side that the pictures are kept at, for a later call: they are decoded once for both.

        Raises:
            StoreError: Where the decoded pictures cannot be written.
        """
        threads = cpu_threads()
        content = content_digests(files, threads, progress)
        folder = folder_root / _key(content, shorter_px)
        if folder.exists():
            try:
                return replace(cls.open(folder), content=tuple(content))
            except DataError:
                shutil.rmtree(folder)  # our own cache is damaged: it is made anew
        folders = {folder_root / _key(content, px): px for px in (shorter_px, also_px) if px is not None}
        missing = {place: px for place, px in folders.items() if not place.exists()}
        # files of ours: what is wrong with a picture is told as its failure
        with writing(folder_root), contextlib.ExitStack() as stack:
            folder_root.mkdir(parents=True, exist_ok=True)
            _sweep(folder_root)  # before anything of this call lies there: clocks jump
            writers = []
            for place, px in missing.items():
                writer = _Writer(stack.enter_context(_whole_or_absent(place)), px)
                writers.append(stack.enter_context(contextlib.closing(writer)))
            _write(writers, files, content, threads, progress)
        return replace(cls.open(folder, hashed=True), content=tuple(content))  # who computes on them verifies them

    @classmethod
    def open(cls, folder: Path, *, hashed: bool = False) -> "PixelStore":
        """Open a store and verify its checksums.

        Args:
            folder: Where it lies.
            hashed: Whether its pixels were hashed here, on their way to the disk. Then only their number is held
                against the index, and the index against its checksum.

        Raises:
            DataError: Where it is damaged or missing.
        """
        try:
            digest, index = _read_index(folder / INDEX_FILE)
            size = (folder / PIXELS_FILE).stat().st_size
            flat = _mapped(folder / PIXELS_FILE, size)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _damaged(folder, f"{type(error).__name__}: {error}") from error
        if not hashed and hashlib.sha256(flat.data).hexdigest() != index["sha256"]:
            raise _damaged(folder, "its checksum differs")
        shapes = tuple((height, width) for height, width in index["shapes"])
        ends = np.cumsum([height * width * 3 for height, width in shapes], dtype=np.int64)
        if size != ends[-1:].sum():
            raise _damaged(folder, "its length differs")
        return cls(
            folder=folder,
            digest=digest,
            shorter_px=index["shorter_px"],
            shapes=shapes,
            sizes=tuple((width, height) for width, height in index["sizes"]),
            hashes=tuple(index["hashes"]),
            rules=tuple(tuple(names) for names in index["rules"]),
            failures={int(i): reason for i, reason in index["failures"].items()},
            flat=flat,
            offsets=np.concatenate([np.zeros(1, np.int64), ends]),
        )

    def at(self, shorter_px: int) -> "PixelStore | None":
        """The same pictures as they are kept at another side, for a store that `build` gave: None where they are not
        kept, or are damaged.
        """
        try:
            return PixelStore.open(self.folder.with_name(_key(self.content, shorter_px)))
        except DataError:
            return None


def _key(content: Sequence[str], shorter_px: int) -> str:
    identity = json.dumps([RULES_VERSION, PIL.__version__, shorter_px, list(content)])
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


@contextlib.contextmanager
def _whole_or_absent(folder: Path) -> Iterator[Path]:
    """A folder of another name to fill, which gets its own once it is full: a kill leaves no half of a store."""
    unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=folder.parent))
    try:
        yield unfinished
        _publish(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _sweep(folder_root: Path) -> None:
    """Remove what killed processes left unfinished."""
    for folder in folder_root.glob(f"{UNFINISHED}*"):
        with contextlib.suppress(OSError):  # another process is removing it
            if time.time() - max(path.stat().st_mtime for path in (folder, *folder.iterdir())) > STALE_S:
                shutil.rmtree(folder, ignore_errors=True)


class _Writer:
    """Writes the pixels of one side, then the index with their checksum.

    Args:
        folder: Empty.
        shorter_px: The side.
    """

    def __init__(self, folder: Path, shorter_px: int) -> None:
        self.shorter_px = shorter_px
        self._folder = folder
        self._checksum = hashlib.sha256()
        self._shapes: list[tuple[int, ...]] = []
        self._out = (folder / PIXELS_FILE).open("wb")

    def append(self, pixels: NDArray[np.uint8]) -> None:
        """The next picture, uint8 `(h, w, 3)`."""
        data = np.ascontiguousarray(pixels).reshape(-1).data
        self._out.write(data)
        self._checksum.update(data)
        self._shapes.append(pixels.shape[:2])

    def finish(self, known: Mapping[str, Any]) -> None:
        """Write the index; `known` is what all sides share."""
        self.close()
        own = {"shapes": self._shapes, "shorter_px": self.shorter_px, "sha256": self._checksum.hexdigest()}
        text = json.dumps({**known, **own}, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        (self._folder / INDEX_FILE).write_text(f"{digest}\n{text}\n", encoding="utf-8")

    def close(self) -> None:
        """Write no more pixels."""
        self._out.close()


def _write(
    writers: Sequence[_Writer],
    files: Sequence[Path],
    content: Sequence[str],
    threads: int,
    progress: ProgressCallback | None,
) -> None:
    """Decode every file, and write it at each side."""
    known: dict[str, Any] = {"sizes": [], "hashes": [], "rules": [], "failures": {}}
    sides = [writer.shorter_px for writer in writers]
    with quiet_pillow():
        for done, picture in enumerate(decode_all(files, content, sides, threads), start=1):
            for writer, pixels in zip(writers, picture.pixels, strict=True):
                writer.append(pixels)
            known["sizes"].append(picture.size)
            known["hashes"].append(picture.digest)
            known["rules"].append(picture.rules)
            if picture.failure is not None:
                known["failures"][str(done - 1)] = picture.failure
            if progress is not None:
                progress("decoding pictures", done, len(files))
    for writer in writers:
        writer.finish(known)


def _read_index(path: Path) -> tuple[str, dict[str, Any]]:
    digest, text = path.read_text(encoding="utf-8").splitlines()
    if hashlib.sha256(text.encode()).hexdigest() != digest:
        raise ValueError("the index's checksum differs")
    return digest, json.loads(text)


def _mapped(path: Path, size: int) -> NDArray[np.uint8]:
    # an empty file cannot be mapped: a store in which no file can be read has no pixels
    return np.memmap(path, dtype=np.uint8, mode="r") if size else np.zeros(0, np.uint8)


def _publish(unfinished: Path, folder: Path) -> None:
    """Give the finished folder its name; where another process was faster, theirs is as good as ours."""
    try:
        os.rename(unfinished, folder)
    except OSError:
        if not folder.exists():
            raise


def _damaged(folder: Path, why: str) -> DataError:
    return DataError(f"the decoded pictures in {folder} cannot be used: {why}", hint="run the command again")
