"""Checks labels and the amount of data: probes tell which labels look wrong, and what more pictures would bring."""

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tlsearch.data.split import fold_partitions
from tlsearch.features.provider import POOLED
from tlsearch.records import Json, TrialState
from tlsearch.stats.labels import suspects, together
from tlsearch.stats.learning import Deal, LearningCurve, learning_curve
from tlsearch.stats.ridge import Probed, probe
from tlsearch.work import Job, Progress, RowResult
from tlsearch.workbench.parts import Parts
from tlsearch.workbench.scoring import Emit, shown

MOST_SUSPECTS = 200  # are named; the others are counted
FOLDS, QUARTERS = 5, 4  # of a learning curve
DEALS = 5
MIRRORED = "flip"  # the augmentation whose views are a picture and its mirror image


def check_data(parts: Parts, job: Job, emit: Emit) -> RowResult:
    """Probe the development images with the backbone of each row; what the probes say is averaged.

    Args:
        parts: Of the study.
        job: A row a backbone; its option "groups" has one number a development image, equal for images that belong
            together.
        emit: Told what is in work.

    Returns:
        `extras` hold "images", how many; "suspected", of how many the label is doubted; "suspects", the first of these
        as a list of {"image", "label", "suggested", "probability", "sure"} in which images and classes are numbers; and
        "learning", the learning curve without its sentence. `log_probs` are those of each image by probes that were
        fitted without it.
    """
    began = time.monotonic()
    labels = parts.true_labels()
    classes = len(parts.context.classes)
    groups = list(job.options["groups"])
    # where mirror images are at hand, the mean over both finds 2 of 100 exchanged labels more (benchmarks)
    augment = MIRRORED if MIRRORED in parts.context.augments else "none"
    probes = []
    for done, row in enumerate(job.rows):
        views = parts.provider(row.recipe).views(POOLED, augment, shown(emit, row.recipe.backbone))
        emit(Progress(text="labels", done=done, total=len(job.rows)))
        features = np.stack([np.asarray(view, dtype=np.float32) for view in views]).mean(axis=0)
        probes.append(probe(features, labels, classes, groups=groups))
    log_probs = together([one.log_probs for one in probes])
    emit(Progress(text="would more pictures help", done=0, total=1))
    curve = _curve(parts, probes, labels, groups)
    doubted = suspects(log_probs, labels, most=len(labels))
    found = [
        {
            "image": suspect.picture,
            "label": suspect.label,
            "suggested": suspect.suggested,
            "probability": suspect.probability,
            "sure": suspect.sure,
        }
        for suspect in doubted[:MOST_SUSPECTS]
    ]
    return RowResult.of(
        job,
        job.rows[0],
        TrialState.COMPLETED,
        log_probs=log_probs.astype(np.float32),
        seconds=time.monotonic() - began,
        extras={"images": len(labels), "suspected": len(doubted), "suspects": found, "learning": _as_json(curve)},
    )


def _curve(parts: Parts, probes: Sequence[Probed], labels: NDArray[np.int64], groups: Sequence[int]) -> LearningCurve:
    seed = parts.context.seed
    keys = [str(group) for group in groups]
    folds = fold_partitions(labels.tolist(), keys, FOLDS, DEALS, seed)
    quarters = fold_partitions(labels.tolist(), keys, QUARTERS, DEALS, seed + 1)
    deals = [Deal(fold=np.array(one), quarter=np.array(other)) for one, other in zip(folds, quarters, strict=True)]
    classes = len(parts.context.classes)
    return learning_curve(probes, labels, classes, deals, metric=parts.context.metric, groups=groups, seed=seed)


def _as_json(curve: LearningCurve) -> dict[str, Json]:
    return {
        "shares": list(curve.shares),
        "images": list(curve.images),
        "score": list(curve.scores),
        "low": [interval.low for interval in curve.intervals],
        "high": [interval.high for interval in curve.intervals],
        "recalls": [list(recall) for recall in curve.recalls],
        "rise": [curve.rise.low, curve.rise.high],
    }
