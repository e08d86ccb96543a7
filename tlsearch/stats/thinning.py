"""Thins out pictures where a fit needs no more of them, and their features would not fit into memory."""

import numpy as np

from tlsearch.stats.metrics import Integers

EACH = 50  # pictures of a class that are kept, as far as there are and there is room for so many of each


def thinned(labels: Integers, most: int) -> Integers:
    """Rows, ascending: all where there are at most so many, else of every class its share, evenly spread.

    Rare classes keep more than their share: up to 50 pictures each, or as many as all classes can have alike.

    Args:
        labels: `(n,)`.
        most: Of rows; where there are more classes than that, one of each.
    """
    if len(labels) <= most:
        return np.arange(len(labels))
    classes, own = np.unique(labels, return_counts=True)
    kept = []
    for label, count in zip(classes.tolist(), _kept(own, most).tolist(), strict=True):
        places = np.flatnonzero(labels == label)
        kept.append(places[np.arange(count) * len(places) // count])
    return np.sort(np.concatenate(kept))


def _kept(own: Integers, most: int) -> Integers:
    """How many of each class; what rare classes have over their share is taken from the others alike."""
    least = np.minimum(own, max(1, min(EACH, most // len(own))))
    rare = np.zeros(len(own), dtype=np.bool_)
    while True:
        kept = np.where(rare, least, own * (most - least[rare].sum()) // max(1, own[~rare].sum()))
        if (kept >= least).all():
            return np.asarray(kept)
        rare |= kept < least
