"""The `.keras` format: a Keras backbone with its head, in built-in layers only.

Format: https://keras.io/api/models/model_saving_apis; opens with `safe_mode=True` in a process that has keras alone.
"""

from __future__ import annotations  # torch, keras and numpy are imported where they are used

import contextlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlsearch import ExportableModel, ExporterSpec, Preprocessing, hookimpl

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

PROBE_SHAPE = (2, 3, 5, 7)  # of a made-up map, to see which pooling a module is: unequal sides tell axes apart


def refuses(model: ExportableModel) -> str | None:
    """Say which part of the model has no Keras counterpart."""
    if model.framework != "keras":
        return "its backbone is a PyTorch network, and only a Keras one becomes Keras layers"
    for index, stage in enumerate(model.backbone.stages):
        if not hasattr(stage, "keras_model"):
            return f"stage {index} of its backbone is a {type(stage).__name__} without a Keras model"
    if not model.pools:
        return "its head takes the unpooled map, and only heads on pooled features become Keras layers"
    if _pooling(model) is None:
        return f"its pooling, {type(model.backbone.pool).__name__}, is neither a global average nor a global maximum"
    for layer in model.head:
        if not _translates(layer):
            return f"its head has a layer with no Keras counterpart: {layer}"
    return None


def export(model: ExportableModel, path: Path) -> None:
    """Rebuild the model from Keras layers that share the backbone's variables, and save it."""
    import keras

    with _quiet():
        pixels = keras.Input((model.image_px, model.image_px, 3), dtype="uint8", name="pixels")
        x = _normalise(model.preprocessing, pixels)  # (N, S, S, 3), float32
        for stage in model.backbone.stages:
            keras_model: Any = stage.keras_model
            x = keras_model(x, training=False)  # -> (N, h, w, D)
        pooling = {"mean": keras.layers.GlobalAveragePooling2D, "max": keras.layers.GlobalMaxPooling2D}
        x = pooling[_pooling(model) or "mean"]()(x)  # -> (N, D)
        for layer in model.head:
            x = _translate(layer, x)
        x = keras.layers.Rescaling(1.0 / model.temperature, name="temperature")(x)
        probabilities = keras.layers.Softmax(name="probabilities")(x)  # (N, C)
        keras.Model(pixels, probabilities, name="classifier").save(path)


def load(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Open the file without running code from it."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    with _quiet():
        model = keras.models.load_model(path, compile=False, safe_mode=True)

    def predict(pixels: np.ndarray) -> np.ndarray:
        with _quiet():
            probabilities: np.ndarray = model.predict_on_batch(pixels)
        return probabilities

    return predict


def _normalise(preprocessing: Preprocessing, pixels: Any) -> Any:
    import keras
    import numpy as np

    low, high = preprocessing.value_range
    x = keras.layers.Rescaling(1.0, name="as_float")(pixels)
    if preprocessing.channels == "bgr":
        # a 1x1 convolution with 0 and 1 as weights: the one built-in layer that reorders channels, and exact
        reorder = keras.layers.Conv2D(3, 1, use_bias=False, trainable=False, name="rgb_to_bgr")
        x = reorder(x)
        reorder.set_weights([np.eye(3, dtype=np.float32)[::-1].reshape(1, 1, 3, 3)])
    scale = [(high - low) / 255 / std for std in preprocessing.std]
    offset = [(low - mean) / std for mean, std in zip(preprocessing.mean, preprocessing.std, strict=True)]
    return keras.layers.Rescaling(scale, offset=offset, name="normalise")(x)


def _pooling(model: ExportableModel) -> str | None:
    # a pool has no parameters, so what it does to one made-up map is what it is
    import torch

    probe = torch.linspace(-1.0, 1.0, 210).sin().view(PROBE_SHAPE)  # (N, h, w, D), as Keras stages speak
    with torch.no_grad():
        try:
            pooled = model.backbone.pool(probe)
        except RuntimeError:  # a pool for another number of axes
            return None
    for name, expected in (("mean", probe.mean(dim=(1, 2))), ("max", probe.amax(dim=(1, 2)))):
        if pooled.shape == expected.shape and torch.allclose(pooled, expected, atol=1e-6):
            return name
    return None


def _translates(layer: nn.Module) -> bool:
    from torch import nn

    if isinstance(layer, nn.BatchNorm1d):
        return layer.track_running_stats
    if isinstance(layer, nn.GELU):
        return layer.approximate == "none"
    return isinstance(layer, nn.Linear | nn.ReLU | nn.Dropout | nn.Identity)


def _translate(layer: nn.Module, x: Any) -> Any:
    import keras
    from torch import nn

    match layer:
        case nn.Linear():
            dense = keras.layers.Dense(layer.out_features, use_bias=layer.bias is not None)
            x = dense(x)
            bias = [] if layer.bias is None else [_array(layer.bias)]
            dense.set_weights([_array(layer.weight).T, *bias])
        case nn.BatchNorm1d():
            x = _translate_norm(layer, x)
        case nn.ReLU():
            x = keras.layers.ReLU()(x)
        case nn.GELU():
            x = keras.layers.Activation("gelu")(x)
        case nn.Dropout():
            x = keras.layers.Dropout(layer.p)(x)
    return x


def _translate_norm(layer: nn.BatchNorm1d, x: Any) -> Any:
    import keras

    norm = keras.layers.BatchNormalization(
        epsilon=layer.eps, momentum=1 - (layer.momentum or 0.0), center=layer.affine, scale=layer.affine
    )
    x = norm(x)
    weights = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
    norm.set_weights([_array(weight) for weight in weights if weight is not None])
    return x


def _array(tensor: Any) -> np.ndarray:
    array: np.ndarray = tensor.detach().cpu().numpy()
    return array


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    # Keras 3.15 trips over numpy 2's copy keyword in its own code; nothing a user could mend
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="__array__ implementation", category=DeprecationWarning)
        yield


@hookimpl
def tlsearch_exporters() -> Sequence[ExporterSpec]:
    """Provide `keras`."""
    return [ExporterSpec(name="keras", filename="model.keras", refuses=refuses, export=export, load=load)]
