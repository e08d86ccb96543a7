"""What a CUDA graph does, on a CPU: operations are recorded once, and repeated on the tensors that they had."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ASKING = {"aten._local_scalar_dense.default", "aten.equal.default", "aten.nonzero.default"}  # a host waits for them


class Recording(TorchDispatchMode):
    """Runs and keeps each operation; what Python computes between them is not seen, as in a graph."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if str(func) in ASKING:
            raise RuntimeError(f"{func} cannot be captured")
        found = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, found))
        return found

    @torch.no_grad()
    def replay(self) -> None:
        """Run them again, each into what it gave at first."""
        for func, args, kwargs, found in self.operations:
            for kept, new in zip(tree_leaves(found), tree_leaves(func(*args, **kwargs)), strict=True):
                if isinstance(kept, torch.Tensor) and kept.data_ptr() != new.data_ptr():
                    kept.copy_(new)


class Recorder:
    """Captures computations, and counts how often each was repeated."""

    def __init__(self) -> None:
        self.repeats: list[int] = []

    def __call__(
        self, compute: Callable[[], Sequence[torch.Tensor]], device: torch.device
    ) -> tuple[Callable[[], None], Sequence[torch.Tensor]]:
        """As `cuda_graph`."""
        with torch.no_grad():
            compute()
            with Recording() as recording:
                outputs = compute()
        place = len(self.repeats)
        self.repeats.append(0)

        def replay() -> None:
            self.repeats[place] += 1
            recording.replay()

        return replay, outputs
