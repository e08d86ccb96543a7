"""Keras models as stages: torch modules that hand their own mode to Keras."""

from typing import Any

import keras
import torch
from torch import nn


class KerasStage(nn.Module):
    """A piece of a Keras network on the torch backend, in inference mode whenever the module is.

    Args:
        keras_model: One tensor in, one tensor out, channels last; its variables are this module's parameters.
        takes_nchw: True for the first stage, which gets pictures as torch has them.
    """

    def __init__(self, keras_model: keras.Model, *, takes_nchw: bool = False) -> None:
        super().__init__()
        self.keras_model = keras_model
        self.takes_nchw = takes_nchw

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(N, H, W, C)` to `(N, H', W', C')`; the first stage takes `(N, C, H, W)`."""
        if self.takes_nchw:
            x = x.permute(0, 2, 3, 1)  # (N, C, H, W) -> (N, H, W, C)
        # Keras moves every input to its own default device, the first GPU, wherever the weights are
        with keras.device(str(x.device)):
            # Keras does not know of module.eval(): what is not said here trains its BatchNorm
            y: torch.Tensor = self.keras_model(x, training=self.training)
        return y


class MeanOfMap(nn.Module):
    """Global average pooling of a map with channels last."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(N, h, w, D)` to `(N, D)`."""
        return x.mean(dim=(1, 2))


def name_layers(keras_model: Any) -> tuple[str, ...]:
    """The names of a model's layers in order, without its input."""
    return tuple(layer.name for layer in keras_model.layers[1:])
