"""Compares all pictures of a dataset: pairs that show one photograph, with a network's help where there is one."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tlsearch.data.near import near_pairs
from tlsearch.features.extract import MEASURED, choose_pass
from tlsearch.model import Prefix
from tlsearch.records import TrialState
from tlsearch.work import Job, RowResult
from tlsearch.workbench.nearest import kept_units, pairs_by_cosine
from tlsearch.workbench.parts import Parts
from tlsearch.workbench.scoring import Emit, shown

FEW = 500  # pictures that go through a network sooner than it is told which runtime is faster


def find_alike(parts: Parts, job: Job, emit: Emit) -> RowResult:
    """Find the pairs of development images that show one photograph.

    Args:
        parts: Their context's development images are all pictures to compare; where it has the row's backbone, pairs
            that look alike to that network are candidates as well.
        job: One row.
        emit: Told what is in work.

    Returns:
        `extras` hold "pairs": a list of [one, other, likeness, mirrored], in which pictures are indices into the
        pixel store.
    """
    began = time.monotonic()
    (row,) = job.rows

    def candidates() -> NDArray[np.int64]:
        if row.recipe.backbone not in parts.context.backbones:
            return np.zeros((0, 2), np.int64)
        features = _features(parts, job, shown(emit, "pictures looked at, to find copies"))
        return pairs_by_cosine(features, parts.device)

    progress = shown(emit, "pairs that look alike, compared")
    pairs = near_pairs(parts.store, parts.context.development, candidates, progress)
    found = [[pair.one, pair.other, pair.likeness, pair.mirrored] for pair in pairs]
    seconds = time.monotonic() - began
    return RowResult.of(job, row, TrialState.COMPLETED, seconds=seconds, extras={"pairs": found})


def _features(parts: Parts, job: Job, progress: Callable[[int, int], None]) -> NDArray[np.float32]:
    """Pooled features of all pictures, of length 1, `(n, d)`. Not cached: what follows from them is kept instead."""
    (row,) = job.rows
    pictures = parts.pictures(row.recipe, parts.context.development)
    prefix = Prefix(parts.preprocessing(row.recipe), parts.loaded(row.recipe).backbone, (), pooled=True)
    run = choose_pass(
        prefix,
        pictures.sample(MEASURED),
        passes=len(pictures),
        onnx_file=None,
        device=parts.device,
        threads=parts.context.threads,
        deterministic=len(pictures) <= FEW,
    ).run

    def pooled() -> Iterator[NDArray[np.float32]]:
        done = 0
        for (batch,) in run.over(pictures.batches("none", 0, run.batch)):
            yield batch
            done += len(batch)
            progress(done, len(pictures))

    return kept_units(pooled(), Path(parts.context.cache) / "links")
