"""CUDA graphs: a computation on fixed tensors, recorded once and repeated without the host telling each operation."""

from collections.abc import Callable, Sequence

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
        RuntimeError: Where it cannot be captured.
    """
    with torch.no_grad(), torch.cuda.device(device):
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch's own gap
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # libraries choose their kernels here: none may be chosen in a capture
            for _ in range(WARM_UPS):
                compute()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = compute()
    return graph.replay, outputs
