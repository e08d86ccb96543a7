"""Features that stay on a GPU while heads learn from them: a step of a small head is done before a copy would be."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from tlsearch.training.loop import Inputs

RESIDENT_AT_MOST = 8 << 30  # bytes: 200 000 pictures with 1 280 features in 8 views


class Values(Protocol):
    """Where a step gets its pictures' values from."""

    def gather(self, rows: NDArray[np.int64], views: NDArray[np.int64] | None, device: torch.device) -> torch.Tensor:
        """The rows' values, `(len(rows), …)`, each in its own view; None is the plain view."""


class Resident:
    """Every picture's values in all views, on a device.

    Args:
        views: One array a view, each `(pictures, …)`.
        device: Where they stay.
    """

    def __init__(self, views: Sequence[NDArray[np.generic]], device: torch.device) -> None:
        # a view at a time: the host holds one of them beside what the cache maps
        self._views = torch.stack([torch.from_numpy(np.array(view)).to(device) for view in views])  # (V, N, …)

    def gather(self, rows: NDArray[np.int64], views: NDArray[np.int64] | None, device: torch.device) -> torch.Tensor:
        """As `Inputs.gather`."""
        places = torch.from_numpy(rows).to(device)
        if views is None or len(self._views) == 1:
            return self._views[0][places]
        return self._views[torch.from_numpy(views).to(device), places]


def values_for(inputs: Inputs, device: torch.device) -> Values:
    """The inputs themselves, or a copy of them on a GPU that has the room."""
    size = sum(view.nbytes for view in inputs.views)
    return inputs if device.type == "cpu" or size > RESIDENT_AT_MOST else Resident(inputs.views, device)
