"""Networks joined from backbones and heads: what goes in, what is cut, what is frozen, and what it costs."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import engine_nets
import numpy as np
import pytest
import torch
from engine_world import RULES, recipe
from torch import nn

from tlsearch.errors import DataError, PluginError
from tlsearch.model import (
    LoadedBackbone,
    Network,
    Normalise,
    Prefix,
    Probabilities,
    build_backbone,
    measure_facts,
    measure_stages,
)
from tlsearch.specs import Backbone, BackboneSpec, Preprocessing
from tlsearch.workbench.parts import Parts

SMALL = next(spec for spec in engine_nets.tlsearch_backbones() if spec.name == "small")


def built(spec: BackboneSpec = SMALL, *, image_px: int = 32, seed: int = 1) -> LoadedBackbone:
    return build_backbone(spec, params={}, image_px=image_px, variant="", weights=None, seed=seed)


def some_pixels(count: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(3).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8))


def test_normalising_scales_to_the_range_then_standardises_each_channel() -> None:
    rules = Preprocessing(value_range=(-1.0, 3.0), mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0))
    pixels = some_pixels()
    scaled = pixels.numpy().astype(np.float64) / 255 * 4 - 1
    expected = ((scaled - rules.mean) / rules.std).transpose(0, 3, 1, 2)
    assert np.allclose(Normalise(rules)(pixels).numpy(), expected, atol=1e-5)


def test_bgr_networks_get_blue_first_with_means_in_their_own_order() -> None:
    rules = Preprocessing(mean=(0.1, 0.2, 0.3), channels="bgr")
    pixels = some_pixels()
    expected = pixels.numpy()[..., ::-1].astype(np.float64) / 255 - rules.mean
    assert np.allclose(Normalise(rules)(pixels).numpy(), expected.transpose(0, 3, 1, 2), atol=1e-6)


def test_a_prefix_gives_every_cut_and_the_pooled_features_in_order() -> None:
    loaded = built()
    pixels = some_pixels()
    outputs = Prefix(RULES, loaded.backbone, (1, 3), pooled=True)(pixels)
    maps = [Normalise(RULES)(pixels)]
    for stage in loaded.backbone.stages:
        maps.append(stage(maps[-1]))
    expected = [maps[1], maps[3], loaded.backbone.pool(maps[4])]
    assert [tuple(o.shape) for o in outputs] == [(3, 8, 16, 16), (3, 12, 4, 4), (3, 16)]
    assert all(torch.equal(a, b) for a, b in zip(outputs, expected, strict=True))


def test_a_prefix_without_pooling_ends_at_its_deepest_cut() -> None:
    prefix = Prefix(RULES, built().backbone, (1, 2), pooled=False)
    assert [tuple(o.shape) for o in prefix(some_pixels())] == [(3, 8, 16, 16), (3, 8, 8, 8)]
    assert len(prefix.stages) == 2


def test_a_network_is_prefix_suffix_and_head() -> None:
    loaded, pixels = built(), some_pixels()
    head = nn.Sequential(nn.Linear(16, 3))
    network = Network(RULES, loaded.backbone, head).eval()
    (pooled,) = Prefix(RULES, loaded.backbone, (), pooled=True)(pixels)
    assert torch.equal(network(pixels), head(pooled))


def test_a_head_that_asks_for_the_map_gets_it_unpooled() -> None:
    head = engine_nets.build_map_head(SMALL.params(), 16, 3)
    network = Network(RULES, built().backbone, head, pools=False).eval()
    (last,) = Prefix(RULES, built().backbone, (4,), pooled=False)(some_pixels())
    assert torch.equal(network(some_pixels()), head(last))


def test_probabilities_sum_to_one_and_the_temperature_softens_them() -> None:
    network = Network(RULES, built().backbone, nn.Sequential(nn.Linear(16, 3))).eval()
    cold, warm = (Probabilities(network, temperature)(some_pixels()) for temperature in (1.0, 4.0))
    assert torch.allclose(warm.sum(dim=1), torch.ones(3))
    assert torch.allclose(warm, torch.softmax(cold.log() / 4.0, dim=1), atol=1e-6)


def test_a_built_backbone_is_frozen_and_in_inference_mode_with_its_weights_told_apart() -> None:
    loaded = built()
    for stage, weights in zip(loaded.backbone.stages, loaded.weights, strict=True):
        assert not any(module.training for module in stage.modules())
        assert not any(parameter.requires_grad for parameter in stage.parameters())
        assert {id(w) for w in weights} == {id(p) for p in stage.parameters()}


def test_random_weights_follow_from_the_seed_alone() -> None:
    torch.manual_seed(99)
    first = built(seed=1)
    states = [loaded.backbone.stages[0].state_dict() for loaded in (first, built(seed=1), built(seed=2))]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["0.weight"], states[2]["0.weight"])


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v2_keras"])
def test_batchnorm_statistics_are_never_among_the_weights_to_train(mobilenets: Parts, name: str) -> None:
    loaded = mobilenets.loaded(recipe(backbone=name))
    weights = [parameter for stage in loaded.weights for parameter in stage]
    assert sum(parameter.numel() for parameter in weights) == 2_223_872  # the published count without statistics
    states = [stage.state_dict(keep_vars=True) for stage in loaded.backbone.stages]
    statistics = [v for state in states for key, v in state.items() if key.endswith(("mean", "var", "variance"))]
    assert len(statistics) == 2 * 52
    assert not {id(v) for v in statistics} & {id(w) for w in weights}


def test_pictures_below_the_smallest_side_are_refused_with_a_side_that_works() -> None:
    with pytest.raises(DataError, match="at least 16 px, not 12") as caught:
        built(image_px=12)
    assert caught.value.hint == "set image_px = 32 for it"


def test_a_plugin_that_builds_something_else_is_refused() -> None:
    with pytest.raises(PluginError, match="built a Linear"):
        built(replace(SMALL, build=lambda params, image_px: nn.Linear(2, 2)))  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("layers", [[["a"], ["b"], [], ["d"]], [["a"], ["b"]]])
def test_layer_names_that_leave_a_stage_without_one_are_refused_when_it_is_built(layers: list[list[str]]) -> None:
    def build(params: object, image_px: int) -> Backbone:
        return replace(engine_nets.build(SMALL.params(), image_px), layer_names=layers)

    with pytest.raises(PluginError, match="layers in its 4 stages"):
        built(replace(SMALL, build=build))


def test_a_backbone_without_stages_is_refused() -> None:
    def build(params: object, image_px: int) -> Backbone:
        return replace(engine_nets.build(SMALL.params(), image_px), stages=(), layer_names=())

    with pytest.raises(PluginError, match="has no stages"):
        built(replace(SMALL, build=build))


def test_weights_are_read_from_the_file_that_is_named(tmp_path: Path) -> None:
    read = []
    spec = replace(SMALL, load=lambda backbone, path: read.append(path))
    build_backbone(spec, params={}, image_px=32, variant="", weights=tmp_path / "weights", seed=1)
    assert read == [tmp_path / "weights"]


def test_the_variant_reaches_a_build_that_asks_for_it() -> None:
    variants = []

    def build(params: object, image_px: int, variant: str) -> object:
        variants.append(variant)
        return engine_nets.build(SMALL.params(), image_px)

    spec = replace(SMALL, build=build)  # type: ignore[arg-type]
    build_backbone(spec, params={}, image_px=32, variant="tf_same", weights=None, seed=1)
    assert variants == ["tf_same"]


@pytest.mark.parametrize("frozen", [0, 3, 4])
def test_facts_count_parameters_and_work_of_the_whole_and_of_the_trained_part(frozen: int) -> None:
    loaded = built()
    head = nn.Sequential(nn.Dropout(0.5), nn.Linear(16, 3)).train()
    network = Network(RULES, loaded.backbone, head)
    facts = measure_facts(network, loaded, frozen=frozen, stages=measure_stages(network, image_px=32))
    sizes = list(pairwise(engine_nets.CHANNELS))
    parameters = [9 * i * o + 2 * o for i, o in sizes] + [16 * 3 + 3]
    macs = [9 * i * o * (16 >> index) ** 2 for index, (i, o) in enumerate(sizes)] + [16 * 3]
    assert (facts.parameters, facts.trained_parameters) == (sum(parameters), sum(parameters[frozen:]))
    assert (facts.macs, facts.trained_macs) == (sum(macs), sum(macs[frozen:]))
    assert (facts.stages, facts.unfrozen) == (4, 4 - frozen)
    assert facts.cut == {0: "input", 3: "block_2_drop", 4: "block_3_drop"}[frozen]
    assert head.training, "measuring leaves the head as it was"
