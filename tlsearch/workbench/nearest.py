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
ROWS, COLUMNS = 1024, 1 << 14  # of the table of cosines in memory at a time: 67 MB


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

    The time grows with the square of the pictures: 100 000 of 1 280 features take 26 trillion operations.

    Args:
        unit: Features of length 1, `(n, d)`.
        device: What computes.

    Returns:
        `(pairs, 2)`, the smaller index first, ascending.
    """
    all_rows = torch.from_numpy(unit).to(device)
    pairs = [np.zeros((0, 2), np.int64)]
    for start in range(0, len(unit), ROWS):
        cosines, others = _nearest(all_rows, start)
        rows, ranks = torch.nonzero(cosines >= NEAR_COSINE, as_tuple=True)
        pairs.append(torch.stack([rows + start, others[rows, ranks]], dim=1).cpu().numpy())
    return sorted_pairs(np.concatenate(pairs))


def _nearest(unit: torch.Tensor, start: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The cosines and the numbers of the nearest pictures of each in the block that begins at `start`."""
    block = unit[start : start + ROWS]
    places = torch.arange(start, start + len(block), device=unit.device)
    cosines = unit.new_zeros((len(block), 0))
    others = places.new_zeros((len(block), 0))
    for left in range(0, len(unit), COLUMNS):
        table = block @ unit[left : left + COLUMNS].T  # (r, c)
        columns = places - left
        own = (columns >= 0) & (columns < table.shape[1])
        table[own.nonzero()[:, 0], columns[own]] = -1.0  # itself
        found, at = table.topk(min(NEAREST, table.shape[1]), dim=1)
        cosines, others = torch.cat([cosines, found], dim=1), torch.cat([others, at + left], dim=1)
        cosines, best = cosines.topk(min(NEAREST, cosines.shape[1]), dim=1)
        others = others.gather(1, best)
    return cosines, others
