"""What a prefix must be for its values to be kept, and when two computations of them agree (contract C2, C4)."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tlsearch.errors import TlsearchError
from tlsearch.model import Prefix

REL_L2 = 1e-5  # elementwise tolerances fail for any runtime: even float32 against float64 breaks rtol 1e-4
REL_MAX = 1e-4


def check_cacheable(prefix: nn.Module) -> None:
    """Refuse a prefix whose answer about a picture can change.

    Raises:
        TlsearchError: Where a layer is in training mode (BatchNorm statistics, dropout) or a weight is trainable.
    """
    training = [name for name, module in prefix.named_modules() if module.training]
    if training:
        raise TlsearchError(
            f"a prefix in training mode cannot be cached: '{training[-1]}' would answer differently each time"
        )
    trainable = [name for name, parameter in prefix.named_parameters() if parameter.requires_grad]
    if trainable:
        raise TlsearchError(f"a prefix with trainable weights cannot be cached: '{trainable[0]}' would change")


def check_independent(
    run: Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]], pictures: NDArray[np.uint8]
) -> None:
    """Refuse a prefix that mixes pictures of a batch: its answers would depend on a picture's neighbours.

    Args:
        run: The pass.
        pictures: At least three different ones, `(n, S, S, 3)`.

    Raises:
        TlsearchError: Where a picture's features change with its neighbour.
    """
    for with_second, with_third in zip(run(pictures[[0, 1]]), run(pictures[[0, 2]]), strict=True):
        if not agrees(with_second[:1], with_third[:1]):
            raise TlsearchError("a prefix that mixes the pictures of a batch cannot be cached")


def check_untouched(prefix: Prefix, pictures: NDArray[np.uint8]) -> None:
    """Refuse a prefix in which a stage overwrites its input: a cut's values would change after they were taken.

    Args:
        prefix: On the CPU or not.
        pictures: At least one, `(n, S, S, 3)`.

    Raises:
        TlsearchError: Where the stage after a cut overwrites what the cut holds.
    """
    with torch.no_grad():
        x = prefix.normalise(torch.from_numpy(pictures).to(prefix.normalise.scale.device))
        for index, stage in enumerate(prefix.stages):
            kept, taken = x.clone(), x
            x = stage(x)
            if index in prefix.cuts and not torch.equal(taken, kept):
                raise TlsearchError(f"stage {index + 1} overwrites its input, so the cut before it cannot be cached")


def agrees(ours: NDArray[np.float32], reference: NDArray[np.float32]) -> bool:
    """Whether two computations of the same features agree: relative L2 and largest difference (contract C2)."""
    difference = ours.astype(np.float64) - reference
    norm, largest = np.linalg.norm(reference), np.abs(reference).max(initial=0.0)
    close = np.linalg.norm(difference) <= REL_L2 * norm and np.abs(difference).max(initial=0.0) <= REL_MAX * largest
    return bool(close)
