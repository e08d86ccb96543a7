"""What a CUDA graph does, on a CPU: operations are recorded once, and repeated on the tensors that they had."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# the host waits for their answers, or gives them values that a graph would keep for good
REFUSED = ("_local_scalar_dense", "equal", "nonzero", "masked_select", "unique", "repeat_interleave", "lift_fresh")
DRAWS = ("bernoulli", "rand", "normal", "uniform", "dropout")


class Recording(TorchDispatchMode):
    """Runs and keeps each operation; what Python computes between them is not seen, as in a graph."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        name = func.name().removeprefix("aten::").removesuffix("_").partition(".")[0].rstrip("_")
        if name in REFUSED or name.startswith(DRAWS):
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


@contextlib.contextmanager
def nothing_is_read() -> Iterator[None]:
    """On a CPU a tensor's memory is read without an operation; on a GPU the host would have to wait for it."""

    def refused(*_: object) -> None:
        raise RuntimeError("values cannot be read in a capture")

    with pytest.MonkeyPatch.context() as patched:
        for name in ("tolist", "numpy", "item", "__float__", "__int__", "__bool__"):
            patched.setattr(torch.Tensor, name, refused)
        yield


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
            with Recording() as recording, nothing_is_read():
                outputs = compute()
        place = len(self.repeats)
        self.repeats.append(0)

        def replay() -> None:
            self.repeats[place] += 1
            recording.replay()

        return replay, outputs
