"""Values at cuts: from one pass, the same bytes from the cache as from the network, and computed once."""

import gc
import weakref
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from engine_world import DEVELOPMENT, RULES, SEED
from feature_world import MakeProvider, pictures_of, small

from tlsearch.data.pixels import PixelStore
from tlsearch.data.views import make_view
from tlsearch.errors import TlsearchError
from tlsearch.features.cache import FeatureCache
from tlsearch.features.extract import open_pass
from tlsearch.features.passes import BATCH as BATCHES
from tlsearch.features.passes import EAGER, Pass
from tlsearch.features.provider import PIXELS, POOLED, Engine
from tlsearch.model import LoadedBackbone, Prefix

BATCH = BATCHES[EAGER]


def made_views(store: PixelStore, augment: str, view: int) -> np.ndarray:
    """One view of every development picture, uint8 `(n, 32, 32, 3)`."""
    views = [
        make_view(store[i], RULES, 32, augment=augment, view=view, seed=SEED, image_hash=store.hashes[i])
        for i in range(DEVELOPMENT)
    ]
    return np.stack(views)


def run_by_hand(loaded: LoadedBackbone, pixels: np.ndarray, cut: int) -> np.ndarray:
    """The map at a cut, batch by batch as a pass goes."""
    prefix = Prefix(RULES, loaded.backbone, (cut,), pooled=False)
    parts = [prefix(torch.from_numpy(pixels[i : i + BATCH]))[0] for i in range(0, len(pixels), BATCH)]
    return torch.cat(parts).numpy()


def count_batches(loaded: LoadedBackbone) -> list[int]:
    """The sizes of the batches that go through the first stage from now on."""
    sizes: list[int] = []
    loaded.backbone.stages[0].register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    return sizes


def as_bytes(arrays: Sequence[np.ndarray]) -> list[bytes]:
    return [array.tobytes() for array in arrays]


@pytest.mark.parametrize("augment", ["none", "flip", "light"])
def test_each_view_of_a_cut_is_what_the_network_says_of_that_view(
    make_provider: MakeProvider, drawn: PixelStore, augment: str
) -> None:
    loaded = small()
    found = make_provider(loaded=loaded).views(2, augment)
    assert len(found) == {"none": 1, "flip": 2, "light": 3}[augment]
    for view, values in enumerate(found):
        expected = run_by_hand(loaded, made_views(drawn, augment, view), 2)
        assert values.tobytes() == expected.tobytes()


def test_pooled_features_and_the_last_map_come_from_the_same_pass(make_provider: MakeProvider) -> None:
    provider = make_provider(maps=True)
    (pooled,), (last,) = provider.views(POOLED, "none"), provider.views(4, "none")
    assert provider.counts.pictures == DEVELOPMENT
    assert np.allclose(pooled, last.mean(axis=(2, 3)), atol=1e-6)


def test_the_cut_before_the_first_stage_is_the_pictures_themselves(
    make_provider: MakeProvider, drawn: PixelStore
) -> None:
    provider = make_provider()
    for view, pixels in enumerate(provider.views(PIXELS, "light")):
        assert np.array_equal(pixels, made_views(drawn, "light", view))
    assert provider.counts.pictures == 0, "no network is run for it"


@pytest.mark.parametrize("output", [2, 3, POOLED, PIXELS])
def test_a_hit_gives_the_bytes_that_the_miss_gave(make_provider: MakeProvider, output: int | str) -> None:
    computing, opening = make_provider(), make_provider()
    computed = as_bytes(computing.views(output, "flip"))
    assert as_bytes(computing.views(output, "flip")) == computed
    assert as_bytes(opening.views(output, "flip")) == computed
    assert (computing.counts.hits, computing.counts.misses) == (2, 2)
    assert (opening.counts.hits, opening.counts.misses, opening.counts.pictures) == (2, 0, 0)


def test_all_searched_cuts_come_from_one_pass(make_provider: MakeProvider) -> None:
    loaded = small()
    provider = make_provider(loaded=loaded)
    provider.views(2, "none")  # measures rates and checks the prefix as well
    assert provider.counts.pictures == DEVELOPMENT
    sizes = count_batches(loaded)
    for output in (2, 3, POOLED):
        provider.views(output, "none")
    assert sizes == []


def test_filling_takes_one_pass_a_view_and_shares_the_plain_one_between_augmentations(
    make_provider: MakeProvider,
) -> None:
    loaded = small()
    make_provider(loaded=loaded).views(POOLED, "none")
    sizes = count_batches(loaded)
    provider = make_provider(loaded=loaded, augments=("none", "flip", "light"))
    told: list[tuple[int, int]] = []
    provider.fill(lambda done, total: told.append((done, total)))
    views = 1 + 2  # the mirrored one, and two of "light" that are not plain
    batches = [BATCH, DEVELOPMENT - BATCH]
    assert sorted(sizes) == sorted([*batches * views, 1, 1, 2, 2]), "and the size of values, and the checks of a prefix"
    assert told == [(BATCH, DEVELOPMENT), (DEVELOPMENT, DEVELOPMENT)] * views
    assert provider.counts.pictures == views * DEVELOPMENT


CUTS = 4 * (8 * 8 * 8 + 12 * 4 * 4 + 16)  # bytes of a picture and view: maps after stages 2 and 3, and pooled


