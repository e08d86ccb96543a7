"""Checks labels and the amount of data: probes tell which labels look wrong, and what more pictures would bring."""

import math
import time
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tlsearch.data.split import fold_partitions
from tlsearch.features.provider import POOLED
from tlsearch.records import Json, TrialState
from tlsearch.stats.labels import Suspect, suspects, together
from tlsearch.stats.learning import Deal, LearningCurve, learning_curve
from tlsearch.stats.metrics import Predictions
from tlsearch.stats.ridge import Fit, probe
from tlsearch.work import Job, Progress, Row, RowResult
from tlsearch.workbench.parts import Parts
from tlsearch.workbench.scoring import Emit, shown

MOST_SUSPECTS = 200  # are named; the others are counted
# Pictures that probes are fitted on at a time. In double precision a network's features of so many take 200 MB; of
# 100 000 pictures they, and what is computed from them, would take several gigabytes.
BLOCK = 20_000
VALUES = 4_000_000  # pictures times classes of a block: 32 MB, of which a probe holds five at once
FEW = 10  # of a class in a block: below, the probe would know the class by too few pictures
FOLDS, QUARTERS = 5, 4  # of a learning curve
DEALS = 5
MIRRORED = "flip"  # the augmentation whose views are a picture and its mirror image

Rows = NDArray[np.int64]  # of the development images
Views = Sequence[NDArray[np.generic]]  # of one network's features, `(n, D)` each


def check_data(parts: Parts, job: Job, emit: Emit) -> RowResult:
    """Probe the development images with the backbone of each row; what the probes say is averaged.

    Of more than `BLOCK` images, or fewer where there are over 200 classes, random parts of about that size are probed
    one after another, and the learning curve is that of the first: but for the answers themselves, what is in memory
    does not grow with the images, nor with the networks, whose answers are added up one at a time.

    Args:
        parts: Of the study.
        job: A row a backbone; its option "groups" has one number a development image, equal for images that belong
            together.
        emit: Told what is in work.

    Returns:
        `extras` hold "images", how many; "suspected", of how many the label is doubted; "suspects", the first of these
        as a list of {"image", "label", "suggested", "probability", "sure"} in which images and classes are numbers; and
        "learning", the learning curve without its sentence, whose "tried" is how many images it was made of.
        `log_probs` are those of each image by probes that were fitted without it.
    """
    began = time.monotonic()
    labels = parts.true_labels()
    groups = np.asarray(job.options["groups"])
    views = [_views(parts, row, emit) for row in job.rows]
    classes = len(parts.context.classes)
    blocks = blocks_of(labels, groups, parts.context.seed, classes=classes)
    log_probs = np.empty((len(labels), classes), dtype=np.float32)
    for done, rows in enumerate(blocks):
        emit(Progress(text="labels", done=done, total=len(blocks)))
        fits: list[Fit] = []
        log_probs[rows] = together(_answers(views, labels[rows], classes, groups[rows], rows, fits))
        if not done:
            emit(Progress(text="would more pictures help", done=0, total=1))
            curve = _curve(parts, fits, labels[rows], groups[rows])
    doubted = suspects(log_probs, labels, most=len(labels))
    learning = {**_as_json(curve), "tried": len(blocks[0])}
    return RowResult.of(
        job,
        job.rows[0],
        TrialState.COMPLETED,
        log_probs=log_probs,
        seconds=time.monotonic() - began,
        extras={
            "images": len(labels),
            "suspected": len(doubted),
            "suspects": [_named(suspect) for suspect in doubted[:MOST_SUSPECTS]],
            "learning": learning,
        },
    )


def blocks_of(labels: NDArray[np.int64], groups: NDArray[np.int64], seed: int, *, classes: int) -> list[Rows]:
    """The rows that are probed together, ascending: all at once, or random parts that are alike in their classes.

    Probes of one part know nothing of the others, so the pictures of a group may lie in several. What a part would hold
    too few of is in every part: rare classes, and the few pictures that do not belong to a group of nearly all.

    Args:
        labels: `(n,)`.
        groups: `(n,)`, equal for pictures that belong together.
        seed: The study's.
        classes: C. Of more than 200 a part has fewer pictures, but not so few that there are none of ten each.
    """
    most = min(BLOCK, max(VALUES // classes, FEW * classes))
    n, blocks = len(labels), math.ceil(len(labels) / most)
    if blocks == 1:
        return [np.arange(n)]
    _, of_group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    outside = of_group != sizes.argmax()
    order = np.lexsort((np.random.default_rng(seed).permutation(n), outside, labels))
    dealt = np.empty(n, dtype=np.int64)
    dealt[order] = np.arange(n) % blocks
    everywhere = _rare(labels, FEW * blocks, most // 2) | (outside & (outside.sum() < FEW * blocks))
    return [np.flatnonzero((dealt == block) | everywhere) for block in range(blocks)]


def _rare(labels: NDArray[np.int64], least: int, room: int) -> NDArray[np.bool_]:
    """`(n,)`: pictures of classes that have fewer, the rarest classes first, as far as there is room for them."""
    counts = np.bincount(labels)
    rarest = np.argsort(counts, kind="stable")
    fits = np.zeros(len(counts), dtype=np.bool_)
    fits[rarest[np.cumsum(counts[rarest]) <= room]] = True
    return np.asarray((fits & (counts < least))[labels])


def _views(parts: Parts, row: Row, emit: Emit) -> list[NDArray[np.generic]]:
    """The cached features of one network, `(n, D)` a view."""
    # where mirror images are at hand, the mean over both finds 2 of 100 exchanged labels more (benchmarks)
    augment = MIRRORED if MIRRORED in parts.context.augments else "none"
    return parts.provider(row.recipe).views(POOLED, augment, shown(emit, row.recipe.backbone))


def _answers(
    views: Sequence[Views],
    labels: NDArray[np.int64],
    classes: int,
    groups: NDArray[np.int64],
    rows: Rows,
    fits: list[Fit],
) -> Iterator[Predictions]:
    """What each network's probe says of some rows, not held here while the next one is fitted; its fit goes to a list.

    The labels and groups are those of the rows.
    """

    def answer(one: Views) -> Predictions:
        features = np.asarray(one[0][rows], dtype=np.float32)
        for view in one[1:]:
            features += np.asarray(view[rows], dtype=np.float32)
        probed = probe(features / len(one), labels, classes, groups=groups.tolist())
        fits.append(probed.fit)
        return probed.log_probs

    return map(answer, views)


def _curve(parts: Parts, probes: Sequence[Fit], labels: NDArray[np.int64], groups: NDArray[np.int64]) -> LearningCurve:
    seed = parts.context.seed
    keys = _keys(groups)
    folds = fold_partitions(labels.tolist(), keys, FOLDS, DEALS, seed)
    quarters = fold_partitions(labels.tolist(), keys, QUARTERS, DEALS, seed + 1)
    deals = [Deal(fold=np.array(one), quarter=np.array(other)) for one, other in zip(folds, quarters, strict=True)]
    classes, metric = len(parts.context.classes), parts.context.metric
    return learning_curve(probes, labels, classes, deals, metric=metric, groups=groups.tolist(), seed=seed)


def _keys(groups: NDArray[np.int64]) -> list[str]:
    return [str(group) for group in groups.tolist()]


def _named(suspect: Suspect) -> dict[str, Json]:
    return {
        "image": suspect.picture,
        "label": suspect.label,
        "suggested": suspect.suggested,
        "probability": suspect.probability,
        "sure": suspect.sure,
    }


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
