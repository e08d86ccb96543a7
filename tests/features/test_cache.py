"""The cache on disk: what is written comes back as it was or not at all, and it takes no more than it may."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tlsearch.errors import TlsearchError
from tlsearch.features.cache import STALE_S, FeatureCache, key_digest

KEY = {"cut": 3, "pictures": ["a", "b"], "runtime": "eager", "dtype": "float32", "versions": {"torch": "2"}}
VALUES = np.random.default_rng(0).normal(size=(4, 3, 2)).astype(np.float32)


@pytest.fixture
def cache(tmp_path: Path) -> FeatureCache:
    return FeatureCache(tmp_path / "features", max_bytes=10_000)


def write(cache: FeatureCache, key: dict[str, Any], values: np.ndarray = VALUES) -> np.ndarray:
    """Write an entry in two pieces; returns what the writer maps."""
    with cache.create(key, values.shape, values.dtype) as writer:
        writer.write(values[:1])
        writer.write(values[1:])
    return writer.array


def file_of(cache: FeatureCache, ending: str, key: dict[str, Any] = KEY) -> Path:
    return cache.folder / f"{key_digest(key)}{ending}"


def holds(array: np.ndarray | None, values: np.ndarray = VALUES) -> bool:
    return array is not None and array.dtype == values.dtype and np.array_equal(array, values)


def again(cache: FeatureCache) -> FeatureCache:
    """The same folder, as another process would open it."""
    return FeatureCache(cache.folder, max_bytes=cache.max_bytes)


def test_what_was_written_comes_back_in_this_process_and_the_next(cache: FeatureCache) -> None:
    written = write(cache, KEY)
    for array in (written, cache.open(KEY), again(cache).open(KEY)):
        assert holds(array)
        assert array is not None
        assert not array.flags.writeable


@pytest.mark.parametrize(
    "change",
    [
        {"cut": 4},
        {"cut": "pooled"},
        {"pictures": ["b", "a"]},
        {"runtime": "onnxruntime"},
        {"dtype": "float16"},
        {"versions": {"torch": "3"}},
        {"threads": 2},
    ],
)
def test_a_key_that_differs_anywhere_is_another_entry(cache: FeatureCache, change: dict[str, Any]) -> None:
    write(cache, KEY)
    assert cache.open({**KEY, **change}) is None


def test_the_order_in_which_a_key_is_told_does_not_matter(cache: FeatureCache) -> None:
    write(cache, KEY)
    assert cache.open(dict(reversed(KEY.items()))) is not None


def test_an_entry_exists_only_once_it_is_complete(cache: FeatureCache) -> None:
    with cache.create(KEY, VALUES.shape, VALUES.dtype) as writer:
        writer.write(VALUES)
        assert cache.open(KEY) is None
    assert cache.open(KEY) is not None


def test_a_writer_that_fails_leaves_nothing(cache: FeatureCache) -> None:
    def fail_halfway() -> None:
        with cache.create(KEY, VALUES.shape, VALUES.dtype) as writer:
            writer.write(VALUES[:2])
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail_halfway()
    assert list(cache.folder.iterdir()) == []


@pytest.mark.parametrize("left", [0, 1, VALUES.nbytes // 2, VALUES.nbytes - 1])
def test_truncated_data_are_a_miss(cache: FeatureCache, left: int) -> None:
    write(cache, KEY)
    os.truncate(file_of(cache, ".bin"), left)
    assert again(cache).open(KEY) is None


def test_data_that_grew_are_a_miss(cache: FeatureCache) -> None:
    write(cache, KEY)
    with file_of(cache, ".bin").open("ab") as file:
        file.write(b"\0")
    assert again(cache).open(KEY) is None


@pytest.mark.parametrize("ending", [".bin", ".json"])
def test_a_flipped_bit_anywhere_never_gives_other_values(cache: FeatureCache, ending: str) -> None:
    write(cache, KEY)
    file = file_of(cache, ending)
    sound = file.read_bytes()
    for position in range(len(sound)):
        for bit in (1, 4, 128):
            damaged = bytearray(sound)
            damaged[position] ^= bit
            file.write_bytes(damaged)
            array = again(cache).open(KEY)
            assert array is None or holds(array), f"bit {bit} of byte {position}: {array}"


def test_another_shape_or_type_of_the_same_length_is_a_miss(cache: FeatureCache) -> None:
    write(cache, KEY)
    meta = file_of(cache, ".json")
    for told, lie in (("[4, 3, 2]", "[3, 4, 2]"), ("<f4", "<i4")):
        sound = meta.read_text()
        assert told in sound
        meta.write_text(sound.replace(told, lie))
        assert again(cache).open(KEY) is None
        meta.write_text(sound)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"shape": [4], "dtype": "<f4"}', '{"shape": 4}', "\x00"])
def test_a_torn_description_is_a_miss(cache: FeatureCache, content: str) -> None:
    write(cache, KEY)
    file_of(cache, ".json").write_text(content)
    assert again(cache).open(KEY) is None


@pytest.mark.parametrize("ending", [".bin", ".json"])
def test_half_an_entry_is_a_miss_and_can_be_written_again(cache: FeatureCache, ending: str) -> None:
    write(cache, KEY)
    file_of(cache, ending).unlink()
    other = again(cache)
    assert other.open(KEY) is None
    write(other, KEY)
    assert holds(again(cache).open(KEY))


def test_values_that_are_mapped_stay_when_the_entry_is_deleted_or_replaced(cache: FeatureCache) -> None:
    written = write(cache, KEY)
    opened = again(cache).open(KEY)
    write(again(cache), KEY, VALUES + 1)
    for file in cache.folder.iterdir():
        file.unlink()
    assert holds(written)
    assert holds(opened)


def test_of_two_writers_at_once_both_finish_and_the_entry_is_whole(cache: FeatureCache) -> None:
    other = again(cache)
    with cache.create(KEY, VALUES.shape, VALUES.dtype) as first:
        first.write(VALUES[:2])
        with other.create(KEY, VALUES.shape, VALUES.dtype) as second:
            second.write(VALUES)
        first.write(VALUES[2:])
    for array in (first.array, second.array, again(cache).open(KEY)):
        assert holds(array)
    assert len(list(cache.folder.iterdir())) == 2


def test_an_entry_larger_than_the_cache_is_refused_with_the_setting_to_raise(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, max_bytes=VALUES.nbytes - 1)
    with pytest.raises(TlsearchError, match="3: its features take") as caught:
        cache.create(KEY, VALUES.shape, VALUES.dtype)
    assert "run.cache_gb" in str(caught.value.hint)


def aged(cache: FeatureCache, cuts: int) -> list[dict[str, Any]]:
    """So many entries, the first used longest ago."""
    keys = [{**KEY, "cut": cut} for cut in range(cuts)]
    for age, key in enumerate(keys):
        write(cache, key)
        os.utime(file_of(cache, ".json", key), (1_000_000 + age, 1_000_000 + age))
    return keys


def data_in(cache: FeatureCache) -> int:
    return sum(file.stat().st_size for file in cache.folder.glob("*.bin"))


def test_the_entries_unused_for_longest_go_once_the_cache_is_full(tmp_path: Path) -> None:
    keys = aged(FeatureCache(tmp_path, max_bytes=10_000), cuts=4)
    cache = FeatureCache(tmp_path, max_bytes=4 * VALUES.nbytes)
    assert cache.open(keys[0]) is not None  # used just now, so it is no longer the oldest
    write(cache, {**KEY, "cut": "new"})
    assert data_in(cache) == cache.max_bytes
    found = [again(cache).open(key) is not None for key in keys]
    assert found == [True, False, True, True]
    assert len(list(tmp_path.iterdir())) == 2 * 4, "an evicted entry goes as a whole"


def test_what_this_process_uses_stays_even_where_it_takes_more_than_it_may(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, max_bytes=2 * VALUES.nbytes)
    keys = aged(cache, cuts=3)
    assert all(cache.open(key) is not None for key in keys)
    write(again(cache), {**KEY, "cut": "of another process"})
    assert data_in(cache) == cache.max_bytes
    assert holds(write(cache, keys[0]))


def test_what_a_killed_process_left_is_swept_and_what_is_being_written_is_not(cache: FeatureCache) -> None:
    write(cache, KEY)
    with cache.create({**KEY, "cut": 9}, VALUES.shape, VALUES.dtype) as writer:
        writer.write(VALUES)
        for name in ("dead.tmp", "orphan.bin"):
            (cache.folder / name).write_bytes(b"left behind")
        fresh = {file.name for file in again(cache).folder.iterdir()}
        for file in cache.folder.iterdir():
            if file.name in ("dead.tmp", "orphan.bin", file_of(cache, ".bin").name):
                told = file.stat().st_mtime - STALE_S - 60
                os.utime(file, (told, told))
        left = {file.name for file in again(cache).folder.iterdir()}
    assert fresh - left == {"dead.tmp", "orphan.bin"}
    assert holds(cache.open(KEY))
    assert holds(cache.open({**KEY, "cut": 9}))
