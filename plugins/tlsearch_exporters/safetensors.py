"""The safetensors format: the weights alone, for who builds the network elsewhere.

Format: https://github.com/huggingface/safetensors; no code, no pickle.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tlsearch import ExportableModel, ExporterSpec, hookimpl


def refuses(model: ExportableModel) -> str | None:
    """Return None: every model has weights."""
    del model
    return None


def export(model: ExportableModel, path: Path) -> None:
    """Write `stages.<i>.…` and `head.…`, with classes and preprocessing in the metadata."""
    from safetensors.torch import save

    parts = {f"stages.{index}": stage for index, stage in enumerate(model.backbone.stages)}
    # a copy of each: safetensors refuses tensors that share memory
    tensors = {
        f"{prefix}.{name}": tensor.detach().cpu().clone().contiguous()
        for prefix, module in {**parts, "head": model.head}.items()
        for name, tensor in module.state_dict().items()
    }
    metadata = {
        "classes": json.dumps(model.classes),
        "image_px": str(model.image_px),
        "preprocessing": json.dumps(asdict(model.preprocessing)),
        "temperature": str(model.temperature),
    }
    path.write_bytes(save(tensors, metadata=metadata))  # save_file makes a file that only its owner may read


@hookimpl
def tlsearch_exporters() -> Sequence[ExporterSpec]:
    """Provide `safetensors`."""
    return [ExporterSpec(name="safetensors", filename="model.safetensors", refuses=refuses, export=export)]
