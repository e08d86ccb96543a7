"""Ways of running a frozen prefix over pictures: PyTorch as it stands, a CUDA graph, an exported graph."""

import functools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tlsearch.ahead import in_order
from tlsearch.cuda_graph import Capture, cuda_graph
from tlsearch.model import Prefix

Values = list[NDArray[np.float32]]  # one array `(n, …)` a cut, the pooled features last

EAGER, GRAPH, ONNX = "eager", "cuda graph", "onnxruntime"
BATCH = {EAGER: 32, GRAPH: 256, ONNX: 8}  # pictures that are computed at once: it decides the last bits of a value
MOST_LANES = 16  # of ONNX Runtime
LANE_BYTES = 300  # that a lane holds for each pixel of a batch: activations, 200 for MobileNetV2
LANES_BYTES = 1 << 30  # of all lanes together, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One way of running a prefix.

    Args:
        runtime: Its name, a key of BATCH.
        lanes: Batches computed side by side, each by a thread of its own.
        compute: At most `batch` pictures uint8 `(n, S, S, 3)` to their values; safe to call from `lanes` threads.
    """

    runtime: str
    lanes: int
    compute: Callable[[NDArray[np.uint8]], Values]

    @property
    def batch(self) -> int:
        """Pictures computed at once."""
        return BATCH[self.runtime]

    def over(self, batches: Iterable[NDArray[np.uint8]]) -> Iterator[Values]:
        """The values of batches of at most `batch` pictures, in order; the next ones are computed meanwhile."""
        with ThreadPoolExecutor(self.lanes, "pass") as pool:
            yield from in_order(pool, self.compute, batches, ahead=self.lanes + 1)

    def __call__(self, pictures: NDArray[np.uint8]) -> Values:
        """The values of any number of pictures, at least one."""
        pieces = [pictures[start : start + self.batch] for start in range(0, len(pictures), self.batch)]
        return [np.concatenate(parts) for parts in zip(*self.over(pieces), strict=True)]


def eager_pass(prefix: Prefix, device: torch.device) -> Pass:
    """Run the prefix as it stands."""
    prefix.to(device)

    @torch.no_grad()
    def compute(pictures: NDArray[np.uint8]) -> Values:
        outputs = prefix(torch.from_numpy(pictures).to(device))
        return [output.float().cpu().numpy() for output in outputs]

    return Pass(runtime=EAGER, lanes=1, compute=compute)


def onnx_pass(exported: bytes, threads: int, image_px: int) -> Pass:
    """Run an exported prefix in ONNX Runtime, on the CPU.

    Batches side by side, each on one thread, are faster than one batch on all: nothing waits for anything. Where so
    many batches would hold too much, some threads work on each.

    Args:
        exported: What `export_prefix` gave; its batch is `BATCH[ONNX]`.
        threads: Physical cores; more are slower.
        image_px: Side of the pictures.
    """
    import onnxruntime as ort  # 0.2 s, and only where a prefix was exported

    most = min(MOST_LANES, max(1, LANES_BYTES // (LANE_BYTES * BATCH[ONNX] * image_px**2)))
    of_each = -(-threads // most)
    lanes = max(1, threads // of_each)
    options = ort.SessionOptions()
    options.intra_op_num_threads = of_each
    options.log_severity_level = 3
    session = ort.InferenceSession(exported, options, providers=["CPUExecutionProvider"])

    def compute(pictures: NDArray[np.uint8]) -> Values:
        values = session.run(None, {"pixels": filled(pictures, BATCH[ONNX])})
        return [value[: len(pictures)] for value in values]

    return Pass(runtime=ONNX, lanes=lanes, compute=compute)


def graph_pass(
    prefix: Prefix,
    device: torch.device,
    image_px: int,
    capture: Capture | None = None,
) -> Pass:
    """Run the prefix as one CUDA graph over batches of one size, between pinned buffers.

    Args:
        prefix: On a GPU its kernels are in channels_last, as the pictures come.
        device: A GPU.
        image_px: Side of the pictures.
        capture: Makes of a computation what repeats it, and where that leaves its answers; None is `cuda_graph`.

    Raises:
        RuntimeError: Where the network does what no graph can hold, such as asking for a value.
    """
    prefix.to(device)
    pinned = device.type == "cuda"
    shape = (BATCH[GRAPH], image_px, image_px, 3)
    host = torch.zeros(shape, dtype=torch.uint8, pin_memory=pinned)
    pixels = torch.zeros(shape, dtype=torch.uint8, device=device)
    replay, outputs = (capture or cuda_graph)(functools.partial(prefix, pixels), device)
    answers = [torch.empty(output.shape, dtype=torch.float32, pin_memory=pinned) for output in outputs]

    def compute(pictures: NDArray[np.uint8]) -> Values:
        host.numpy()[:] = filled(pictures, BATCH[GRAPH])
        pixels.copy_(host, non_blocking=True)
        replay()
        for answer, output in zip(answers, outputs, strict=True):
            answer.copy_(output, non_blocking=True)
        if pinned:
            torch.cuda.current_stream(device).synchronize()
        return [answer.numpy()[: len(pictures)].copy() for answer in answers]

    return Pass(runtime=GRAPH, lanes=1, compute=compute)


def filled(pictures: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Pictures with black ones after them, up to a batch of that size: a graph of fixed shapes takes no other."""
    if len(pictures) == size:
        return pictures
    full = np.zeros((size, *pictures.shape[1:]), np.uint8)
    full[: len(pictures)] = pictures
    return full
