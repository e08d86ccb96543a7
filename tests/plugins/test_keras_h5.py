"""Keras h5 files read as arrays: every layout that Keras has published, on small networks."""

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tlsearch import WeightsError
from tlsearch_backbones.keras_h5 import load_into, read_layers

Layers = Mapping[str, Mapping[str, NDArray[np.float32]]]


def arrays(seed: int = 0) -> dict[str, dict[str, NDArray[np.float32]]]:
    draw = np.random.default_rng(seed)
    return {
        "conv_b": {"kernel": draw.random((3, 3, 2, 4), dtype=np.float32)},
        "conv_a": {"kernel": draw.random((3, 3, 2, 4), dtype=np.float32), "bias": draw.random(4, dtype=np.float32)},
    }


def slots() -> dict[str, dict[str, torch.Tensor]]:
    return {layer: {name: torch.zeros(a.shape) for name, a in found.items()} for layer, found in arrays().items()}


def write_flat(path: Path, layers: Layers, suffix: str = "") -> Path:
    """As Keras writes a network's own weights: a group a layer, `layer/layer/kernel`."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = ["input", *layers]
        file.create_group("input").attrs["weight_names"] = []
        for layer, found in layers.items():
            group = file.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{name}{suffix}" for name in found]
            for name, array in found.items():
                group[f"{layer}/{name}{suffix}"] = array
    return path


def write_nested(path: Path, layers: Layers) -> Path:
    """As Keras writes a saved model that holds the network as one layer, beside a classifier."""
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = ["network", "dense"]
        group = root.create_group("network")
        group.attrs["weight_names"] = [f"{layer}/{name}" for layer, found in layers.items() for name in found]
        for layer, found in layers.items():
            for name, array in found.items():
                group[f"{layer}/{name}"] = array
        dense = root.create_group("dense")
        dense.attrs["weight_names"] = ["dense/kernel"]
        dense["dense/kernel"] = np.zeros((4, 2), np.float32)
    return path


def holds(found: Mapping[str, Mapping[str, torch.Tensor]], expected: Layers) -> bool:
    pairs = zip(found.values(), expected.values(), strict=True)
    return all(np.array_equal(tensors[name].numpy(), layer[name]) for tensors, layer in pairs for name in layer)


def test_a_network_inside_a_saved_model_is_found_by_layer_names(tmp_path: Path) -> None:
    target = slots()
    backwards = dict(reversed(arrays().items()))
    load_into(target, write_nested(tmp_path / "model.h5", backwards))
    assert holds(target, arrays())


def test_names_of_older_keras_versions_are_understood(tmp_path: Path) -> None:
    layers = {"depthwise": {"depthwise_kernel": np.ones((3, 3, 4, 1), np.float32)}}
    read = read_layers(write_flat(tmp_path / "old.h5", layers, suffix=":0"))
    assert read.layers["depthwise"]["kernel"].shape == (3, 3, 4, 1)


def test_a_published_file_with_other_layer_names_is_matched_in_order(tmp_path: Path) -> None:
    target = slots()
    renamed = dict(zip(("mobl0_conv", "mobl1_conv"), arrays().values(), strict=True))
    load_into(target, write_flat(tmp_path / "renamed.h5", renamed))
    assert holds(target, arrays())


def test_a_saved_model_with_other_layer_names_is_refused_for_its_order_tells_nothing(tmp_path: Path) -> None:
    renamed = dict(zip(("first", "second"), arrays().values(), strict=True))
    with pytest.raises(WeightsError, match="such as 'conv_b'"):
        load_into(slots(), write_nested(tmp_path / "renamed.h5", renamed))


def test_a_wrong_shape_is_refused_with_both_shapes_and_nothing_is_written(tmp_path: Path) -> None:
    wrong = arrays()
    wrong["conv_a"]["bias"] = np.zeros(5, np.float32)
    target = slots()
    with pytest.raises(WeightsError, match=r"layer 'conv_a': expected 'bias' of shape \(4,\), got \(5,\)"):
        load_into(target, write_flat(tmp_path / "wrong.h5", wrong))
    assert not any(tensor.any() for tensors in target.values() for tensor in tensors.values())


def test_a_layer_without_one_of_its_arrays_is_refused(tmp_path: Path) -> None:
    part = arrays()
    del part["conv_a"]["bias"]
    with pytest.raises(WeightsError, match="expected 'bias'"):
        load_into(slots(), write_flat(tmp_path / "part.h5", part))


def test_an_h5_file_that_keras_did_not_write_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["measurements"] = np.zeros(3)
    with pytest.raises(WeightsError, match=r"other\.h5"):
        read_layers(tmp_path / "other.h5")
