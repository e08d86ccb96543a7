"""What heads that are trained side by side see in one step: each fold's own pictures, as one tensor."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def on_its_way(values: NDArray[np.generic], device: torch.device) -> torch.Tensor:
    """Values on a device, a GPU of which the host does not wait for: its queue of steps would run empty."""
    tensor = torch.from_numpy(values)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """Which places of a step hold pictures, where some only fill up.

    Args:
        lengths: How many pictures each of F folds has: the first ones are pictures.
        mask: `(F, n)`, 1 for a picture and 0 for what only fills up.
    """

    lengths: Sequence[int]
    mask: torch.Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One step's pictures of every fold, the shorter ones filled up with their own first picture.

    Args:
        rows: `(F, n)`.
        counts: `(F, 1, 1, 1)` pictures of each fold, or the one number of all.
        present: None where all are pictures.
    """

    rows: Indices
    counts: torch.Tensor | int
    present: Present | None

    @classmethod
    def of(cls, rows: Sequence[Indices], device: torch.device, *, size: int | None = None) -> "Batch":
        """Fill up to a size; what fills up counts for nothing, and only has to be a picture.

        Args:
            rows: Of each fold.
            device: Of what is computed with them.
            size: That of every batch, for a program of fixed shapes; None is the longest fold's.
        """
        lengths = [len(one) for one in rows]
        longest = max(lengths) if size is None else size
        if size is None and set(lengths) == {longest}:
            return cls(rows=np.stack(rows), counts=longest, present=None)
        filled = [np.pad(one, (0, longest - len(one)), constant_values=one[0]) for one in rows]
        counts = on_its_way(np.array(lengths), device)[:, None]
        mask = (torch.arange(longest, device=device) < counts).float()
        return cls(rows=np.stack(filled), counts=counts[:, :, None, None], present=Present(lengths=lengths, mask=mask))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A batch on its device.

    Args:
        x: Its pictures' features, `(F, n, D)`.
        labels: `(F, n)`.
        counts: As of `Batch`.
        present: As of `Batch`.
    """

    x: torch.Tensor
    labels: torch.Tensor
    counts: torch.Tensor | int
    present: Present | None
