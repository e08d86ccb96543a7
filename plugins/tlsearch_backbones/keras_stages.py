"""Keras models as stages: torch modules that hand their own mode to Keras."""

from functools import cached_property
from typing import Any

import keras
import torch
from torch import nn

from tlsearch_backbones.keras_training import TrainingForm


class KerasStage(nn.Module):
    """A piece of a Keras network on the torch backend, in inference mode whenever the module is.

    What needs no gradient is computed by Keras's layers, to the bit as in the whole network; a step that trains this
    stage takes the same weights through fewer operations.

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
        form = self._training_form if self._is_trained() else None
        if form is not None:
            nchw = x if self.takes_nchw else x.permute(0, 3, 1, 2)
            return form(nchw).permute(0, 2, 3, 1)
        if self.takes_nchw:
            x = x.permute(0, 2, 3, 1)  # (N, C, H, W) -> (N, H, W, C)
        # Keras moves every input to its own default device, the first GPU, wherever the weights are
        with keras.device(str(x.device)):
            # Keras does not know of module.eval(): what is not said here trains its BatchNorm
            y: torch.Tensor = self.keras_model(x, training=self.training)
        return y

    def __getstate__(self) -> dict[str, Any]:
        """What a copy is made of: it finds the steps of its own layers."""
        return {name: value for name, value in self.__dict__.items() if name != "_training_form"}

    def _is_trained(self) -> bool:
        """Whether a step wants gradients of its weights, with the statistics as they are."""
        return not self.training and torch.is_grad_enabled() and any(p.requires_grad for p in self.parameters())

    @cached_property
    def _training_form(self) -> TrainingForm | None:
        return TrainingForm.of(self.keras_model)


class MeanOfMap(nn.Module):
    """Global average pooling of a map with channels last."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(N, h, w, D)` to `(N, D)`."""
        return x.mean(dim=(1, 2))


def name_layers(keras_model: Any) -> tuple[str, ...]:
    """The names of a model's layers in order, without its input."""
    return tuple(layer.name for layer in keras_model.layers[1:])
