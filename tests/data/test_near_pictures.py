"""Near duplicates: copies of a picture are found, other pictures of the same kind are not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from near_world import cropped, drawn_scene, mirrored, recompressed, resized
from PIL import Image

from tlsearch.data.linking import COMPARED_PX
from tlsearch.data.near import NearPair, near_pairs
from tlsearch.data.pixels import PixelStore

NOTHING_ELSE = np.zeros((0, 2), np.int64)
SCENES = 24


@pytest.fixture(scope="module")
def scenes() -> list[Image.Image]:
    return [drawn_scene(number) for number in range(SCENES)]


def found(
    folder: Path,
    pictures: list[Image.Image],
    candidates: np.ndarray = NOTHING_ELSE,
    progress: Callable[[int, int], None] | None = None,
) -> list[NearPair]:
    folder.mkdir(exist_ok=True)
    files = [folder / f"{index:03d}.png" for index in range(len(pictures))]
    for file, picture in zip(files, pictures, strict=True):
        picture.save(file)
    store = PixelStore.build(files, COMPARED_PX, folder / "pixels")
    return near_pairs(store, range(len(files)), lambda: candidates, progress)


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "smaller": lambda picture: resized(picture, 0.5),
    "larger": lambda picture: resized(picture, 1.4),
    "recompressed": lambda picture: recompressed(picture, 40),
    "cropped": lambda picture: cropped(picture, 0.02),
    "mirrored": mirrored,
    "darker": lambda picture: picture.point(lambda value: round(0.7 * value)),
    "all of it": lambda picture: recompressed(mirrored(cropped(resized(picture, 0.7), 0.02)), 60),
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_every_copy_is_found_and_nothing_else(
    tmp_path: Path, scenes: list[Image.Image], copy: Callable[[Image.Image], Image.Image]
) -> None:
    planted = [copy(scene) for scene in scenes[:6]]
    pairs = found(tmp_path, scenes + planted)
    assert [(pair.one, pair.other) for pair in pairs] == [(index, SCENES + index) for index in range(6)]


def test_a_crop_is_found_whichever_of_the_two_comes_first(tmp_path: Path, scenes: list[Image.Image]) -> None:
    whole_first = found(tmp_path / "whole first", [*scenes, cropped(scenes[0], 0.04)])
    crop_first = found(tmp_path / "crop first", [cropped(scenes[0], 0.04), *scenes])
    assert [(pair.one, pair.other) for pair in whole_first + crop_first] == [(0, SCENES), (0, 1)]


def test_it_is_told_which_copies_are_mirrored_and_how_alike_they_are(tmp_path: Path, scenes: list[Image.Image]) -> None:
    turned, plain = found(tmp_path, [*scenes, mirrored(scenes[0]), recompressed(scenes[1], 40)])
    assert (turned.one, turned.mirrored, plain.one, plain.mirrored) == (0, True, 1, False)
    assert 0.97 <= plain.likeness < turned.likeness <= 1.0001


def test_a_copy_that_no_hash_finds_is_confirmed_where_a_network_proposes_it(
    tmp_path: Path, scenes: list[Image.Image]
) -> None:
    width, height = scenes[0].size
    uneven = scenes[0].crop((round(0.08 * width), 0, width, round(0.95 * height)))
    assert found(tmp_path / "by hash", [*scenes, uneven]) == []
    proposed = np.array([[0, SCENES], [1, SCENES]])
    (pair,) = found(tmp_path / "proposed", [*scenes, uneven], proposed)
    assert (pair.one, pair.other, pair.mirrored) == (0, SCENES, False)
    (pair,) = found(tmp_path / "mirrored", [*scenes, mirrored(uneven)], proposed)
    assert (pair.one, pair.other, pair.mirrored) == (0, SCENES, True)


def looked_at(folder: Path, pictures: list[Image.Image], candidates: np.ndarray = NOTHING_ELSE) -> int:
    """How many pairs were compared; one that is looked at both ways round counts twice."""
    totals: set[int] = set()
    found(folder, pictures, candidates, lambda _, total: totals.add(total))
    return next(iter(totals), 0)


def test_what_a_hash_proposes_is_looked_at_one_way_round_and_what_a_network_proposes_both(
    tmp_path: Path, scenes: list[Image.Image]
) -> None:
    assert looked_at(tmp_path / "hash", [*scenes[:2], mirrored(scenes[0])]) == 1
    even = Image.blend(scenes[0], mirrored(scenes[0]), 0.5)  # looks the same both ways round
    width, height = even.size
    pictures = [even, *scenes[1:], even.crop((round(0.06 * width), 0, round(0.98 * width), round(0.94 * height)))]
    by_hash = looked_at(tmp_path / "no network", pictures)
    assert looked_at(tmp_path / "network", pictures, np.array([[0, len(pictures) - 1]])) == by_hash + 2


def test_what_does_not_look_alike_at_a_glance_is_not_aligned(tmp_path: Path, scenes: list[Image.Image]) -> None:
    everyone = np.array([(a, b) for a in range(SCENES) for b in range(a + 1, SCENES)])
    assert looked_at(tmp_path, scenes, everyone) < len(everyone) // 2  # each would be looked at both ways round


def test_black_pictures_are_no_copies_of_one_another(tmp_path: Path, scenes: list[Image.Image]) -> None:
    rng = np.random.default_rng(0)
    black = [Image.fromarray(rng.integers(0, 3, (200, 200, 3), dtype=np.uint8)) for _ in range(4)]
    everyone = np.array([(a, b) for a in range(SCENES, SCENES + 4) for b in range(a + 1, SCENES + 4)])
    assert found(tmp_path, [*scenes, *black], everyone) == []


def test_one_scene_with_another_mark_is_another_picture(tmp_path: Path) -> None:
    """As photographs of one product are, of which one has a crack."""
    product = drawn_scene(0)
    marked = []
    for number in range(12):
        pixels = np.array(product)
        at = 20 + 15 * number
        pixels[at : at + 30, at : at + 30] = 0
        marked.append(Image.fromarray(pixels))
    everyone = np.array([(a, b) for a in range(12) for b in range(a + 1, 12)])
    assert found(tmp_path, marked, everyone) == []
