"""One backbone's values at every searched cut: from the cache, or from one pass that fills it."""

import contextlib
import importlib.metadata
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tlsearch.features.cache import EntryWriter, FeatureCache, key_digest
from tlsearch.features.passes import BATCH, ONNX
from tlsearch.features.pictures import Pictures
from tlsearch.features.running import Running
from tlsearch.model import LoadedBackbone, Prefix
from tlsearch.records import Json
from tlsearch.specs import Preprocessing

LIBRARIES = ("tlsearch", "torch", "torchvision", "keras", "numpy", "pillow", "onnxruntime")
PASS_RULE = 2  # of exporting, folding and filling batches up: a change that changes values counts up
PIXELS = "pixels"  # the cut before the first stage: the pictures themselves
POOLED = "pooled"  # the cut after pooling
PIXEL_BATCH = 32
VALUE_BYTES = 4  # of float32

Output = int | str  # frozen stages, or one of the two names above
Progress = Callable[[int, int], None]  # pictures done, of how many


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """Where passes run and their values are kept.

    Args:
        cache: Of values.
        prefixes: Folder of exported prefixes.
        device: Of passes.
        threads: For passes on a CPU.
        deterministic: Whether every run computes the same bits; no stopwatch chooses a runtime then.
    """

    cache: FeatureCache
    prefixes: Path
    device: torch.device
    threads: int
    deterministic: bool = False


@dataclass(slots=True, kw_only=True)
class CacheCounts:
    """What the cache did in this process."""

    hits: int = 0
    misses: int = 0
    pictures: int = 0
    seconds: float = 0.0


