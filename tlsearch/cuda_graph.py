"""CUDA graphs: a computation on fixed tensors, recorded once and repeated without the host telling each operation."""

from collections.abc import Callable, Sequence
from functools import cache

import torch

Computation = Callable[[], Sequence[torch.Tensor]]  # on fixed tensors
Capture = Callable[[Computation, torch.device], tuple[Callable[[], None], Sequence[torch.Tensor]]]
WARM_UPS = 3


def cuda_graph(compute: Computation, device: torch.device) -> tuple[Callable[[], None], Sequence[torch.Tensor]]:
    """Capture a computation on fixed tensors as a CUDA graph.

    Args:
        compute: Is run some times before it is recorded: what it changes in place is changed then.
        device: A GPU.

    Returns:
        What computes again, and the tensors that it leaves its answers in.

    Raises:
        RuntimeError: Where it cannot be captured; all that was computed until then is done before anything that the
            caller computes next.
    """
    graph = torch.cuda.CUDAGraph()
    side = _side_stream(device)
    with torch.no_grad(), torch.cuda.device(device):
        side.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(side):
                for _ in range(WARM_UPS):  # libraries choose their kernels here: none may be chosen in a capture
                    compute()
                with torch.cuda.graph(graph, stream=side):
                    outputs = compute()
        finally:
            torch.cuda.current_stream().wait_stream(side)
    return graph.replay, outputs


@cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """The one stream of a device that computations are captured on: libraries keep room for each that they see."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch's own gap
