"""Convolutions padded as TensorFlow pads them, for networks that carry its weights."""

import torch
import torch.nn.functional as F
from torch import nn


class SameConv2d(nn.Conv2d):
    """A convolution with ceil(input / stride) outputs a side; an odd pixel of padding comes last."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(N, I, H, W)` to `(N, O, ceil(H / stride), ceil(W / stride))`."""
        sides = zip(x.shape[2:], self.kernel_size, self.stride, self.dilation, strict=True)
        top_bottom, left_right = (same_padding(*side) for side in sides)
        padded = F.pad(x, (*left_right, *top_bottom))
        y: torch.Tensor = self._conv_forward(padded, self.weight, self.bias)
        return y


def pad_like_tensorflow(network: nn.Module) -> None:
    """Turn the strided convolutions of a network into SameConv2d, in place; names and weights stay.

    Only these differ: with stride 1 and an odd kernel both paddings are symmetric.
    """
    for module in network.modules():
        if type(module) is nn.Conv2d and max(module.stride) > 1:
            module.__class__ = SameConv2d
            module.padding = (0, 0)


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Zeros before and after a side of the input, so that it gives ceil(size / stride) outputs."""
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2