def with_room(engine: Engine, views: int) -> Engine:
    """The same folder, where so many views of all cuts just fit."""
    return replace(engine, cache=FeatureCache(engine.cache.folder, max_bytes=views * CUTS * DEVELOPMENT))


def test_what_does_not_fit_as_a_whole_is_refused_before_anything_is_computed(
    make_provider: MakeProvider, engine: Engine
) -> None:
    loaded = small()
    sizes = count_batches(loaded)
    small_cache = replace(engine, cache=FeatureCache(engine.cache.folder, max_bytes=4 * CUTS * DEVELOPMENT - 1))
    given = {"cuts": (2, 3), "augments": ("none", "flip", "light")}  # four views
    with pytest.raises(TlsearchError, match="3 cuts of 4 views take 0") as caught:
        make_provider(loaded=loaded, engine=small_cache, **given).fill()
    assert "run.cache_gb" in str(caught.value.hint)
    assert sizes == [1], "one picture told how large its values are"
    assert [list(folder.iterdir()) for folder in (engine.cache.folder, engine.prefixes) if folder.exists()] == [[]]
    make_provider(engine=with_room(engine, 4), **given).fill()


def test_what_is_there_already_is_not_refused(make_provider: MakeProvider, engine: Engine) -> None:
    given = {"cuts": (2, 3)}
    make_provider(**given).fill()
    provider = make_provider(engine=with_room(engine, 1), **given)
    provider.fill()
    assert (provider.counts.misses, provider.counts.pictures) == (0, 0)


def test_what_was_filled_needs_no_pass_in_the_next_process(make_provider: MakeProvider) -> None:
    make_provider().fill()
    loaded = small()
    sizes = count_batches(loaded)
    provider = make_provider(loaded=loaded)
    provider.fill()
    assert (sizes, provider.counts.misses, provider.counts.pictures) == ([], 0, 0)


@pytest.mark.parametrize("ending", ["*.bin", "*.json"])
def test_damaged_entries_are_computed_again_with_the_same_bytes(
    make_provider: MakeProvider, engine: Engine, ending: str
) -> None:
    sound = [as_bytes(make_provider().views(output, "flip")) for output in (2, 3, POOLED)]
    for file in engine.cache.folder.glob(ending):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    repairing, opening = make_provider(), make_provider()
    assert [as_bytes(repairing.views(output, "flip")) for output in (2, 3, POOLED)] == sound
    assert repairing.counts.pictures == 2 * DEVELOPMENT
    assert [as_bytes(opening.views(output, "flip")) for output in (2, 3, POOLED)] == sound
    assert opening.counts.misses == 0


def test_only_what_is_missing_of_a_pass_is_written_again(make_provider: MakeProvider, engine: Engine) -> None:
    make_provider().views(2, "none")
    written = {file.name: file.stat().st_mtime_ns for file in engine.cache.folder.glob("*.bin")}
    smallest = min(engine.cache.folder.glob("*.bin"), key=lambda file: file.stat().st_size)
    smallest.unlink()
    make_provider().views(POOLED, "none")
    now = {file.name: file.stat().st_mtime_ns for file in engine.cache.folder.glob("*.bin")}
    assert now.keys() == written.keys()
    assert [name for name in now if now[name] != written[name]] == [smallest.name]


def test_a_cut_that_was_not_announced_is_our_own_mistake(make_provider: MakeProvider) -> None:
    with pytest.raises(KeyError, match="cut 1"):
        make_provider().views(1, "none")


def test_other_pictures_are_computed_as_those_of_the_cache_are_and_not_kept(
    make_provider: MakeProvider, engine: Engine, drawn: PixelStore
) -> None:
    provider = make_provider()
    cached = {output: provider.views(output, "none")[0] for output in (2, POOLED)}
    before = sorted(engine.cache.folder.iterdir())
    for output, values in cached.items():
        again = list(make_provider().uncached(output, pictures_of(drawn)))
        assert np.concatenate(again).tobytes() == values.tobytes()
    assert sorted(engine.cache.folder.iterdir()) == before


@pytest.mark.parametrize("output", [2, POOLED, PIXELS])
def test_values_stay_in_their_files_and_take_no_memory_of_this_process(
    make_provider: MakeProvider, output: int | str
) -> None:
    for _ in ("computed", "found"):
        for values in make_provider().views(output, "flip"):
            assert isinstance(values.base, np.memmap)
            assert not values.flags.writeable


def test_no_pass_is_held_once_its_values_are_there(
    make_provider: MakeProvider, drawn: PixelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[weakref.ref[object]] = []

    def watched(*args: object, **given: object) -> Pass:
        run = open_pass(*args, **given)  # type: ignore[arg-type]
        opened.append(weakref.ref(run.compute))
        return run

    make_provider().views(POOLED, "none")  # decides how passes run
    monkeypatch.setattr("tlsearch.features.running.open_pass", watched)
    provider = make_provider()
    for ask in (
        provider.fill,
        lambda: provider.views(2, "light"),
        lambda: list(provider.uncached(POOLED, pictures_of(drawn))),
    ):
        before = len(opened)
        ask()
        assert len(opened) == before + 1
        gc.collect()
        assert opened[-1]() is None


def test_a_sample_is_spread_over_all_pictures(drawn: PixelStore) -> None:
    pictures = pictures_of(drawn)
    assert np.array_equal(pictures.sample(3), made_views(drawn, "none", 0)[[0, 22, 44]])
    assert np.array_equal(pictures.sample(1000), made_views(drawn, "none", 0))
