"""Views are pure functions: of a picture, the study's seed and a number, and of nothing else."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tlsearch.data.pixels import fit
from tlsearch.data.views import make_view, view_count
from tlsearch.specs import Preprocessing

RULES = [Preprocessing(crop_fraction=0.875), Preprocessing(resize="squash"), Preprocessing(resize="pad")]


@pytest.fixture
def pixels() -> NDArray[np.uint8]:
    ramp = Image.linear_gradient("L").resize((60, 48))
    return np.asarray(Image.merge("RGB", (ramp, ramp.transpose(Image.Transpose.ROTATE_180), ramp)))


def view(
    pixels: NDArray[np.uint8],
    number: int,
    augment: str = "light",
    seed: int = 7,
    image_hash: str = "ab",
    rule: Preprocessing = RULES[0],
) -> NDArray[np.uint8]:
    return make_view(pixels, rule, 32, augment=augment, view=number, seed=seed, image_hash=image_hash)


def test_augmentations_have_their_number_of_views() -> None:
    assert [view_count(name, 8) for name in ("none", "flip", "light")] == [1, 2, 8]
    with pytest.raises(ValueError, match="mixup"):
        view_count("mixup", 8)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("augment", ["none", "flip", "light"])
def test_view_0_is_the_plain_picture(pixels: NDArray[np.uint8], augment: str, rule: Preprocessing) -> None:
    assert np.array_equal(view(pixels, 0, augment, rule=rule), fit(pixels, rule, 32))


@pytest.mark.parametrize("rule", RULES)
def test_the_other_view_of_flip_is_mirrored(pixels: NDArray[np.uint8], rule: Preprocessing) -> None:
    assert np.array_equal(view(pixels, 1, "flip", rule=rule), fit(pixels, rule, 32)[:, ::-1])


@pytest.mark.parametrize("rule", RULES)
def test_equal_arguments_give_equal_bytes(pixels: NDArray[np.uint8], rule: Preprocessing) -> None:
    for number in range(4):
        first, second = (view(pixels, number, rule=rule) for _ in range(2))
        assert first.tobytes() == second.tobytes()
        assert (first.shape, first.dtype, first.flags.c_contiguous) == ((32, 32, 3), np.uint8, True)


def test_number_seed_and_picture_each_make_another_view(pixels: NDArray[np.uint8]) -> None:
    views = [view(pixels, 1), view(pixels, 2), view(pixels, 1, seed=8), view(pixels, 1, image_hash="cd")]
    assert len({made.tobytes() for made in views}) == 4


def test_light_views_stay_mild(pixels: NDArray[np.uint8]) -> None:
    plain = fit(pixels, RULES[1], 32).astype(float)
    for number in range(1, 50):
        made = view(pixels, number, rule=RULES[1]).astype(float)
        nearer = min(np.abs(made - plain).mean(), np.abs(made[:, ::-1] - plain).mean())
        assert nearer < 50


def test_half_of_the_light_views_are_mirrored() -> None:
    left = np.zeros((40, 40, 3), np.uint8)
    left[:, :20] = 200
    mirrored = [view(left, n)[:, :4].mean() < view(left, n)[:, -4:].mean() for n in range(1, 201)]
    assert 70 < sum(mirrored) < 130


def test_the_bars_of_padding_stay_black() -> None:
    tall = np.full((64, 32, 3), 180, np.uint8)
    for number in range(1, 20):
        made = view(tall, number, rule=RULES[2])
        assert not made[:, 0].any() or not made[0].any()
        assert made[16, 16].min() > 100


@pytest.mark.parametrize("shape", [(1, 1), (1, 16), (16, 1), (200, 13)])
@pytest.mark.parametrize("rule", RULES)
def test_the_oddest_shapes_have_views(shape: tuple[int, int], rule: Preprocessing) -> None:
    odd = np.full((*shape, 3), 90, np.uint8)
    assert all(view(odd, number, rule=rule).shape == (32, 32, 3) for number in range(8))


def test_a_view_that_does_not_exist_is_refused(pixels: NDArray[np.uint8]) -> None:
    for augment, number in (("none", 1), ("flip", 2), ("light", -1)):
        with pytest.raises(ValueError, match="no view"):
            view(pixels, number, augment)
