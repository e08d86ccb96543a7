"""Prepares one backbone: its features cached, and linear probes of them scored."""

import time
from typing import Any

import numpy as np

from tlsearch.features.provider import POOLED, FeatureProvider
from tlsearch.records import TrialState
from tlsearch.stats.probing import probe_folds, probe_scores
from tlsearch.work import Job, RowResult
from tlsearch.workbench.parts import Parts
from tlsearch.workbench.scoring import Emit, shown
from tlsearch.workbench.starting import Starts


def prepare(parts: Parts, starts: Starts, job: Job, emit: Emit) -> RowResult:
    """Cache what the job's one backbone sees, and probe it on the folds that trials are scored on.

    Args:
        parts: Of the study.
        starts: Keeps what heads may begin from.
        job: Of one row.
        emit: Told what is in work.

    Returns:
        With the score of the best probe. `extras` hold "cache", what the cache did, and "probes": each probe's score.
    """
    (row,) = job.rows
    began = time.monotonic()
    provider = parts.provider(row.recipe)
    provider.fill(shown(emit, row.recipe.backbone))
    scores = _probe_scores(parts, starts, job, provider)
    return RowResult.of(
        job,
        row,
        TrialState.COMPLETED,
        score=max(scores.values()),
        seconds=time.monotonic() - began,
        extras={"cache": _told(provider), "probes": scores},
    )


def _probe_scores(parts: Parts, starts: Starts, job: Job, provider: FeatureProvider) -> dict[str, float]:
    """The score of each probe; what heads may begin from is kept."""
    (plain,) = provider.views(POOLED, "none")
    features = np.asarray(plain, dtype=np.float32)  # mapped values stay where they are
    labels, folds = parts.true_labels(), parts.context.folds[job.repeat]
    probes = probe_folds(features, labels, len(parts.context.classes), folds, groups=parts.groups().tolist())
    for fold, start in zip(parts.folds(job.repeat), probes.starts, strict=True):
        starts.keep(job.rows[0].recipe, fold, start)
    return probe_scores(probes.answers, labels, folds, metric=parts.context.metric)


def _told(provider: FeatureProvider) -> dict[str, Any]:
    counts = provider.counts
    return {
        "hits": counts.hits,
        "misses": counts.misses,
        "images": counts.pictures,
        "seconds": counts.seconds,
        "runtime": provider.runtime,
        "note": provider.note,
    }
