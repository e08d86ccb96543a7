"""Bootstrap samples of pictures, within classes, whole groups at a time.

From k groups of a class k - 1 are drawn, each counting k / (k - 1) times: a plain bootstrap of few groups spreads by
a factor (k - 1) / k too little in variance (Rao and Wu 1988, "Resampling inference with complex survey data", doi
10.1080/01621459.1988.10478591). Classes are kept apart only where every group is of one class. Where groups hold
several, all are drawn from one pot: a stratum of a few of them would hardly vary.
"""

from collections.abc import Hashable, Iterator

import numpy as np
from numpy.typing import ArrayLike

from tlsearch.stats.metrics import Groups, Integers, Weights

CHUNK_VALUES = 4_000_000  # 16 MB of float32 weights at a time, however many pictures there are


def units_of(labels: ArrayLike, groups: Groups | None) -> tuple[Integers, Integers]:
    """What is drawn as one: a picture, or a group of pictures that belong together.

    Returns:
        `(n,)` the unit of each picture, and `(units,)` the stratum of each unit: its class, or 0 for all where any unit
        holds several classes.
    """
    truth = np.asarray(labels, dtype=np.int64)
    if groups is None:
        return np.arange(len(truth)), truth
    numbers: dict[Hashable, int] = {}
    unit = np.array([numbers.setdefault(group, len(numbers)) for group in groups], dtype=np.int64)
    _, first = np.unique(unit, return_index=True)
    pure = np.array_equal(truth, truth[first][unit])
    return unit, truth[first] if pure else np.zeros_like(first)


def bootstrap_weights(
    labels: ArrayLike, *, groups: Groups | None, repeats: int, rng: np.random.Generator
) -> Iterator[Weights]:
    """Draw `repeats` stratified samples with replacement.

    Yields:
        `(b, n)`: how much each picture counts in each sample, 0 where it is left out; the b of all chunks sum to
        `repeats`.
    """
    unit, stratum = units_of(labels, groups)
    strata = [np.flatnonzero(stratum == c) for c in np.unique(stratum)]
    chunk = max(1, CHUNK_VALUES // max(1, len(unit)))
    for start in range(0, repeats, chunk):
        b = min(chunk, repeats - start)
        counts = np.zeros((b, len(stratum)), dtype=np.float32)
        for members in strata:
            counts[:, members] = _counts(b, len(members), rng)
        yield counts if groups is None else counts[:, unit]


def leave_out_weights(labels: ArrayLike, *, groups: Groups | None, blocks: int) -> Iterator[Weights]:
    """Jackknife: all pictures but those of one block; a block is one unit where there are few enough.

    Yields:
        `(b, n)` of zeros and ones; one row a block in all.
    """
    unit, stratum = units_of(labels, groups)
    blocks = min(blocks, len(stratum))
    block_of_picture = (np.arange(len(stratum)) % blocks)[unit]
    chunk = max(1, CHUNK_VALUES // max(1, len(unit)))
    for start in range(0, blocks, chunk):
        these = np.arange(start, min(start + chunk, blocks))
        yield (these[:, None] != block_of_picture).astype(np.float32)


def _counts(b: int, members: int, rng: np.random.Generator) -> Weights:
    draws = max(1, members - 1)
    drawn = rng.integers(0, members, size=(b, draws)) + members * np.arange(b)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=b * members).reshape(b, members)
    return counts.astype(np.float32) * np.float32(members / draws)
