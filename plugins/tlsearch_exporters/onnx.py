"""The ONNX format: uint8 pictures to probabilities in one file, for any runtime.

Format: https://onnx.ai; written by `torch.onnx.export`, read by ONNX Runtime alone.
"""

from __future__ import annotations  # torch and numpy are named in types only

import contextlib
import io
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlsearch import ExportableModel, ExporterSpec, hookimpl

if TYPE_CHECKING:
    import numpy as np

LARGEST_BATCH = 4096  # an upper end keeps the exporter from specialising on the example's batch size


def refuses(model: ExportableModel) -> str | None:
    """Return None: what torch cannot trace fails in `export`, with torch's own words."""
    del model
    return None


def export(model: ExportableModel, path: Path) -> None:
    """Write the network with the class names in its metadata."""
    import torch

    example = torch.zeros(2, model.image_px, model.image_px, 3, dtype=torch.uint8)
    batch = torch.export.Dim("pictures", min=1, max=LARGEST_BATCH)
    with _quiet():
        program = torch.onnx.export(
            model.network,
            (example,),
            dynamo=True,
            input_names=["pixels"],
            output_names=["probabilities"],
            dynamic_shapes=({0: batch},),  # by position: the plugin's network names its argument as it likes
            external_data=False,
            verbose=False,
        )
        if program is None:
            raise RuntimeError("torch.onnx.export returned no program")
        program.model.metadata_props["classes"] = json.dumps(model.classes)
        program.model.metadata_props["image_px"] = str(model.image_px)
        program.save(str(path), external_data=False)


def load(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Open the file with ONNX Runtime, on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def predict(pixels: np.ndarray) -> np.ndarray:
        probabilities: np.ndarray = session.run(["probabilities"], {"pixels": pixels})[0]
        return probabilities

    return predict


@contextlib.contextmanager
def _quiet() -> Any:
    # torch's exporter speaks to both streams and warns about its own internals: none of it is for the user
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@hookimpl
def tlsearch_exporters() -> Sequence[ExporterSpec]:
    """Provide `onnx`."""
    return [ExporterSpec(name="onnx", filename="model.onnx", refuses=refuses, export=export, load=load)]
