"""Bootstrap samples of pictures, within classes, whole groups at a time."""

from collections.abc import Hashable, Iterator

import numpy as np
from numpy.typing import ArrayLike

from tlsearch.stats.metrics import Groups, Integers, Weights

CHUNK_VALUES = 4_000_000  # 16 MB of float32 weights at a time, however many pictures there are


def units_of(labels: ArrayLike, groups: Groups | None) -> tuple[Integers, Integers]:
    """What is drawn as one: a picture, or a group of pictures that belong together.

    Returns:
        `(n,)` the unit of each picture, and `(units,)` the class of each unit (of its first picture).
    """
    truth = np.asarray(labels, dtype=np.int64)
    if groups is None:
        return np.arange(len(truth)), truth
    numbers: dict[Hashable, int] = {}
    unit = np.array([numbers.setdefault(group, len(numbers)) for group in groups], dtype=np.int64)
    _, first = np.unique(unit, return_index=True)
    return unit, truth[first]


def bootstrap_weights(
    labels: ArrayLike, *, groups: Groups | None, repeats: int, rng: np.random.Generator
) -> Iterator[Weights]:
    """Draw `repeats` stratified samples with replacement.

    Yields:
        `(b, n)`: how often each picture is in each sample; the b of all chunks sum to `repeats`.
    """
    unit, unit_class = units_of(labels, groups)
    strata = [np.flatnonzero(unit_class == c) for c in np.unique(unit_class)]
    chunk = max(1, CHUNK_VALUES // max(1, len(unit)))
    for start in range(0, repeats, chunk):
        b = min(chunk, repeats - start)
        counts = np.zeros((b, len(unit_class)), dtype=np.float32)
        for members in strata:
            counts[:, members] = _counts(b, len(members), rng)
        yield counts if groups is None else counts[:, unit]


def leave_out_weights(labels: ArrayLike, *, groups: Groups | None, blocks: int) -> Iterator[Weights]:
    """Jackknife: all pictures but those of one block; a block is one unit where there are few enough.

    Yields:
        `(b, n)` of zeros and ones; one row a block in all.
    """
    unit, unit_class = units_of(labels, groups)
    blocks = min(blocks, len(unit_class))
    block_of_picture = (np.arange(len(unit_class)) % blocks)[unit]
    chunk = max(1, CHUNK_VALUES // max(1, len(unit)))
    for start in range(0, blocks, chunk):
        these = np.arange(start, min(start + chunk, blocks))
        yield (these[:, None] != block_of_picture).astype(np.float32)


def _counts(b: int, members: int, rng: np.random.Generator) -> Integers:
    drawn = rng.integers(0, members, size=(b, members)) + members * np.arange(b)[:, None]
    return np.bincount(drawn.ravel(), minlength=b * members).reshape(b, members)
