"""Which way of running a prefix is the fastest here: measured, and held against PyTorch as it stands."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tlsearch.errors import StoreError
from tlsearch.features.checks import agrees
from tlsearch.features.exporting import export_prefix, keep_exported, read_exported
from tlsearch.features.passes import EAGER, ONNX, Pass, eager_pass, graph_pass, onnx_pass
from tlsearch.model import Prefix

EXPORT_SECONDS = 2.0  # of a MobileNetV2 on two cores, what ONNX Runtime makes of it included
ONNX_GAIN = 2.0  # what ONNX Runtime is taken to be faster by, until it is measured
MEASURED = 16  # pictures that rates are measured on


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A way of running a prefix.

    Args:
        run: The pass.
        note: Why it is not one that should have been faster; "" where there is nothing to say.
    """

    run: Pass
    note: str = ""


def choose_pass(
    prefix: Prefix,
    pictures: NDArray[np.uint8],
    *,
    passes: int,
    onnx_file: Path | None,
    device: torch.device,
    threads: int,
    deterministic: bool,
) -> Chosen:
    """The fastest way for this many passes that agrees with PyTorch as it stands.

    Args:
        prefix: Frozen, in inference mode.
        pictures: To measure on, and to compare answers; some tens, of all kinds.
        passes: Pictures that will go through.
        onnx_file: Where the exported prefix lies, or is to lie; None keeps it nowhere.
        device: Of the pass.
        threads: For passes on a CPU.
        deterministic: Runs eagerly: a stopwatch decides otherwise on another day.

    Raises:
        StoreError: Where the disk does not take the export.
    """
    eager = eager_pass(prefix, device)
    if deterministic or device.type not in ("cpu", "cuda"):
        return Chosen(run=eager)
    if device.type == "cuda":
        return _on_gpu(prefix, eager, pictures, device)
    exported = read_exported(onnx_file) if onnx_file is not None else None
    few = pictures[: len(pictures) // 4 or 1]
    eager_s = _seconds(eager, few) / len(few)  # a picture
    if exported is None and passes * eager_s * (1 - 1 / ONNX_GAIN) < EXPORT_SECONDS:
        return Chosen(run=eager)
    try:
        onnx = onnx_pass(exported or _export(prefix, pictures, onnx_file), threads, pictures.shape[1])
        values = onnx(pictures)
    except StoreError:
        raise
    except Exception as error:  # exporters and runtimes raise what they like; PyTorch itself runs every network
        return Chosen(run=eager, note=f"ONNX Runtime cannot run it: {_first_line(error)}")
    began = time.monotonic()
    reference = eager(pictures)
    eager_s = min(eager_s, (time.monotonic() - began) / len(pictures))
    if not _same(values, reference):
        return Chosen(run=eager, note="ONNX Runtime gave other values than PyTorch")
    return Chosen(run=onnx if _seconds(onnx, pictures) / len(pictures) < eager_s else eager)


def open_pass(
    runtime: str,
    prefix: Prefix,
    pictures: Callable[[], NDArray[np.uint8]],
    *,
    image_px: int,
    onnx_file: Path,
    device: torch.device,
    threads: int,
) -> Pass:
    """The way of running a prefix that was chosen before; the arguments are those of `choose_pass`.

    Args:
        runtime: Its name.
        pictures: Makes some, where the export is not there any more.
        image_px: Their side.

    Raises:
        StoreError: Where the disk does not take an export.
    """
    if runtime == EAGER:
        return eager_pass(prefix, device)
    if runtime != ONNX:
        return graph_pass(prefix, device, image_px)
    return onnx_pass(read_exported(onnx_file) or _export(prefix, pictures(), onnx_file), threads, image_px)


def _export(prefix: Prefix, pictures: NDArray[np.uint8], file: Path | None) -> bytes:
    exported = export_prefix(prefix, pictures)
    if file is not None:
        keep_exported(exported, file)
    return exported


def _on_gpu(prefix: Prefix, eager: Pass, pictures: NDArray[np.uint8], device: torch.device) -> Chosen:
    """The network as a CUDA graph, where it can be one."""
    try:
        graph = graph_pass(prefix, device, pictures.shape[1])
    except RuntimeError as error:
        return Chosen(run=eager, note=f"it cannot be a CUDA graph: {_first_line(error)}")
    if not _same(graph(pictures), eager(pictures)):
        return Chosen(run=eager, note="as a CUDA graph it gave other values")
    return Chosen(run=graph)


def _same(values: list[NDArray[np.float32]], reference: list[NDArray[np.float32]]) -> bool:
    return all(agrees(ours, theirs) for ours, theirs in zip(values, reference, strict=True))


def _first_line(error: BaseException) -> str:
    """What went wrong at first: exporters wrap it in pages of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _seconds(run: Pass, pictures: NDArray[np.uint8]) -> float:
    """The faster of two timed runs; the first one also warms up."""
    times = []
    for _ in range(2):
        began = time.monotonic()
        run(pictures)
        times.append(time.monotonic() - began)
    return min(times)