class FeatureProvider:
    """Cached values of some pictures under one backbone with one preprocessing.

    Args:
        loaded: The pristine backbone.
        weights: What names it: its plugin and its code, parameters, variant and the digest of its weights.
        preprocessing: What pictures go through.
        pictures: Which.
        cuts: The cuts that may be asked for, as frozen stages; all are taken from one pass.
        maps: Whether a head asks for the unpooled map of the last stage.
        augments: The augmentations that may be asked for.
        engine: Where passes run and their values are kept.
    """

    def __init__(
        self,
        *,
        loaded: LoadedBackbone,
        weights: Mapping[str, Json],
        preprocessing: Preprocessing,
        pictures: Pictures,
        cuts: Sequence[int],
        maps: bool,
        augments: Sequence[str],
        engine: Engine,
    ) -> None:
        self.counts = CacheCounts()
        self._backbone = loaded.spec.name
        self._pictures, self._cache = pictures, engine.cache
        self._device, self._threads = engine.device, engine.threads
        stages = len(loaded.backbone.stages)
        inner = sorted({cut for cut in cuts if 0 < cut < stages} | ({stages} if maps else set()))
        self._outputs: tuple[Output, ...] = (*inner, POOLED)
        self._prefix = Prefix(preprocessing, loaded.backbone, inner, pooled=True)
        versions = {name: _version(name) for name in LIBRARIES}
        normalise = [preprocessing.value_range, preprocessing.mean, preprocessing.std, preprocessing.channels]
        self._identity = {
            "weights": dict(weights),
            "normalise": normalise,
            "versions": versions,
            "pass_rule": PASS_RULE,
        }
        exported = {**self._identity, "cuts": inner, "image_px": pictures.image_px}
        decided = {**exported, "pictures": pictures.identity("none", 0), "device": engine.device.type}
        self._augments = tuple(augments)
        # the plain view is shared
        self._distinct_views = 1 + sum(pictures.count(augment) - 1 for augment in self._augments)
        self._running = Running(
            self._prefix,
            pictures,
            passes=self._distinct_views * len(pictures),
            exported=engine.prefixes / f"{key_digest(exported)}.prefix",
            decision=engine.prefixes / f"{key_digest(decided)}.runtime",
            device=engine.device,
            threads=engine.threads,
            deterministic=engine.deterministic,
        )
        self._open: dict[str, NDArray[np.generic]] = {}  # mapped: held by the page cache, and read at its speed

    def views(self, output: Output, augment: str, progress: Progress | None = None) -> list[NDArray[np.generic]]:
        """One array `(pictures, …)` a view of the augmentation, from the cache where it has them.

        Args:
            output: Frozen stages, PIXELS or POOLED.
            augment: "none", "flip" or "light".
            progress: Told while a pass runs.
        """
        if output != PIXELS and output not in self._outputs:
            raise KeyError(f"cut {output} is none of {self._outputs}")
        with self._running.held():
            return self._views(output, augment, progress)

    def uncached(self, output: Output, pictures: Pictures) -> Iterator[NDArray[np.float32]]:
        """Other pictures' values at a cut, `(n, …)` at a time and in order, computed as those of the cache are.

        Args:
            output: Frozen stages, or POOLED.
            pictures: Under the same preprocessing.
        """
        place = self._outputs.index(output)
        with self._running.held():
            run = self._running.ready()
            for values in run.over(pictures.batches("none", 0, run.batch)):
                yield values[place]

    def fill(self, progress: Progress | None = None) -> None:
        """See to it that every searched cut of every view is cached: one pass for each view that is not.

        Raises:
            TlsearchError: Before anything is computed, where all of it together is larger than the cache may be.
        """
        with self._running.held():
            if not self._filled():
                self._check_room()
                self._running.ready()  # what runs is known for sure from here on, and so are the entries' names
            for augment in ("none", *self._augments):
                for output in self._outputs:
                    self._views(output, augment, progress)

    def _filled(self) -> bool:
        return self._running.decided is not None and all(
            self._lookup(output, augment, view) is not None
            for augment in ("none", *self._augments)
            for view in range(self._pictures.count(augment))
            for output in self._outputs
        )

    def _check_room(self) -> None:
        values = self._running.values_each() * len(self._pictures) * self._distinct_views
        cuts, views = len(self._outputs), self._distinct_views
        whose = f"the features at {cuts} cut{'s' * (cuts > 1)} of {views} view{'s' * (views > 1)}"
        self._cache.check_room(values * VALUE_BYTES, whose)

    def _views(self, output: Output, augment: str, progress: Progress | None) -> list[NDArray[np.generic]]:
        return [self._view(output, augment, view, progress) for view in range(self._pictures.count(augment))]

    def _view(self, output: Output, augment: str, view: int, progress: Progress | None) -> NDArray[np.generic]:
        found = self._lookup(output, augment, view)
        if found is not None:
            self.counts.hits += 1
            return found
        self.counts.misses += 1
        if output == PIXELS:
            self._fill_pixels(augment, view, progress)
        else:
            self._run_pass(augment, view, progress)
        return self._open[key_digest(self._key(output, augment, view))]

    def _key(self, output: Output, augment: str, view: int) -> dict[str, Json]:
        pictures = self._pictures.identity(augment, view)
        if output == PIXELS:
            return {"cut": output, "pictures": pictures, "versions": {"pillow": _version("pillow")}}
        exported = {"cuts": list(self._prefix.cuts)} if self.runtime == ONNX else {}  # nothing is folded across a cut
        return {
            **exported,
            "cut": output,
            "pictures": pictures,
            "runtime": self.runtime,
            "dtype": "float32",
            "batch": BATCH[self.runtime],
            "device": self._device.type,
            "threads": self._threads,
            **self._identity,
        }

    def _lookup(self, output: Output, augment: str, view: int) -> NDArray[np.generic] | None:
        key = self._key(output, augment, view)
        digest = key_digest(key)
        if digest not in self._open:
            array = self._cache.open(key)
            if array is None:
                return None
            self._keep(digest, array)
        return self._open[digest]

    def _keep(self, digest: str, array: NDArray[np.generic]) -> None:
        self._open[digest] = np.asarray(array)  # a plain array over the map: its rows are gathered in half the time

    @property
    def runtime(self) -> str:
        """How passes run over these pictures."""
        return self._running.runtime

    @property
    def note(self) -> str:
        """Why passes are slower than they might be, once that was found."""
        return self._running.note

    def _run_pass(self, augment: str, view: int, progress: Progress | None) -> None:
        """Push one view of every picture through the prefix, and keep the cuts that are not cached."""
        run = self._running.ready()
        began = time.monotonic()
        missing = [o for o in self._outputs if self._lookup(o, augment, view) is None]
        if not missing:  # under the runtime that took the place of one that cannot be opened
            return
        total = len(self._pictures)
        writers: dict[Output, EntryWriter] = {}
        done = 0
        with contextlib.ExitStack() as stack:
            for taken in run.over(self._pictures.batches(augment, view, run.batch)):
                values = dict(zip(self._outputs, taken, strict=True))
                for output in missing:
                    if output not in writers:
                        key = self._key(output, augment, view)
                        shape = (total, *values[output].shape[1:])
                        writers[output] = stack.enter_context(self._cache.create(key, shape, np.float32))
                    writers[output].write(values[output])
                done += len(taken[0])
                if progress is not None:
                    progress(done, total)
        for output, writer in writers.items():
            self._keep(key_digest(self._key(output, augment, view)), writer.array)
        self.counts.pictures += total
        self.counts.seconds += time.monotonic() - began

    def _fill_pixels(self, augment: str, view: int, progress: Progress | None) -> None:
        key = self._key(PIXELS, augment, view)
        total, side = len(self._pictures), self._pictures.image_px
        done = 0
        with self._cache.create(key, (total, side, side, 3), np.uint8) as writer:
            for batch in self._pictures.batches(augment, view, PIXEL_BATCH):
                writer.write(batch)
                done += len(batch)
                if progress is not None:
                    progress(done, total)
        self._keep(key_digest(key), writer.array)


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
