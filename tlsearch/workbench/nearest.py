"""Nearest by angle: which pictures look alike to a network, compared block by block, so that memory stays small."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from tlsearch.data.mapped import mapped_rows
from tlsearch.data.perceptual import sorted_pairs

NEAR_COSINE = 0.9  # of 24 753 pairs of unrelated photographs the nearest is at 0.82
NEAREST = 5  # pairs a picture
BLOCK = 4096  # rows and columns of the table of cosines that are in memory at a time: 67 MB


def kept_units(batches: Iterable[NDArray[np.float32]], folder: Path) -> NDArray[np.float32]:
    """Features scaled to length 1, in a mapped file that goes with the array: of 100 000 pictures they take 512 MB.

    Args:
        batches: Pooled features, `(any, d)` each; at least one.
        folder: Where there is room for the file; it is made.

    Returns:
        `(n, d)`.

    Raises:
        StoreError: Where the disk does not take it.
    """
    return mapped_rows((F.normalize(torch.from_numpy(batch), dim=1).numpy() for batch in batches), folder)


def pairs_by_cosine(unit: NDArray[np.float32], device: torch.device) -> NDArray[np.int64]:
    """Each picture with its nearest five in the angle of their features, where the cosine is at least 0.9.

    The time grows with the square of the pictures: 100 000 of 1 280 features take 13 trillion operations.

    Args:
        unit: Features of length 1, `(n, d)`.
        device: What computes.

    Returns:
        `(pairs, 2)`, the smaller index first, ascending.
    """
    vectors = torch.from_numpy(unit).to(device)
    nearest = _Nearest(len(vectors), device)
    for top in range(0, len(vectors), BLOCK):
        for left in range(top, len(vectors), BLOCK):
            cosines = vectors[top : top + BLOCK] @ vectors[left : left + BLOCK].T
            if left == top:
                cosines.fill_diagonal_(-1.0)  # itself
            else:
                nearest.take(cosines.T, left, top)
            nearest.take(cosines, top, left)
    rows, ranks = torch.nonzero(nearest.cosines >= NEAR_COSINE, as_tuple=True)
    return sorted_pairs(torch.stack([rows, nearest.others[rows, ranks]], dim=1).cpu().numpy())


class _Nearest:
    """The nearest pictures of each among those that were seen.

    Args:
        pictures: How many.
        device: What computes.
    """

    def __init__(self, pictures: int, device: torch.device) -> None:
        self.cosines = torch.full((pictures, NEAREST), -1.0, device=device)
        self.others = torch.zeros((pictures, NEAREST), dtype=torch.int64, device=device)

    def take(self, cosines: torch.Tensor, top: int, left: int) -> None:
        """See a block of the table of cosines, which begins at that row and column."""
        rows = slice(top, top + len(cosines))
        found, at = cosines.topk(min(NEAREST, cosines.shape[1]), dim=1)
        known = torch.cat([self.cosines[rows], found], dim=1)
        others = torch.cat([self.others[rows], at + left], dim=1)
        self.cosines[rows], best = known.topk(NEAREST, dim=1)
        self.others[rows] = others.gather(1, best)
