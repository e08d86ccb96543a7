"""MobileNetV2 in PyTorch: torchvision's network, which can carry Keras's weights as well.

Architecture: Sandler et al. 2018, https://arxiv.org/abs/1801.04381
"""

from __future__ import annotations  # torch is named in types only and loaded in build and load

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tlsearch import (
    Backbone,
    BackboneSpec,
    Params,
    PluginError,
    Preprocessing,
    UrlLocation,
    WeightsError,
    WeightsSource,
    hookimpl,
)
from tlsearch_backbones.mobilenet_weights import keras_weights
from tlsearch_backbones.state_dicts import load_publisher_file, names_at, slice_at

if TYPE_CHECKING:
    import torch
    from torch import nn

TF_SAME = "tf_same"  # the variant that computes as TensorFlow does
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"  # HDF5 file format specification, II.A
_KERAS_EPSILON = 1e-3  # keras.applications.mobilenet_v2, all of its BatchNormalization layers
_MAX_BYTES = 16 * 2**20  # the published files have 13.6 MB


def build(params: Params, image_px: int, variant: str = "") -> Backbone:
    """Build torchvision's 19 feature blocks, each a stage.

    Args:
        params: None are needed.
        image_px: Any; the network is fully convolutional.
        variant: "" as torchvision has it; "tf_same" with TensorFlow's padding and BatchNorm epsilon, so that
            weights from Keras give the answers that they give there.

    Raises:
        PluginError: Where the variant is neither.
    """
    from torch import nn

    from tlsearch_backbones.mobilenet_blocks import feature_blocks
    from tlsearch_backbones.same_padding import pad_like_tensorflow

    if variant not in ("", TF_SAME):
        raise PluginError(f"mobilenet_v2 has no variant '{variant}'", hint=f"it has '' and '{TF_SAME}'")
    blocks = {f"features.{index}": block for index, block in enumerate(feature_blocks())}
    stages = tuple(slice_at(path, block) for path, block in blocks.items())
    if variant == TF_SAME:
        network = nn.Sequential(*stages)
        pad_like_tensorflow(network)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = _KERAS_EPSILON
    return Backbone(
        stages=stages,  # (N, 3, H, W) -> (N, 32, H/2, W/2) -> ... -> (N, 1280, H/32, W/32)
        pool=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),  # -> (N, 1280)
        feature_dim=1280,
        layer_names=tuple(names_at(path, block) for path, block in blocks.items()),
    )


def load(backbone: Backbone, path: Path) -> None:
    """Read torchvision's state dict, or a Keras h5 file into the variant "tf_same".

    Raises:
        WeightsError: Where the file is damaged, of the other variant, or does not fit.
    """
    from torch import nn

    from tlsearch_backbones.keras_h5 import load_into
    from tlsearch_backbones.same_padding import SameConv2d

    network = nn.Sequential(*backbone.stages)
    same = any(isinstance(module, SameConv2d) for module in network.modules())
    if _is_hdf5(path) != same:
        wanted, got = ("a Keras h5", "no h5") if same else ("a torchvision", "an h5")
        raise WeightsError(
            f"{path.name}: expected {wanted} file for this variant of mobilenet_v2, got {got} file",
            hint=f"Keras weights belong to the variant '{TF_SAME}', PyTorch weights to the plain one",
        )
    if same:
        load_into(_keras_slots(network), path)
    else:
        load_publisher_file(backbone, path, classifier="classifier.")


def _is_hdf5(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error}") from error


def _keras_slots(network: nn.Module) -> dict[str, dict[str, torch.Tensor]]:
    """Views of the network's tensors by Keras's names and in Keras's layout."""
    from torch import nn

    weighted = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d)]
    return {name: _slot(module) for name, module in zip(_keras_layers(), weighted, strict=True)}


def _slot(module: nn.Conv2d | nn.BatchNorm2d) -> dict[str, torch.Tensor]:
    from torch import nn

    if isinstance(module, nn.Conv2d):
        # depthwise (C, 1, h, w) -> (h, w, C, 1); else (O, I, h, w) -> (h, w, I, O)
        order = (2, 3, 0, 1) if module.groups > 1 else (2, 3, 1, 0)
        return {"kernel": module.weight.permute(order)}
    mean, variance = module.running_mean, module.running_var
    assert mean is not None
    assert variance is not None  # torchvision's BatchNorm tracks them
    return {"gamma": module.weight, "beta": module.bias, "moving_mean": mean, "moving_variance": variance}


def _keras_layers() -> Iterator[str]:
    """The layers of keras.applications.MobileNetV2 that have weights, in torchvision's order."""
    yield from ("Conv1", "bn_Conv1")
    for block in range(17):
        prefix = f"block_{block}" if block else "expanded_conv"
        for part in ("expand", "depthwise", "project") if block else ("depthwise", "project"):
            yield from (f"{prefix}_{part}", f"{prefix}_{part}_BN")
    yield from ("Conv_1", "Conv_1_bn")


def _torchvision_weights(name: str, file: str, digest: str, crop_fraction: float) -> WeightsSource:
    return WeightsSource(
        name=name,
        location=UrlLocation(url=f"https://download.pytorch.org/models/{file}", max_bytes=_MAX_BYTES),
        digest=digest,  # the sha256 prefix in the file's name, as torch.hub checks it
        license="BSD-3-Clause",
        trained_on="ImageNet-1k",
        preprocessing=Preprocessing(crop_fraction=crop_fraction, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    )


@hookimpl
def tlsearch_backbones() -> Sequence[BackboneSpec]:
    """Provide `mobilenet_v2`."""
    # torchvision.models.MobileNet_V2_Weights
    hub = (
        _torchvision_weights("imagenet1k_v2", "mobilenet_v2-7ebf99e0.pth", "7ebf99e0", 224 / 232),
        _torchvision_weights("imagenet1k_v1", "mobilenet_v2-b0353104.pth", "b0353104", 224 / 256),
    )
    return [
        BackboneSpec(
            name="mobilenet_v2",
            framework="torch",
            build=build,
            load=load,
            weights=(*hub, *keras_weights(TF_SAME)),
            image_px=224,
            min_image_px=32,
            parameters=2_223_872,
            gmacs=0.2995,
            paper="https://arxiv.org/abs/1801.04381",
            license="BSD-3-Clause",
        )
    ]
