"""A plugin file for `memory.py`: a small convolutional network with as many features as a large one."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from tlsearch import Backbone, BackboneSpec, Params, hookimpl

FEATURES = 1280  # as MobileNetV2 and EfficientNet-Lite0 have: pooled features are what a study keeps of a picture
IMAGE_PX = 32
WIDTHS = (3, 24, 48, 96)


def build(params: Params, image_px: int) -> Backbone:
    """Three strided stages and one that widens to the features."""
    from torch import nn

    def stage(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Module:
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())

    strided = [stage(inputs, outputs, 3, 2) for inputs, outputs in pairwise(WIDTHS)]
    stages = (*strided, stage(WIDTHS[-1], FEATURES, 1, 1))  # (N, 3, 32, 32) -> ... -> (N, 1280, 4, 4)
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Backbone(stages=stages, pool=pool, feature_dim=FEATURES)


def load(backbone: Backbone, path: Path) -> None:
    """Never called: the study asks for random weights."""
    raise AssertionError(f"random weights are not read from {path}")


@hookimpl
def tlsearch_backbones() -> Sequence[BackboneSpec]:
    """The network."""
    return [
        BackboneSpec(
            name="small_wide",
            framework="torch",
            build=build,
            load=load,
            weights=(),
            image_px=IMAGE_PX,
            min_image_px=16,
            parameters=190_000,
            gmacs=0.005,
            paper="none",
            license="Apache-2.0",
        )
    ]
