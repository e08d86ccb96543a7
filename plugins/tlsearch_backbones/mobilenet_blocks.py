"""MobileNetV2's 19 feature blocks as torchvision names and orders them, without torchvision.

Its import takes longer than torch's own, two thirds of it for a detail of detection networks that brings in PyTorch's
compiler. Architecture: Sandler et al. 2018, https://arxiv.org/abs/1801.04381, table 2; in-place activations and initial
weights as in torchvision/models/mobilenetv2.py.
"""

import torch
from torch import nn

# expansion t, output channels c, repeats n, stride s of the first
SETTINGS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
STEM, TOP = 32, 1280


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project without an activation; and add the input where shapes allow it."""

    def __init__(self, channels: int, made: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = channels * expansion
        expand = [convolution(channels, hidden, kernel=1)] if expansion != 1 else []
        self.adds = stride == 1 and channels == made
        self.conv = nn.Sequential(
            *expand,
            convolution(hidden, hidden, kernel=3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, made, 1, bias=False),
            nn.BatchNorm2d(made),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, made, H/stride, W/stride)."""
        residual: torch.Tensor = self.conv(x)
        return x + residual if self.adds else residual


def convolution(channels: int, made: int, *, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution that keeps the size, but for its stride, with BatchNorm and ReLU6."""
    padding = (kernel - 1) // 2
    return nn.Sequential(
        nn.Conv2d(channels, made, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(made),
        nn.ReLU6(inplace=True),
    )


def feature_blocks() -> list[nn.Module]:
    """All blocks, with random weights: (N, 3, H, W) -> (N, 1280, H/32, W/32)."""
    blocks: list[nn.Module] = [convolution(3, STEM, kernel=3, stride=2)]
    channels = STEM
    for expansion, made, repeats, first_stride in SETTINGS:
        for repeat in range(repeats):
            stride = 1 if repeat else first_stride
            blocks.append(InvertedResidual(channels, made, stride=stride, expansion=expansion))
            channels = made
    blocks.append(convolution(channels, TOP, kernel=1))
    for module in nn.ModuleList(blocks).modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
    return blocks
