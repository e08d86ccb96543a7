"""The paired order: which picture, in which view, at which step. The same for all trials, so comparisons are paired."""

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

WARMUP_SHARE = 0.1  # of all steps


def derive(*parts: int | str) -> int:
    """A 63-bit seed from parts, the same on every machine."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def epoch_order(images: NDArray[np.int64], *, seed: int, repeat: int, fold: int, epoch: int) -> NDArray[np.int64]:
    """The images of one epoch in training order: a pure function of its arguments."""
    return np.random.default_rng(derive(seed, "order", repeat, fold, epoch)).permutation(images)


def balanced_order(
    images: NDArray[np.int64], labels: NDArray[np.int64], *, seed: int, repeat: int, fold: int, epoch: int
) -> NDArray[np.int64]:
    """As many images as `epoch_order` has, drawn from all classes alike: a pure function of its arguments.

    A class shows all its images before it shows one again. Where the classes do not divide the epoch evenly, chance
    decides which of them show one more.

    Args:
        images: Those that are trained on.
        labels: `(len(images),)`, theirs.
        seed: The study's.
        repeat: Which partition of the images into folds.
        fold: Which of its folds is left out.
        epoch: Counted over all phases.
    """
    rng = np.random.default_rng(derive(seed, "balanced", repeat, fold, epoch))
    classes = rng.permutation(np.unique(labels))
    drawn = []
    for turn, label in enumerate(classes):
        wanted = (len(images) - turn + len(classes) - 1) // len(classes)  # they sum to len(images)
        own = images[labels == label]
        rounds = [rng.permutation(own) for _ in range(1 + wanted // len(own))]
        drawn.append(np.concatenate(rounds)[:wanted])
    return rng.permutation(np.concatenate(drawn))


def batches(order: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """An epoch's images in batches. One image left over joins the batch before: BatchNorm learns nothing of it."""
    starts = list(range(0, len(order), size))
    if size > 1 and len(starts) > 1 and len(order) - starts[-1] == 1:
        starts.pop()
    return np.split(order, starts[1:])


def view_of(images: int, *, seed: int, views: int, epoch: int) -> NDArray[np.int64]:
    """Which view each image shows in an epoch: `perm_i[epoch mod views]`, `(images,)`.

    Each image goes through all its views in an order of its own before it shows one again.
    """
    if views == 1:
        return np.zeros(images, dtype=np.int64)
    keys = np.random.default_rng(derive(seed, "views", views)).random((images, views))
    permutations = np.argsort(keys, axis=1)
    return np.asarray(permutations[:, epoch % views], dtype=np.int64)


def rate_scale(step: int, steps: int, schedule: str) -> float:
    """What the peak learning rate is multiplied by at a step: a short linear warm-up, then a cosine to zero."""
    if schedule == "constant":
        return 1.0
    warmup = max(1, round(WARMUP_SHARE * steps))
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return 0.5 * (1 + math.cos(math.pi * done))
