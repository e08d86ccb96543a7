"""Stages as slices of a publisher's module tree, so that the publisher's weights files fit them as they are.

A stage keeps the publisher's path inside: its parameters are called `layer1.0.conv1.weight`, not
`conv1.weight`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tlsearch import Backbone, WeightsError

if TYPE_CHECKING:
    from torch import Tensor, nn

SHOWN_NAMES = 3  # of each kind of fault, so that a message stays one line


def slice_at(path: str, module: nn.Module) -> nn.Module:
    """Wrap a module so that it stands at `path`, such as "layer1.0", in a tree of its own."""
    from torch import nn

    for name in reversed(path.split(".")):
        module = nn.Sequential(OrderedDict({name: module}))
    return module


def names_at(path: str, module: nn.Module) -> tuple[str, ...]:
    """The dotted names of all layers below `path` in the publisher's tree, and last the path itself."""
    return (*(f"{path}.{name}" for name, _ in module.named_modules() if name), path)


def load_publisher_file(backbone: Backbone, path: Path, *, classifier: str) -> None:
    """Copy a publisher's state dict (.pth, or .safetensors) into stages made by `slice_at`.

    Args:
        backbone: As built; unchanged where the file does not fit.
        path: The weights file. Nothing in it is executed.
        classifier: Prefix of the publisher's classifier, which is left out.

    Raises:
        WeightsError: Where the file is no state dict, or its names or shapes are not those of the backbone.
    """
    import torch

    found = {k: v for k, v in _read(path).items() if not k.startswith(classifier)}
    wanted = {k: v for stage in backbone.stages for k, v in stage.state_dict().items()}
    # A counter that inference never reads; files older than PyTorch 0.4.1 lack it.
    optional = {k for k in wanted if k.endswith("num_batches_tracked")}
    faults = [
        *_listed("missing", [k for k in wanted if k not in found and k not in optional]),
        *_listed("unknown", [k for k in found if k not in wanted]),
        *_listed(
            "of another shape",
            [
                f"{k} (expected {tuple(wanted[k].shape)}, got {tuple(v.shape)})"
                for k, v in found.items()
                if k in wanted and v.shape != wanted[k].shape
            ],
        ),
    ]
    if faults:
        raise WeightsError(
            f"{path} does not fit this backbone: expected {len(wanted)} tensors, got {len(found)}; "
            + "; ".join(faults),
            hint="use the file that the weights source names, or another backbone",
        )
    with torch.no_grad():
        for key, value in found.items():
            wanted[key].copy_(value)


def _read(path: Path) -> Mapping[str, Tensor]:
    import torch
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            content: object = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers raise whatever damaged bytes lead them to, IndexError included
        reason = str(error).partition("\n")[0]
        raise WeightsError(
            f"{path} cannot be read: expected a state dict of tensors, got {type(error).__name__}: {reason}",
            hint="download the file again, or convert it to safetensors",
        ) from error
    if not isinstance(content, Mapping) or not all(isinstance(v, torch.Tensor) for v in content.values()):
        raise WeightsError(
            f"{path} cannot be used: expected a state dict of tensors, got {type(content).__name__}",
            hint="save the network's `state_dict()`",
        )
    return content


def _listed(kind: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return [f"{kind}: {', '.join(names[:SHOWN_NAMES])}{more}"]
