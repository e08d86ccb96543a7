"""The safetensors format: the weights alone, for who builds the network elsewhere.

Format: https://github.com/huggingface/safetensors; no code, no pickle.
"""

from __future__ import annotations  # torch is imported where it is used

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tlsearch import ExportableModel, ExporterSpec, hookimpl

if TYPE_CHECKING:
    from torch import nn


def refuses(model: ExportableModel) -> str | None:
    """Return None: every model has weights."""
    del model
    return None


def export(model: ExportableModel, path: Path) -> None:
    """Write `stages.<i>.…` and `head.…`, with classes and preprocessing in the metadata."""
    from safetensors.torch import save

    # a copy of each: safetensors refuses tensors that share memory
    tensors = {
        f"{prefix}.{name}": tensor.detach().cpu().clone().contiguous()
        for prefix, module in _parts(model).items()
        for name, tensor in module.state_dict().items()
    }
    metadata = {
        "classes": json.dumps(model.classes),
        "image_px": str(model.image_px),
        "preprocessing": json.dumps(asdict(model.preprocessing)),
        "temperature": str(model.temperature),
    }
    path.write_bytes(save(tensors, metadata=metadata))  # save_file makes a file that only its owner may read


def restore(path: Path, model: ExportableModel) -> None:
    """Read a file that `export` wrote; raises RuntimeError where a weight is missing, left over or of another shape."""
    from safetensors.torch import load_file

    tensors = load_file(path)
    for prefix, module in _parts(model).items():
        names = [name for name in tensors if name.startswith(f"{prefix}.")]
        module.load_state_dict({name.removeprefix(f"{prefix}."): tensors.pop(name) for name in names})
    if tensors:
        raise RuntimeError(f"{path.name} has weights that the model has not: {', '.join(sorted(tensors)[:3])}")


def _parts(model: ExportableModel) -> dict[str, nn.Module]:
    return {**{f"stages.{index}": stage for index, stage in enumerate(model.backbone.stages)}, "head": model.head}


@hookimpl
def tlsearch_exporters() -> Sequence[ExporterSpec]:
    """Provide `safetensors`."""
    return [
        ExporterSpec(name="safetensors", filename="model.safetensors", refuses=refuses, export=export, restore=restore)
    ]
