"""Keras h5 weights files as arrays by layer and variable name; no model loader is ever involved.

The layout is that of `keras.src.legacy.saving.legacy_h5_format`: a group for each layer of the model, whose
attribute `weight_names` lists its arrays; a model inside a model is one group with all of its layers' arrays.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from tlsearch import WeightsError

Slots = Mapping[str, Mapping[str, torch.Tensor]]  # layer -> variable -> tensor in Keras's layout

_VARIABLES = {"depthwise_kernel": "kernel"}  # Keras 2's name -> Keras 3's


@dataclass(frozen=True, slots=True, kw_only=True)
class KerasWeights:
    """What a file holds.

    Args:
        layers: Arrays by layer and variable name, for layers that have any.
        ordered: Whether the layers stand in the network's order; those of a model inside a model need not.
    """

    layers: Mapping[str, Mapping[str, NDArray[np.float32]]]
    ordered: bool


def load_into(slots: Slots, path: Path) -> None:
    """Copy a file's arrays into a network.

    Layers are matched by name, and those that the network lacks, such as a classifier, are left out. A file
    with other names, as Keras published them over the years, is matched in the network's order, which is Keras's
    own rule for such files. Every shape must fit.

    Args:
        slots: The network's layers in order, each with its tensors by Keras's variable names and in Keras's
            layout (views will do); written only when everything fits.
        path: The file.

    Raises:
        WeightsError: Where the file is damaged, of another kind, or does not fit.
    """
    arrays = _matched(slots, read_layers(path), path.name)
    for layer, tensors in slots.items():
        for variable, tensor in tensors.items():
            _check_shape(f"{path.name}: layer '{layer}'", variable, tensor, arrays[layer])
    with torch.no_grad():
        for layer, tensors in slots.items():
            for variable, tensor in tensors.items():
                tensor.copy_(torch.from_numpy(arrays[layer][variable]))


def read_layers(path: Path) -> KerasWeights:
    """Read every layer's arrays from a weights file, or from a saved model's weights.

    Raises:
        WeightsError: Where it is no Keras h5 file.
    """
    layers: dict[str, dict[str, NDArray[np.float32]]] = {}
    ordered = True
    try:
        with h5py.File(path, "r") as file:
            for group in _layer_groups(file):
                names = [_text(name) for name in group.attrs["weight_names"]]
                owners = [name.split("/")[-2] if "/" in name else group.name.split("/")[-1] for name in names]
                ordered = ordered and len(set(owners)) <= 1
                for owner, name in zip(owners, names, strict=True):
                    variable = name.split("/")[-1].removesuffix(":0")
                    array = np.asarray(group[name], dtype=np.float32)
                    layers.setdefault(owner, {})[_VARIABLES.get(variable, variable)] = array
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{path.name} is no Keras weights file that can be read: {error}",
            hint="weights saved by Keras as .h5 are wanted, whole and undamaged",
        ) from error
    return KerasWeights(layers=layers, ordered=ordered)


def _layer_groups(file: h5py.File) -> Iterator[h5py.Group]:
    root = file.get("model_weights", file)
    for name in root.attrs["layer_names"]:
        yield root[_text(name)]


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _matched(slots: Slots, weights: KerasWeights, file: str) -> Mapping[str, Mapping[str, NDArray[np.float32]]]:
    missing = [layer for layer in slots if layer not in weights.layers]
    if not missing:
        return weights.layers
    if weights.ordered and len(weights.layers) == len(slots):
        return dict(zip(slots, weights.layers.values(), strict=True))
    raise WeightsError(
        f"{file}: expected {len(slots)} layers with weights, got {len(weights.layers)}, and {len(missing)} of the"
        f" expected ones are missing, such as '{missing[0]}'",
        hint="weights of this very architecture are wanted",
    )


def _check_shape(where: str, variable: str, tensor: torch.Tensor, arrays: Mapping[str, NDArray[np.float32]]) -> None:
    expected = tuple(tensor.shape)
    if variable not in arrays:
        raise WeightsError(f"{where}: expected '{variable}' of shape {expected}, got only {', '.join(arrays)}")
    if arrays[variable].shape != expected:
        got = arrays[variable].shape
        raise WeightsError(
            f"{where}: expected '{variable}' of shape {expected}, got {got}",
            hint="weights of this very architecture and width are wanted",
        )
