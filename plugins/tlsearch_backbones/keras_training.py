"""A Keras network as torch operations, for the steps that train it in inference mode.

A BatchNorm whose statistics stand still is a scale and a shift, here folded into the convolution before it, whose
gradients give those of its own two parameters (Jacob et al. 2018, sec. 3.2, arXiv:1712.05877). As Keras's layers
compute it, it is three passes over the map and more on the way back.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import keras
import torch
import torch.nn.functional as F
from keras import layers

from tlsearch_backbones.same_padding import same_padding


@dataclass(frozen=True, slots=True)
class Step:
    """One layer, or a convolution with the BatchNorm after it.

    Args:
        layer: Whose operation it is.
        norm: Folded into it.
        inputs: The names of the layers whose maps it takes.
        output: The name under which its own map is kept.
    """

    layer: Any
    norm: Any
    inputs: tuple[str, ...]
    output: str

    def run(self, maps: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """`(N, C, H, W)` each, in memory channels last."""
        x = maps[self.inputs[0]]
        if isinstance(self.layer, layers.Conv2D | layers.DepthwiseConv2D):
            return _convolved(x, self.layer, self.norm)
        if isinstance(self.layer, layers.BatchNormalization):
            scale, shift = _scale_and_shift(self.layer)
            return x * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)
        if isinstance(self.layer, layers.ReLU):
            # not in place: autograd would copy what it overwrites
            return F.relu(x) if self.layer.max_value is None else F.hardtanh(x, 0.0, self.layer.max_value)
        if isinstance(self.layer, layers.ZeroPadding2D):
            (top, bottom), (left, right) = self.layer.padding
            return F.pad(x, (left, right, top, bottom))
        assert isinstance(self.layer, layers.Add)  # `_is_known` let nothing else through
        return x + maps[self.inputs[1]]


@dataclass(frozen=True, slots=True)
class TrainingForm:
    """The steps of a network, which share its weights.

    Args:
        start: The name of its input.
        steps: In order; the last gives the output.
    """

    start: str
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, model: keras.Model) -> Self | None:
        """A network's steps; None where it has a layer that is not known here.

        Args:
            model: Functional, channels last, one tensor in and one out.
        """
        config = model.get_config()
        inputs = {made["name"]: _inputs(made["inbound_nodes"]) for made in config["layers"]}
        first, *rest = (model.get_layer(name) for name in inputs)
        if not isinstance(first, layers.InputLayer) or config["output_layers"][0] != rest[-1].name:
            return None
        if not all(_is_known(layer, inputs[layer.name]) for layer in rest):
            return None
        readers = Counter(name for names in inputs.values() for name in names)
        norms = {inputs[layer.name][0]: layer for layer in rest if isinstance(layer, layers.BatchNormalization)}
        steps: list[Step] = []
        for layer in rest:
            folds = isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D) and readers[layer.name] == 1
            norm = norms.get(layer.name) if folds else None
            if layer.name not in {step.output for step in steps}:  # else folded into the step before
                steps.append(Step(layer, norm, inputs[layer.name], norm.name if norm else layer.name))
        return cls(first.name, tuple(steps))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """`(N, C, H, W)` to `(N, C', H', W')`."""
        maps = {self.start: x.contiguous(memory_format=torch.channels_last)}
        for step in self.steps:
            maps[step.output] = step.run(maps)
        return maps[self.steps[-1].output]


def _inputs(nodes: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The layers whose tensors a layer is called on, as its configuration tells; none where it is called twice."""
    if len(nodes) != 1 or len(nodes[0]["args"]) != 1:
        return ()
    (given,) = nodes[0]["args"]
    tensors = given if isinstance(given, Sequence) else [given]
    return tuple(tensor["config"]["keras_history"][0] for tensor in tensors)


def _is_known(layer: Any, inputs: tuple[str, ...]) -> bool:
    kind = type(layer)  # a subclass may compute something else
    if kind is layers.Add:
        return len(inputs) == 2
    if kind in (layers.Conv2D, layers.DepthwiseConv2D):
        return len(inputs) == 1 and layer.activation is keras.activations.linear
    if kind is layers.ReLU:
        return len(inputs) == 1 and not layer.negative_slope and not layer.threshold
    return len(inputs) == 1 and kind in (layers.BatchNormalization, layers.ZeroPadding2D)


def _convolved(x: torch.Tensor, layer: Any, norm: Any) -> torch.Tensor:
    if isinstance(layer, layers.DepthwiseConv2D):
        kernel = layer.kernel.value.permute(2, 3, 0, 1).flatten(0, 1).unsqueeze(1)  # (h, w, I, M) -> (I * M, 1, h, w)
    else:
        kernel = layer.kernel.value.permute(3, 2, 0, 1)  # (h, w, I / groups, O) -> (O, I / groups, h, w)
    bias = layer.bias.value if layer.use_bias else None
    if norm is not None:
        scale, shift = _scale_and_shift(norm)
        kernel, bias = kernel * scale.view(-1, 1, 1, 1), shift if bias is None else bias * scale + shift
    if layer.padding == "same":
        sides = zip(x.shape[2:], kernel.shape[2:], layer.strides, layer.dilation_rate, strict=True)
        (top, bottom), (left, right) = (same_padding(*side) for side in sides)
        if (top, left) == (bottom, right):
            even = (top, left)
        else:
            x, even = F.pad(x, (left, right, top, bottom)), (0, 0)
    else:
        even = (0, 0)
    groups = x.shape[1] // kernel.shape[1]
    return F.conv2d(x, kernel, bias, layer.strides, even, layer.dilation_rate, groups)


def _scale_and_shift(norm: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """What a BatchNorm in inference mode multiplies each channel by, and then adds."""
    scale = torch.rsqrt(norm.moving_variance.value + norm.epsilon)
    if norm.scale:
        scale = scale * norm.gamma.value
    shift = -norm.moving_mean.value * scale
    return scale, shift + norm.beta.value if norm.center else shift
