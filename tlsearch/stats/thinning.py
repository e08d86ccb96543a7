"""Thins out pictures where a fit needs no more of them, and their features would not fit into memory."""

import numpy as np

from tlsearch.stats.metrics import Integers

EACH = 50  # pictures of a class that are kept, as far as there are


def thinned(labels: Integers, most: int) -> Integers:
    """Rows, ascending: all where there are at most so many, else as many of every class as its share, evenly spread.

    Args:
        labels: `(n,)`.
        most: Of rows; rare classes, which keep up to 50 each, come on top.
    """
    if len(labels) <= most:
        return np.arange(len(labels))
    kept = []
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        count = min(len(own), max(EACH, round(most * len(own) / len(labels))))
        kept.append(own[np.arange(count) * len(own) // count])
    return np.sort(np.concatenate(kept))
