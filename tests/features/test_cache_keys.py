"""Whatever decides a value is in its key: a change of any of it is a miss, and nothing else is."""

import importlib
import importlib.metadata
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engine_world import RULES, SEED, choice, context_of, draw_store, recipe
from feature_world import MakeProvider, small

from tlsearch.data.pixels import PixelStore
from tlsearch.features.passes import BATCH, EAGER
from tlsearch.features.provider import PIXELS, Engine, FeatureProvider
from tlsearch.host import PluginHost
from tlsearch.plugin_sources import LoadedPlugin, PluginSource
from tlsearch.workbench.parts import Parts

CUT = 2


def hits(provider: FeatureProvider, output: int | str = CUT, augment: str = "none") -> list[bool]:
    """Ask for every view; for each, whether the cache had it."""
    provider.views(output, augment)
    views = {"none": 1, "flip": 2, "light": 3}[augment]
    assert provider.counts.hits + provider.counts.misses == views
    return [True] * provider.counts.hits + [False] * provider.counts.misses


CHANGES: Mapping[str, Mapping[str, Any]] = {
    "fewer pictures": {"indices": tuple(range(44))},
    "another order": {"indices": tuple(reversed(range(45)))},
    "resize rule": {"preprocessing": replace(RULES, resize="squash")},
    "crop": {"preprocessing": replace(RULES, crop_fraction=0.95)},
    "interpolation": {"preprocessing": replace(RULES, interpolation="bicubic")},
    "normalisation": {"preprocessing": replace(RULES, mean=(0.5, 0.5, 0.5))},
    "order of channels": {"preprocessing": replace(RULES, channels="bgr")},
    "image size": {"image_px": 24},
    "weights": {"weights": {"backbone": "small", "digest": "8"}},
    "backbone": {"weights": {"backbone": "large", "digest": str(SEED)}},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_what_decides_features_is_a_miss(make_provider: MakeProvider, change: Mapping[str, Any]) -> None:
    assert hits(make_provider()) == [False]
    assert hits(make_provider()) == [True]
    assert hits(make_provider(**change)) == [False]


@pytest.mark.parametrize("name", ["fewer pictures", "resize rule", "crop", "interpolation", "image size"])
def test_a_change_of_the_square_is_a_miss_for_its_pixels_too(make_provider: MakeProvider, name: str) -> None:
    assert hits(make_provider(), PIXELS) == [False]
    assert hits(make_provider(**CHANGES[name]), PIXELS) == [False]


@pytest.mark.parametrize("name", ["weights", "backbone", "normalisation"])
def test_pixels_are_shared_between_networks(make_provider: MakeProvider, name: str) -> None:
    assert hits(make_provider(), PIXELS) == [False]
    assert hits(make_provider(**CHANGES[name]), PIXELS) == [True]


def test_other_pixels_under_the_same_indices_are_a_miss(make_provider: MakeProvider, tmp_path: Path) -> None:
    assert hits(make_provider()) == [False]
    assert hits(make_provider(store=draw_store(tmp_path / "others", seed=1))) == [False]


def test_the_same_pictures_stored_at_another_size_are_a_miss(
    make_provider: MakeProvider, drawn: PixelStore, tmp_path: Path
) -> None:
    files = [drawn.folder.parents[1] / "pictures" / f"{index}.png" for index in range(len(drawn))]
    smaller = PixelStore.build(files, 33, tmp_path / "smaller")
    assert smaller.hashes == drawn.hashes
    assert hits(make_provider()) == [False]
    assert hits(make_provider(store=smaller)) == [False]


def test_the_seed_decides_drawn_views_and_no_others(make_provider: MakeProvider) -> None:
    for augment in ("flip", "light"):
        make_provider().views(CUT, augment)
    assert hits(make_provider(seed=SEED + 1), augment="flip") == [True, True]
    assert hits(make_provider(seed=SEED + 1), augment="light") == [True, False, False]


@pytest.mark.parametrize("rule", ["VIEW_RULE", "RULES_VERSION"])
def test_a_new_rule_for_pixels_is_a_miss(
    make_provider: MakeProvider, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hits(make_provider()) == [False]
    monkeypatch.setattr(f"tlsearch.features.pictures.{rule}", "new")
    assert hits(make_provider()) == [False]


def test_a_new_rule_for_passes_is_a_miss(make_provider: MakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hits(make_provider()) == [False]
    monkeypatch.setattr("tlsearch.features.provider.PASS_RULE", "new")
    assert hits(make_provider()) == [False]


def test_another_size_of_batches_is_a_miss(make_provider: MakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hits(make_provider()) == [False]
    monkeypatch.setitem(BATCH, EAGER, 16)
    assert hits(make_provider()) == [False]


@pytest.mark.parametrize("library", ["tlsearch", "torch", "torchvision", "keras", "numpy", "pillow", "onnxruntime"])
def test_another_version_of_a_library_is_a_miss(
    make_provider: MakeProvider, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hits(make_provider()) == [False]
    installed = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0.0" if name == library else installed(name))
    assert hits(make_provider()) == [False]


def test_another_number_of_threads_is_a_miss(make_provider: MakeProvider, engine: Engine) -> None:
    assert hits(make_provider()) == [False]
    assert hits(make_provider(engine=replace(engine, threads=2))) == [False]


def test_another_cut_is_an_entry_of_its_own(make_provider: MakeProvider) -> None:
    provider = make_provider()
    shapes = [provider.views(output, "none")[0].shape[1:] for output in (2, 3, "pooled")]
    assert shapes == [(8, 8, 8), (12, 4, 4), (16,)]


def test_a_deeper_search_finds_the_cuts_that_a_shallower_one_cached(make_provider: MakeProvider) -> None:
    assert hits(make_provider()) == [False]
    deeper = make_provider(cuts=(1, 2, 3, 4), loaded=small())
    assert hits(deeper) == [True]


def test_a_backbone_whose_code_changed_is_a_miss_though_name_and_weights_stay(
    drawn: PixelStore, tmp_path: Path
) -> None:
    plugin = tmp_path / "mynet.py"
    source = Path(__file__).parents[1].joinpath("engine_nets.py").read_text()
    seen = []
    for code in (source, source, source.replace("nn.ReLU()", "nn.GELU()")):
        plugin.write_text(code)
        context = context_of(drawn, tmp_path, plugins=(str(plugin),))
        parts = Parts(context, PluginHost.load(files=[plugin]))
        seen += hits(parts.provider(recipe()))
    assert seen == [False, True, False]


def test_a_backbone_in_a_package_is_a_miss_once_any_file_of_that_package_changed(
    drawn: PixelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "nets_in_a_package"
    package.joinpath("deeper").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    shutil.copy(Path(__file__).parents[1] / "engine_nets.py", package / "nets.py")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("nets_in_a_package.nets")
    source = PluginSource(name="nets", origin="nets_in_a_package.nets")
    host = PluginHost([LoadedPlugin(source=source, namespace=module)])
    seen = []
    for file in (None, None, "padding.py", "deeper/more.py", "notes.txt"):
        if file is not None:
            (package / file).write_text("PADDING = 1\n")
        seen += hits(Parts(context_of(drawn, tmp_path), host).provider(recipe(head="map_head")))
    assert seen == [False, True, False, False, True]


def test_a_provider_is_shared_by_recipes_that_need_the_same_and_no_others(drawn: PixelStore, tmp_path: Path) -> None:
    context = context_of(drawn, tmp_path)
    parts = Parts(context, PluginHost.load(files=[Path(file) for file in context.plugins]))
    assert choice("small") == context.backbones["small"]
    plain = parts.provider(recipe())
    assert parts.provider(recipe(2, learning_rate=0.1, augment="flip", head="mlp")) is plain
    others = [recipe(head="map_head"), recipe(preprocessing={"resize": "squash"})]
    assert all(parts.provider(other) is not plain for other in others)
    assert parts.provider(recipe(), cut=1) is not plain
