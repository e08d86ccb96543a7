"""A plugin file with a backbone of three stages, small enough to export in a test."""

from collections.abc import Sequence
from pathlib import Path

from tlsearch import Backbone, BackboneSpec, Params, hookimpl


def build(params: Params, image_px: int) -> Backbone:
    from torch import nn

    def stage(inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1), nn.BatchNorm2d(outputs), nn.ReLU())

    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Backbone(stages=(stage(3, 8), stage(8, 16), stage(16, 24)), pool=pool, feature_dim=24)


def load(backbone: Backbone, path: Path) -> None:
    raise AssertionError("these tests never read pretrained weights")


@hookimpl
def tlsearch_backbones() -> Sequence[BackboneSpec]:
    return [
        BackboneSpec(
            name="small_net",
            framework="torch",
            build=build,
            load=load,
            weights=(),
            image_px=32,
            min_image_px=8,
            parameters=4824,
            gmacs=0.001,
            paper="none",
            license="Apache-2.0",
        )
    ]
