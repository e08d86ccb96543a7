"""EfficientNet-B0 and the ResNets against torchvision's own networks, weights entries and transforms."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn
from torchvision.transforms import InterpolationMode

from tlsearch import Backbone, BackboneSpec, UrlLocation, WeightsError, WeightsSource
from tlsearch_backbones import efficientnet, resnet

SPECS = {spec.name: spec for module in (efficientnet, resnet) for spec in module.tlsearch_backbones()}
SOURCES = [(spec, source) for spec in SPECS.values() for source in spec.weights]
PUBLISHED = {
    ("efficientnet_b0", "imagenet1k_v1"): torchvision.models.EfficientNet_B0_Weights.IMAGENET1K_V1,
    ("resnet18", "imagenet1k_v1"): torchvision.models.ResNet18_Weights.IMAGENET1K_V1,
    ("resnet50", "imagenet1k_v1"): torchvision.models.ResNet50_Weights.IMAGENET1K_V1,
    ("resnet50", "imagenet1k_v2"): torchvision.models.ResNet50_Weights.IMAGENET1K_V2,
}


def publishers_network(name: str) -> nn.Module:
    """The publisher's network with random weights, BatchNorm statistics included."""
    torch.manual_seed(3)
    builder: Callable[..., nn.Module] = getattr(torchvision.models, name)
    network = builder(weights=None).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.8, 1.2)
    return network


def publishers_features(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What the publisher's own forward hands to its classifier."""
    for name in ("fc", "classifier"):
        if hasattr(network, name):
            setattr(network, name, nn.Identity())
    with torch.no_grad():
        features: torch.Tensor = network(x)
    return features


def features(backbone: Backbone, x: torch.Tensor) -> torch.Tensor:
    network = nn.Sequential(*backbone.stages, backbone.pool).eval()
    with torch.no_grad():
        answer: torch.Tensor = network(x)
    return answer


def loaded(spec: BackboneSpec, state: dict[str, torch.Tensor], file: Path) -> Backbone:
    torch.save(state, file)
    backbone = spec.build(spec.params(), 64)
    spec.load(backbone, file)
    return backbone


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_stages_give_the_features_of_the_publishers_forward(spec: BackboneSpec, tmp_path: Path) -> None:
    published = publishers_network(spec.name)
    backbone = loaded(spec, published.state_dict(), tmp_path / "published.pth")
    x = torch.randn(2, 3, 64, 64)
    assert torch.equal(features(backbone, x), publishers_features(published, x))


@pytest.mark.parametrize(("name", "stages"), [("efficientnet_b0", 18), ("resnet18", 9), ("resnet50", 17)])
def test_layers_are_called_as_in_the_publishers_tree(name: str, stages: int) -> None:
    backbone = SPECS[name].build(SPECS[name].params(), 64)
    known = {path for path, _ in publishers_network(name).named_modules()}
    assert len(backbone.stages) == stages
    assert {layer for layers in backbone.layer_names for layer in layers} <= known


@pytest.mark.parametrize(("spec", "source"), SOURCES, ids=[f"{a.name}-{b.name}" for a, b in SOURCES])
def test_source_is_the_publishers_entry(spec: BackboneSpec, source: WeightsSource) -> None:
    published = PUBLISHED[spec.name, source.name]
    assert isinstance(source.location, UrlLocation)
    assert source.location.url == published.url
    assert source.digest is not None
    assert published.url.endswith(f"-{source.digest}.pth")
    assert source.location.max_bytes > published.meta["_file_size"] * 2**20
    transforms, preprocessing = published.transforms(), source.preprocessing
    assert transforms.crop_size == [spec.image_px]
    assert round(spec.image_px / preprocessing.crop_fraction) == transforms.resize_size[0]
    assert InterpolationMode(preprocessing.interpolation) == transforms.interpolation
    assert (list(preprocessing.mean), list(preprocessing.std)) == (transforms.mean, transforms.std)
    assert (preprocessing.value_range, preprocessing.channels) == ((0.0, 1.0), "rgb")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.pop("layer1.0.conv1.weight"), "missing: layer1.0.conv1.weight"),
        (lambda s: s.update({"extra.weight": torch.zeros(1)}), "unknown: extra.weight"),
        (
            lambda s: s.update({"conv1.weight": torch.zeros(64, 3, 3, 3)}),
            r"conv1.weight \(expected \(64, 3, 7, 7\), got \(64, 3, 3, 3\)\)",
        ),
        (lambda s: s.update({"conv1.weight": 7}), "expected a state dict of tensors"),
        (lambda s: s.update({"conv1.weight": Path}), "cannot be read"),
    ],
    ids=["missing", "unknown", "shape", "no tensor", "code"],
)
def test_file_that_does_not_fit_is_refused_with_what_differs(
    tmp_path: Path, change: Callable[[dict[str, object]], object], said: str
) -> None:
    state: dict[str, object] = dict(publishers_network("resnet18").state_dict())
    change(state)
    torch.save(state, tmp_path / "changed.pth")
    backbone = SPECS["resnet18"].build(SPECS["resnet18"].params(), 64)
    before = backbone.stages[0].state_dict()["conv1.weight"].clone()
    with pytest.raises(WeightsError, match=said):
        SPECS["resnet18"].load(backbone, tmp_path / "changed.pth")
    assert torch.equal(backbone.stages[0].state_dict()["conv1.weight"], before)


def test_file_without_batch_counters_is_read(tmp_path: Path) -> None:
    published = publishers_network("resnet18")
    state = {k: v for k, v in published.state_dict().items() if not k.endswith("num_batches_tracked")}
    backbone = loaded(SPECS["resnet18"], state, tmp_path / "old.pth")
    x = torch.randn(2, 3, 64, 64)
    assert torch.equal(features(backbone, x), publishers_features(published, x))


def names(backbones: Sequence[BackboneSpec]) -> list[str]:
    return [spec.name for spec in backbones]


def test_each_module_provides_its_family() -> None:
    assert names(resnet.tlsearch_backbones()) == ["resnet18", "resnet50"]
    assert names(efficientnet.tlsearch_backbones()) == ["efficientnet_b0"]
