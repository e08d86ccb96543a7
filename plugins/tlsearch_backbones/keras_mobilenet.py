"""MobileNetV2 in Keras, on its torch backend, cut where torchvision's network is cut.

Architecture: Sandler et al. 2018, https://arxiv.org/abs/1801.04381
"""

from __future__ import annotations  # keras is named in types only and loaded in build and load

import os
import re
import sys
from collections.abc import Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from tlsearch import Backbone, BackboneSpec, Params, PluginError, hookimpl
from tlsearch_backbones.mobilenet_weights import keras_weights


def build(params: Params, image_px: int) -> Backbone:
    """Build `keras.applications.MobileNetV2` as 19 stages: the stem, 17 blocks, the last convolution.

    Args:
        params: None are needed.
        image_px: Side of the pictures; Keras pads by it.

    Raises:
        PluginError: Where Keras runs another backend.
    """
    keras = _keras_on_torch()
    from tlsearch_backbones.keras_stages import KerasStage, MeanOfMap, name_layers

    with keras.device("cpu"):  # Keras's own choice is the GPU: random weights would depend on the machine
        shape = (image_px, image_px, 3)
        whole = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=shape)
        _draw_kernels(keras, whole)
        models = [keras.Model(start, end) for start, end in pairwise(_cuts(whole))]
    return Backbone(
        # (N, 3, H, W) -> (N, H/2, W/2, 32) -> ... -> (N, H/32, W/32, 1280)
        stages=tuple(KerasStage(model, takes_nchw=index == 0) for index, model in enumerate(models)),
        pool=MeanOfMap(),  # -> (N, 1280)
        feature_dim=1280,
        layer_names=tuple(name_layers(model) for model in models),
    )


def load(backbone: Backbone, path: Path) -> None:
    """Read a Keras h5 file by layer and variable names.

    Raises:
        WeightsError: Where the file is damaged or does not fit.
    """
    from tlsearch_backbones.keras_h5 import load_into

    stages: Sequence[Any] = backbone.stages
    layers = [layer for stage in stages for layer in stage.keras_model.layers]
    load_into({layer.name: {v.name: v.value for v in layer.weights} for layer in layers if layer.weights}, path)


def _keras_on_torch() -> Any:
    """The keras module, with the torch backend and channels last."""
    wanted = os.environ.setdefault("KERAS_BACKEND", "torch")
    loaded = sys.modules.get("keras")
    backend = loaded.config.backend() if loaded else wanted
    if backend != "torch":
        raise PluginError(
            f"mobilenet_v2_keras needs Keras on its torch backend, but Keras is set to '{backend}'",
            hint="set KERAS_BACKEND=torch before anything imports keras",
        )
    import keras

    if keras.config.image_data_format() != "channels_last":
        raise PluginError(
            "mobilenet_v2_keras needs Keras with channels last, but Keras is set to channels first",
            hint='set "image_data_format": "channels_last" in keras.json',
        )
    return keras


def _draw_kernels(keras: Any, model: Any) -> None:
    """Draw every kernel anew with seeds from torch's generator; Keras takes its own seeds from Python's."""
    import torch

    for layer in model.layers:
        for variable in layer.weights:
            if variable.name == "kernel":
                seed = int(torch.randint(2**31 - 1, ()))
                variable.assign(keras.initializers.GlorotUniform(seed=seed)(variable.shape))


def _cuts(model: Any) -> list[Any]:
    """The tensors at which the network is cut: its input, and the end of each run of layers of one block.

    All are taken before the first sub-model is made: each adds nodes to the layers that it shares.
    """
    runs = [list(run) for _, run in groupby(model.layers[1:], key=_block)]
    return [model.layers[0].output, *(run[-1].output for run in runs)]


def _block(layer: Any) -> str | None:
    """The block that a layer belongs to; None in the stem and the last convolution, which lie apart."""
    found = re.match(r"expanded_conv|block_\d+", layer.name)
    return found and found.group()


@hookimpl
def tlsearch_backbones() -> Sequence[BackboneSpec]:
    """Provide `mobilenet_v2_keras`."""
    return [
        BackboneSpec(
            name="mobilenet_v2_keras",
            framework="keras",
            build=build,
            load=load,
            weights=keras_weights(),
            image_px=160,
            min_image_px=32,
            parameters=2_223_872,
            gmacs=0.1528,
            paper="https://arxiv.org/abs/1801.04381",
            license="Apache-2.0",
        )
    ]
