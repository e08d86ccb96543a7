"""Features that stay on a GPU while a job's heads learn from them: a step of a small head is done before a copy would
be.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from tlsearch.training.fit import Material
from tlsearch.training.loop import Inputs, Values
from tlsearch.training.stacked_batch import on_its_way

RESIDENT_AT_MOST = 8 << 30  # bytes: 200 000 pictures with 1 280 features in 8 views
SHARE = 0.5  # of what a GPU has left; the rest is for heads, their moments and their activations
CHUNK = 8192  # pictures on the way to the device: what the host holds of them beside what the cache maps


class Resident:
    """Every picture's values in all views, on a device.

    Args:
        views: One array a view, each `(pictures, …)`.
        device: Where they stay.
    """

    def __init__(self, views: Sequence[NDArray[np.generic]], device: torch.device) -> None:
        dtype = torch.from_numpy(np.empty(0, views[0].dtype)).dtype
        self.views = torch.empty((len(views), *views[0].shape), dtype=dtype, device=device)  # (V, N, …)
        for place, view in zip(self.views, views, strict=True):
            for start in range(0, len(view), CHUNK):
                place[start : start + CHUNK].copy_(torch.from_numpy(np.array(view[start : start + CHUNK])))

    def gather(self, rows: NDArray[np.int64], views: NDArray[np.int64] | None, device: torch.device) -> torch.Tensor:
        """As `Inputs.gather`."""
        places = on_its_way(rows, device)
        if views is None or len(self.views) == 1:
            return self.views[0][places]
        return self.views[on_its_way(views, device), places]


def on_device(material: Material) -> Material:
    """The material with its values on its device, copied there once: as long as what is returned here lives."""
    if material.device.type == "cpu":
        return material

    @cache
    def values(frozen: int, augment: str) -> Values:
        return values_for(material.inputs(frozen, augment), material.device)

    return replace(material, inputs=values)


def values_for(inputs: Values, device: torch.device) -> Values:
    """The inputs themselves, or a copy of them on a GPU that has the room."""
    if not isinstance(inputs, Inputs) or device.type == "cpu":
        return inputs
    size = sum(view.nbytes for view in inputs.views)
    return inputs if size > _room(device) else Resident(inputs.views, device)


def _room(device: torch.device) -> int:
    """Bytes that may stay on a device."""
    if device.type != "cuda":  # no other one can be asked
        return RESIDENT_AT_MOST
    free, _ = torch.cuda.mem_get_info(device)
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # by torch, and free to us
    return min(RESIDENT_AT_MOST, int(SHARE * (free + kept)))
