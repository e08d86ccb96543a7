"""Prepares one backbone: its features cached, and linear probes of them scored."""

import time
from typing import Any

import numpy as np

from tlsearch.features.provider import POOLED, FeatureProvider
from tlsearch.records import TrialState
from tlsearch.stats.probing import probe_folds, probe_scores
from tlsearch.stats.thinning import thinned
from tlsearch.work import Job, RowResult
from tlsearch.workbench.parts import Parts
from tlsearch.workbench.scoring import Emit, shown

PROBED = 10_000  # pictures at most; in double precision their features take 100 MB


def prepare(parts: Parts, job: Job, emit: Emit) -> RowResult:
    """Cache what the job's one backbone sees, and probe it on the folds that trials are scored on.

    Args:
        parts: Of the study.
        job: Of one row.
        emit: Told what is in work.

    Returns:
        With the score of the best probe. `extras` hold "cache", what the cache did, and "probes": each probe's score.
    """
    (row,) = job.rows
    began = time.monotonic()
    provider = parts.provider(row.recipe)
    provider.fill(shown(emit, row.recipe.backbone))
    scores = _probe_scores(parts, job, provider)
    return RowResult.of(
        job,
        row,
        TrialState.COMPLETED,
        score=max(scores.values()),
        seconds=time.monotonic() - began,
        extras={"cache": _told(provider), "probes": scores},
    )


def _probe_scores(parts: Parts, job: Job, provider: FeatureProvider) -> dict[str, float]:
    rows = thinned(parts.true_labels(), PROBED)
    (plain,) = provider.views(POOLED, "none")
    labels, folds = parts.true_labels()[rows], np.array(parts.context.folds[job.repeat])[rows]
    groups = parts.groups()[rows]
    features = np.asarray(plain[rows], dtype=np.float32)
    answers = probe_folds(features, labels, len(parts.context.classes), folds, groups=groups.tolist())
    return probe_scores(answers, labels, folds, metric=parts.context.metric)


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
