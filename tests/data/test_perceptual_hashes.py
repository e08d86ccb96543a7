"""Perceptual hashes: those that others compute as well, and what mirroring makes of them."""

import imagehash
import numpy as np
import pytest
from near_world import drawn_scene
from numpy.typing import NDArray
from PIL import Image

from tlsearch.data.perceptual import pairs_by_hash, perceptual_hashes


@pytest.fixture(scope="module")
def squares() -> NDArray[np.uint8]:
    scenes = (drawn_scene(number).convert("L").resize((64, 64)) for number in range(150))  # more than a thread's block
    return np.stack([np.asarray(scene) for scene in scenes])


def test_a_whole_picture_has_the_hash_that_imagehash_gives_it(squares: NDArray[np.uint8]) -> None:
    plain, _ = perceptual_hashes(squares)
    wanted = [int(str(imagehash.phash(Image.fromarray(square))), 16) for square in squares]
    assert plain[:, 0].tolist() == wanted


def test_what_is_mirrored_twice_has_the_hash_of_the_picture_but_for_bits_on_the_edge(
    squares: NDArray[np.uint8],
) -> None:
    plain, mirrored = perceptual_hashes(squares)
    of_mirrored, twice = perceptual_hashes(np.ascontiguousarray(squares[:, :, ::-1]))
    assert np.bitwise_count(plain ^ twice).max() <= 4
    assert np.bitwise_count(mirrored ^ of_mirrored).max() <= 4


def test_a_mirrored_picture_is_a_pair_with_its_own_and_with_no_other(squares: NDArray[np.uint8]) -> None:
    both = np.concatenate([squares[:20], squares[:20, :, ::-1]])
    plain, turned = perceptual_hashes(both)
    assert pairs_by_hash(plain, turned).tolist() == [[number, number + 20] for number in range(20)]
    assert pairs_by_hash(plain, plain).tolist() == []
