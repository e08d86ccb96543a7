"""EfficientNet-B0 as torchvision builds it, with squeeze-and-excitation.

Architecture: Tan and Le 2019, https://arxiv.org/abs/1905.11946
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tlsearch import Backbone, BackboneSpec, Params, Preprocessing, UrlLocation, WeightsSource, hookimpl
from tlsearch_backbones.state_dicts import load_publisher_file, names_at, slice_at

IMAGENET = WeightsSource(
    name="imagenet1k_v1",
    location=UrlLocation(
        url="https://download.pytorch.org/models/efficientnet_b0_rwightman-7f5810bc.pth", max_bytes=32 * 2**20
    ),
    digest="7f5810bc",  # torchvision: file names end in sha256's first digits
    license="BSD-3-Clause",
    trained_on="ImageNet-1k",
    # EfficientNet_B0_Weights.IMAGENET1K_V1 in torchvision/models/efficientnet.py: resize 256, crop 224
    preprocessing=Preprocessing(
        crop_fraction=224 / 256,
        interpolation="bicubic",
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    ),
)


def build(params: Params, image_px: int) -> Backbone:
    """Build EfficientNet-B0 with random weights: stem, 16 blocks, last convolution; 1280 features."""
    from torch import nn
    from torchvision.models import efficientnet_b0

    features = efficientnet_b0(weights=None).features
    last = len(features) - 1
    pieces = [
        ("features.0", features[0]),
        *(
            (f"features.{i}.{j}", block)
            for i, group in enumerate(features[1:last], start=1)
            for j, block in enumerate(group)
        ),
        (f"features.{last}", features[last]),
    ]
    return Backbone(
        # (N, 3, H, W) -> (N, 32, H/2, W/2) -> ... -> (N, 1280, H/32, W/32)
        stages=tuple(slice_at(path, piece) for path, piece in pieces),
        pool=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),  # -> (N, 1280)
        feature_dim=1280,
        layer_names=tuple(names_at(path, piece) for path, piece in pieces),
    )


def load(backbone: Backbone, path: Path) -> None:
    """Read torchvision's weights file; raises WeightsError where it does not fit."""
    load_publisher_file(backbone, path, classifier="classifier.")


@hookimpl
def tlsearch_backbones() -> Sequence[BackboneSpec]:
    """Provide EfficientNet-B0."""
    return [
        BackboneSpec(
            name="efficientnet_b0",
            framework="torch",
            build=build,
            load=load,
            weights=[IMAGENET],
            image_px=224,
            min_image_px=32,
            parameters=4_007_548,
            gmacs=0.385,
            paper="https://arxiv.org/abs/1905.11946",
            license="BSD-3-Clause",
        )
    ]
