"""Compares all pictures of a dataset: pairs that show one photograph, with a network's help where there is one."""

import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tlsearch.data.near import near_pairs
from tlsearch.data.perceptual import sorted_pairs
from tlsearch.features.extract import BATCH, choose_pass
from tlsearch.model import Prefix
from tlsearch.records import TrialState
from tlsearch.work import Job, RowResult
from tlsearch.workbench.parts import Parts
from tlsearch.workbench.scoring import Emit, shown

NEAR_COSINE = 0.9  # of 24 753 pairs of unrelated photographs the nearest is at 0.82
NEAREST = 5  # pairs a picture
FEW = 500  # pictures that go through a network sooner than it is told which runtime is faster
ROWS = 1024  # of the table of cosines in memory at a time


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
    candidates = np.zeros((0, 2), np.int64)
    if row.recipe.backbone in parts.context.backbones:
        features = _features(parts, job, shown(emit, "pictures looked at, to find copies"))
        candidates = pairs_by_cosine(features, parts.device)
    progress = shown(emit, "pairs that look alike, compared")
    pairs = near_pairs(parts.store, parts.context.development, candidates, progress)
    found = [[pair.one, pair.other, pair.likeness, pair.mirrored] for pair in pairs]
    seconds = time.monotonic() - began
    return RowResult.of(job, row, TrialState.COMPLETED, seconds=seconds, extras={"pairs": found})


def _features(parts: Parts, job: Job, progress: Callable[[int, int], None]) -> NDArray[np.float32]:
    """Pooled features of all pictures, `(n, d)`. They are not cached: what follows from them is kept instead."""
    (row,) = job.rows
    pictures = parts.pictures(row.recipe, parts.context.development)
    prefix = Prefix(parts.preprocessing(row.recipe), parts.loaded(row.recipe).backbone, (), pooled=True)
    batches = pictures.batches("none", 0, BATCH)
    sample = next(batches)
    file = Path(parts.context.cache) / "prefixes" / f"{job.id}.prefix"
    _, run = choose_pass(
        prefix,
        sample,
        passes=len(pictures),
        onnx_file=file,
        device=parts.device,
        threads=parts.context.threads,
        deterministic=len(pictures) <= FEW,
    )
    file.unlink(missing_ok=True)  # the session holds what it read
    features: list[NDArray[np.float32]] = []
    for batch in chain([sample], batches):
        features.append(run(batch)[0])
        progress(sum(map(len, features)), len(pictures))
    return np.concatenate(features)


def pairs_by_cosine(features: NDArray[np.float32], device: torch.device) -> NDArray[np.int64]:
    """Each picture with its nearest five in the angle of their features, where the cosine is at least 0.9.

    Args:
        features: Pooled, `(n, d)`.
        device: What computes.

    Returns:
        `(pairs, 2)`, the smaller index first, ascending.
    """
    unit = torch.nn.functional.normalize(torch.from_numpy(features).to(device), dim=1)
    pairs = [np.zeros((0, 2), np.int64)]
    for start in range(0, len(unit), ROWS):
        cosines = unit[start : start + ROWS] @ unit.T  # (r, n)
        itself = torch.arange(len(cosines), device=device)
        cosines[itself, start + itself] = -1.0
        nearest, others = cosines.topk(min(NEAREST, len(unit)), dim=1)
        rows, ranks = torch.nonzero(nearest >= NEAR_COSINE, as_tuple=True)
        pairs.append(torch.stack([rows + start, others[rows, ranks]], dim=1).cpu().numpy())
    return sorted_pairs(np.concatenate(pairs))
