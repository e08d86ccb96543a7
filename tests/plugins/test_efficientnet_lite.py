"""EfficientNet-Lite0 on its real weights, against the publisher's own network and on real photographs."""

from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torch import nn

from tlsearch import Backbone
from tlsearch.hubs import Hubs
from tlsearch.model import Normalise
from tlsearch.weights import ResolvedWeights, resolve_weights
from tlsearch_backbones.efficientnet_lite import tlsearch_backbones

SPEC = tlsearch_backbones()[0]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> ResolvedWeights:
    hubs = Hubs(offline=True)
    return resolve_weights(SPEC, "auto", cache_dir=tmp_path_factory.mktemp("cache"), seed=0, hubs=hubs)


def pretrained(weights: ResolvedWeights, image_px: int) -> Backbone:
    assert weights.path is not None
    backbone = SPEC.build(SPEC.params(), image_px)
    SPEC.load(backbone, weights.path)
    for stage in backbone.stages:
        stage.eval()
    return backbone


def published(weights: ResolvedWeights, image_px: int) -> nn.Module:
    assert weights.path is not None
    network = EfficientNet.from_name("efficientnet-lite0", image_size=image_px)
    network.load_state_dict(torch.load(weights.path, weights_only=True))
    module: nn.Module = network.eval()
    return module


def photographs(count: int, side_px: int) -> torch.Tensor:
    """Solar cells, uint8 `(count, side, side, 3)`."""
    files = [f for f in metadata.files("elpv-dataset") or [] if f.suffix == ".png"][:count]
    pictures = [
        np.asarray(
            Image.open(Path(str(f.locate()))).convert("RGB").resize((side_px, side_px), Image.Resampling.BICUBIC)
        )
        for f in files
    ]
    return torch.from_numpy(np.stack(pictures))


@pytest.mark.parametrize("image_px", [224, 160, 75])
@torch.no_grad()
def test_stages_give_the_publishers_features_on_photographs(weights: ResolvedWeights, image_px: int) -> None:
    x = Normalise(weights.preprocessing)(photographs(3, image_px))
    backbone, network = pretrained(weights, image_px), published(weights, image_px)
    maps = nn.Sequential(*backbone.stages)(x)
    assert torch.equal(maps, network.extract_features(x))
    logits = network._fc(backbone.pool(maps))
    assert torch.equal(logits, network(x))
    assert logits.shape == (3, 1000)


def test_layers_are_called_as_in_the_publishers_tree(weights: ResolvedWeights) -> None:
    backbone = pretrained(weights, 64)
    known = {path for path, _ in published(weights, 64).named_modules()}
    assert len(backbone.stages) == 18
    assert {layer for layers in backbone.layer_names for layer in layers} <= known


def test_pictures_are_scaled_as_the_publishers_trainer_did(weights: ResolvedWeights) -> None:
    pixels = torch.tensor([0, 127, 255], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 1, 1, 3)
    # MEAN_RGB 127 and STDDEV_RGB 128: efficientnet_lite_builder.py of the publisher
    expected = torch.tensor([-127 / 128, 0.0, 1.0]).view(3, 1, 1, 1).expand(3, 3, 1, 1)
    torch.testing.assert_close(Normalise(weights.preprocessing)(pixels), expected, atol=1e-6, rtol=0)


@torch.no_grad()
def test_training_mode_drops_no_connections(weights: ResolvedWeights) -> None:
    backbone = pretrained(weights, 64)
    for stage in backbone.stages:
        stage.train()
        for module in stage.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()  # the engine's policy for a trained suffix
    x = torch.randn(4, 3, 64, 64)
    network = nn.Sequential(*backbone.stages)
    assert torch.equal(network(x), network(x))


def test_package_weights_tell_where_they_come_from(weights: ResolvedWeights) -> None:
    assert (weights.source, weights.trained_on, weights.license) == ("imagenet", "ImageNet-1k", "Apache-2.0")
    assert weights.preprocessing.crop_fraction == 0.875
