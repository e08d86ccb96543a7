"""Dropout for heads that are trained side by side: each drops, on each fold, what it would drop alone."""

from collections.abc import Sequence

import torch
from torch.nn import functional

from tlsearch.training.chance import stream
from tlsearch.training.stacked_batch import Present


class StackedDropout:
    """F streams of chance from one seed, one a fold, shared by rows that drop alike and by all their dropout layers.

    Streams that stand at the same place draw the same, so one draw serves all of them, until a fold has a shorter
    batch than the others. Rows that are equal in structure, chances and seed drop alike: each draw is that of every
    row.

    Args:
        seed: Every stream drops what a head alone would drop after `torch.manual_seed` with it, on a CPU to the bit. A
            GPU's own dropout draws in another way.
        folds: F.
        device: Of what is dropped.
    """

    def __init__(self, seed: int, folds: int, device: torch.device) -> None:
        self._streams = [stream(seed, device) for _ in range(folds)]
        self._together = True  # else each stream is where its own draws have brought it

    def factors(self, p: float, x: torch.Tensor, present: Present | None) -> torch.Tensor:
        """What values are multiplied by, so that a share `p` becomes 0 and the rest is scaled up.

        Args:
            p: 0 to below 1.
            x: `(F, R, n, D)`, or `(F, 1, n, D)` where the rows share it.
            present: Which of the n are pictures; None where all are.

        Returns:
            `(n, D)`, or `(F, 1, n, D)` where folds draw apart.
        """
        pictures = x.shape[2]
        lengths = [pictures] * len(x) if present is None else present.lengths
        if self._together and len(set(lengths)) == 1:
            keep = self._streams[0].keep(1 - p, (lengths[0], *x.shape[3:]), x.dtype)  # of every fold
            if lengths[0] < pictures:
                keep = functional.pad(keep, (0, 0, 0, pictures - lengths[0]))
        else:
            keep = self._each(p, x, lengths)
        return keep.div_(1 - p)

    def _each(self, p: float, x: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        first, *others = self._streams
        if self._together:
            for one in others:
                one.state = first.state
        keep = torch.zeros(x[:, :1].shape, device=x.device, dtype=x.dtype)  # in order, as a fold alone would draw
        for fold, (one, length) in enumerate(zip(self._streams, lengths, strict=True)):
            keep[fold, 0, :length] = one.keep(1 - p, (length, *x.shape[3:]), x.dtype)
        # how far a draw moves a stream, and whether its size matters, is the library's affair
        self._together = all(one.state == first.state for one in others)
        return keep
