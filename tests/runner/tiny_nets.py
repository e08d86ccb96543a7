"""A plugin file with two backbones of four small stages, and heads that fail: whole studies in seconds."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tlsearch import Backbone, BackboneSpec, FloatRange, HeadSpec, Params, hookimpl


def builder(width: int) -> Callable[[Params, int], Backbone]:
    def build(params: Params, image_px: int) -> Backbone:
        from torch import nn

        def stage(inputs: int, outputs: int, stride: int) -> nn.Module:
            return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs), nn.ReLU())

        stages = stage(3, width, 2), stage(width, width, 1), stage(width, 2 * width, 2), stage(2 * width, 2 * width, 2)
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        return Backbone(stages=stages, pool=pool, feature_dim=2 * width)

    return build


def load(backbone: Backbone, path: Path) -> None:
    raise AssertionError("random weights are never read from a file")


def fail(params: Params, feature_dim: int, classes: int) -> None:
    raise ZeroDivisionError("this head never fits")


@hookimpl
def tlsearch_backbones() -> Sequence[BackboneSpec]:
    return [
        BackboneSpec(
            name=name,
            framework="torch",
            build=builder(width),
            load=load,
            weights=(),
            image_px=32,
            min_image_px=16,
            parameters=1000 * width,
            gmacs=0.0001 * width,
            paper="none",
            license="Apache-2.0",
        )
        for name, width in (("tiny_a", 8), ("tiny_b", 12))
    ]


@hookimpl
def tlsearch_heads() -> Sequence[HeadSpec]:
    return [HeadSpec(name="failing", params=Params, build=fail, learning_rate=FloatRange(1e-3, 1e-1, log=True))]
