"""ResNet-18 and ResNet-50 as torchvision builds and trains them, to compare smaller networks with.

Architecture: He et al. 2015, https://arxiv.org/abs/1512.03385 (torchvision strides in the 3x3, "v1.5").
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tlsearch import Backbone, BackboneSpec, Params, Preprocessing, UrlLocation, WeightsSource, hookimpl
from tlsearch_backbones.state_dicts import load_publisher_file, names_at, slice_at

if TYPE_CHECKING:
    from torchvision.models import ResNet

STEM = ("conv1", "bn1", "relu", "maxpool")
GROUPS = ("layer1", "layer2", "layer3", "layer4")
PAPER = "https://arxiv.org/abs/1512.03385"
LICENSE = "BSD-3-Clause"


def build_resnet18(params: Params, image_px: int) -> Backbone:
    """Build ResNet-18 with random weights: 9 stages, 512 features."""
    from torchvision.models import resnet18

    return _staged(resnet18(weights=None), feature_dim=512)


def build_resnet50(params: Params, image_px: int) -> Backbone:
    """Build ResNet-50 with random weights: 17 stages, 2048 features."""
    from torchvision.models import resnet50

    return _staged(resnet50(weights=None), feature_dim=2048)


def load(backbone: Backbone, path: Path) -> None:
    """Read a torchvision weights file of the same depth; raises WeightsError where it does not fit."""
    load_publisher_file(backbone, path, classifier="fc.")


def _staged(net: ResNet, *, feature_dim: int) -> Backbone:
    from torch import nn

    stem = nn.Sequential(OrderedDict((name, getattr(net, name)) for name in STEM))
    blocks = [(f"{group}.{i}", block) for group in GROUPS for i, block in enumerate(getattr(net, group))]
    return Backbone(
        # (N, 3, H, W) -> (N, 64, H/4, W/4) -> ... -> (N, feature_dim, H/32, W/32)
        stages=(stem, *(slice_at(path, block) for path, block in blocks)),
        pool=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),  # -> (N, feature_dim)
        feature_dim=feature_dim,
        layer_names=(STEM, *(names_at(path, block) for path, block in blocks)),
    )


def _imagenet(name: str, *, file: str, resized_px: int, max_bytes: int) -> WeightsSource:
    # Preprocessing: `ImageClassification` in torchvision/transforms/_presets.py with the numbers that each
    # `Weights` entry of torchvision/models/resnet.py hands to it.
    return WeightsSource(
        name=name,
        location=UrlLocation(url=f"https://download.pytorch.org/models/{file}", max_bytes=max_bytes),
        digest=file.removesuffix(".pth").rpartition("-")[2],  # torchvision: file names end in sha256's first digits
        license=LICENSE,
        trained_on="ImageNet-1k",
        preprocessing=Preprocessing(
            crop_fraction=224 / resized_px, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
        ),
    )


@hookimpl
def tlsearch_backbones() -> Sequence[BackboneSpec]:
    """Provide both depths."""
    return [
        BackboneSpec(
            name="resnet18",
            framework="torch",
            build=build_resnet18,
            load=load,
            weights=[
                _imagenet("imagenet1k_v1", file="resnet18-f37072fd.pth", resized_px=256, max_bytes=64 * 2**20),
            ],
            image_px=224,
            min_image_px=32,
            parameters=11_176_512,
            gmacs=1.814,
            paper=PAPER,
            license=LICENSE,
        ),
        BackboneSpec(
            name="resnet50",
            framework="torch",
            build=build_resnet50,
            load=load,
            weights=[  # torchvision's own default first
                _imagenet("imagenet1k_v2", file="resnet50-11ad3fa6.pth", resized_px=232, max_bytes=128 * 2**20),
                _imagenet("imagenet1k_v1", file="resnet50-0676ba61.pth", resized_px=256, max_bytes=128 * 2**20),
            ],
            image_px=224,
            min_image_px=32,
            parameters=23_508_032,
            gmacs=4.087,
            paper=PAPER,
            license=LICENSE,
        ),
    ]
