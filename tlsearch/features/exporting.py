"""A prefix as an ONNX graph of fixed shapes, folded, and kept in a file behind its own sha256."""

import hashlib
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tlsearch.features.files import write_whole
from tlsearch.features.passes import BATCH, ONNX, filled
from tlsearch.model import Prefix

# ONNX Runtime folds these in float32, which costs more accuracy than all the rest of a pass; we fold in float64
_FOLDED_BY_US = ["ConvBNFusion", "ConvMulFusion", "ConvAddFusion"]


def export_prefix(prefix: Prefix, pictures: NDArray[np.uint8]) -> bytes:
    """Export a prefix as ONNX, for batches of `BATCH[ONNX]` pictures.

    By PyTorch's older exporter, which traces: it takes a tenth of the newer one's time. That one is the way out where
    the older one is gone or does not know a layer.

    Args:
        prefix: On the CPU, frozen, in inference mode.
        pictures: One at least, uint8 `(n, S, S, 3)`.

    Raises:
        Exception: Whatever the newer exporter says to a network that cannot be exported.
    """
    import onnx  # 0.2 s, and only where a prefix is exported

    from tlsearch.features.folding import fold_convolutions

    example = torch.from_numpy(filled(pictures[: BATCH[ONNX]], BATCH[ONNX]))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch deprecates the older exporter, and parts of the newer one
        traced, simple = Path(folder, "traced.onnx"), Path(folder, "simple.onnx")
        try:
            torch.onnx.export(
                prefix,
                (example,),
                str(traced),
                dynamo=False,
                input_names=["pixels"],
                training=torch.onnx.TrainingMode.PRESERVE,  # BatchNorm stays: it would be folded in float32
            )
        except Exception:  # whatever it was: what the newer one says of it is raised, with this as its context
            torch.onnx.export(
                prefix,
                (example,),
                str(traced),
                dynamo=True,
                input_names=["pixels"],
                external_data=False,
                optimize=False,
                verbose=False,
            )
        _simplify(traced, simple)
        model = onnx.load(simple)
        fold_convolutions(model)
        exported: bytes = model.SerializeToString()
        return exported


def _simplify(graph: Path, simple: Path) -> None:
    """Let ONNX Runtime fold constants, drop what does nothing and pull transpositions together."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(simple)
    options.log_severity_level = 3
    ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"], disabled_optimizers=_FOLDED_BY_US)


def keep_exported(exported: bytes, file: Path) -> None:
    """Write what `export_prefix` gave, whole or not at all.

    Raises:
        StoreError: Where the disk does not take it.
    """
    write_whole(file, hashlib.sha256(exported).digest() + exported)


def read_exported(file: Path) -> bytes | None:
    """What `keep_exported` wrote, or None where there is nothing sound."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    checksum, exported = content[:32], content[32:]
    return exported if hashlib.sha256(exported).digest() == checksum else None
