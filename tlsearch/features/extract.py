"""Passes through a frozen prefix: eager PyTorch, or ONNX Runtime where measured rates say that its export pays."""

import hashlib
import os
import time
import uuid
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tlsearch.disk import writing
from tlsearch.errors import TlsearchError
from tlsearch.model import Prefix

Pass = Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]  # pictures (n, S, S, 3) to one array an output

BATCH = 32  # 8 to 32 is best for ONNX Runtime on a CPU; 128 loses a tenth and more
EXPORT_SECONDS = 10.0  # of a MobileNetV2 or ResNet-50 on two cores, the import of torch.onnx included
ONNX_GAIN = 2.0  # what ONNX Runtime is taken to be faster by, until it is measured
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


def check_independent(run: Pass, pictures: NDArray[np.uint8]) -> None:
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


def agrees(ours: NDArray[np.float32], reference: NDArray[np.float32]) -> bool:
    """Whether two computations of the same features agree: relative L2 and largest difference (contract C2)."""
    difference = ours.astype(np.float64) - reference
    norm, largest = np.linalg.norm(reference), np.abs(reference).max(initial=0.0)
    close = np.linalg.norm(difference) <= REL_L2 * norm and np.abs(difference).max(initial=0.0) <= REL_MAX * largest
    return bool(close)


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


def eager_pass(prefix: Prefix, device: torch.device) -> Pass:
    """Run the prefix as it stands."""
    prefix.to(device)

    @torch.no_grad()
    def run(pictures: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        outputs = prefix(torch.from_numpy(pictures).to(device))
        return [output.float().cpu().numpy() for output in outputs]

    return run


def onnx_pass(exported: bytes, threads: int) -> Pass:
    """Run an exported prefix in ONNX Runtime, on the CPU.

    Args:
        exported: What `export_prefix` gave.
        threads: Physical cores; more are slower.
    """
    import onnxruntime as ort  # 0.2 s, and only where a prefix was exported

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = ort.InferenceSession(exported, options, providers=["CPUExecutionProvider"])

    def run(pictures: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        return list(session.run(None, {"pixels": pictures}))

    return run


def export_prefix(prefix: Prefix, example: NDArray[np.uint8], file: Path) -> bytes:
    """Export a prefix as ONNX, with a batch of any size, and keep it in a file behind its own sha256.

    Raises:
        StoreError: Where the disk does not take it.
    """
    temporary = file.with_suffix(f".{uuid.uuid4().hex}.tmp")
    batch = torch.export.Dim("batch", min=1, max=4096)
    try:
        with writing(file), warnings.catch_warnings():
            file.parent.mkdir(parents=True, exist_ok=True)
            warnings.simplefilter("ignore")  # PyTorch's exporter deprecates parts of itself
            torch.onnx.export(
                prefix,
                (torch.from_numpy(example[:2]),),
                str(temporary),
                dynamo=True,
                input_names=["pixels"],
                dynamic_shapes={"pixels": {0: batch}},
                external_data=False,
                verbose=False,
            )
            exported = temporary.read_bytes()
            temporary.write_bytes(hashlib.sha256(exported).digest() + exported)
            os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)
    return exported


def read_exported(file: Path) -> bytes | None:
    """What `export_prefix` kept, or None where there is nothing sound."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    checksum, exported = content[:32], content[32:]
    return exported if hashlib.sha256(exported).digest() == checksum else None


def choose_pass(
    prefix: Prefix,
    pictures: NDArray[np.uint8],
    *,
    passes: int,
    onnx_file: Path,
    device: torch.device,
    threads: int,
    deterministic: bool,
) -> tuple[str, Pass]:
    """The faster way for this many passes, by measured rates.

    Args:
        prefix: Frozen, in inference mode.
        pictures: A batch to measure on.
        passes: Pictures that will go through.
        onnx_file: Where the exported prefix lies, or is to lie.
        device: Anything but a CPU runs eagerly.
        threads: For ONNX Runtime.
        deterministic: Runs eagerly: a stopwatch decides otherwise on another day.

    Returns:
        "eager" or "onnxruntime", and the pass.
    """
    eager = eager_pass(prefix, device)
    if device.type != "cpu" or deterministic:
        return "eager", eager
    eager_s = _seconds_a_picture(eager, pictures)
    exported = read_exported(onnx_file)
    if exported is None:
        saved_s = passes * eager_s * (1 - 1 / ONNX_GAIN)
        if saved_s < EXPORT_SECONDS:
            return "eager", eager
        exported = export_prefix(prefix, pictures, onnx_file)
    onnx = onnx_pass(exported, threads)
    same = all(agrees(a, b) for a, b in zip(onnx(pictures), eager(pictures), strict=True))
    if same and _seconds_a_picture(onnx, pictures) < eager_s:
        return "onnxruntime", onnx
    return "eager", eager


def _seconds_a_picture(run: Pass, pictures: NDArray[np.uint8]) -> float:
    """The faster of two timed batches, after one to warm up."""
    run(pictures)
    times = []
    for _ in range(2):
        began = time.monotonic()
        run(pictures)
        times.append(time.monotonic() - began)
    return min(times) / len(pictures)
