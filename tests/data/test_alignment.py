"""Alignment: squares are laid where they belong."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tlsearch.data.alignment import aligned, laid, unmoved

PX = 16


@pytest.fixture
def squares() -> NDArray[np.float32]:
    """Soft blobs, `(3, 16, 16)`."""
    y, x = np.mgrid[:PX, :PX].astype(np.float32)
    blobs = [128 + 60 * np.sin(y / (2 + n)) + 40 * np.cos(x / (3 - n / 2)) for n in range(3)]
    return np.stack(blobs).astype(np.float32)


def test_unmoved_squares_look_as_they_are(squares: NDArray[np.float32]) -> None:
    np.testing.assert_allclose(laid(squares, unmoved(len(squares))), squares, atol=1e-3)


def test_beyond_a_border_its_pixels_go_on(squares: NDArray[np.float32]) -> None:
    pixel = np.float32(1 / PX)
    places = unmoved(len(squares)) + np.array([0, pixel, 0, -2 * pixel], np.float32)

    seen = laid(squares, places)

    lower = np.concatenate([squares[:, 1:], squares[:, -1:]], axis=1)
    expected = np.concatenate([lower[:, :, :1], lower[:, :, :1], lower[:, :, :-2]], axis=2)
    np.testing.assert_allclose(seen, expected, atol=1e-3)


def test_half_way_between_pixels_is_their_mean(squares: NDArray[np.float32]) -> None:
    places = unmoved(len(squares)) + np.array([0, 0, 0, 0.5 / PX], np.float32)

    seen = laid(squares, places)

    np.testing.assert_allclose(seen[:, :, :-1], (squares[:, :, 1:] + squares[:, :, :-1]) / 2, atol=1e-3)
    np.testing.assert_allclose(seen[:, :, -1], squares[:, :, -1], atol=1e-3)


def test_squares_are_laid_over_what_was_cut_out_of_them(squares: NDArray[np.float32]) -> None:
    there = unmoved(len(squares)) + np.array([-0.04, 0.02, -0.03, -0.01], np.float32)
    brighter = 0.8 * laid(squares, there) + 12

    places, seen = aligned(squares, squares, brighter, unmoved(len(squares)), steps=8)

    np.testing.assert_allclose(places, there, atol=0.25 / PX)
    np.testing.assert_allclose(seen, laid(squares, places), atol=1e-3)


def test_by_turns_squares_come_to_where_they_come_at_once(squares: NDArray[np.float32]) -> None:
    still = laid(squares, unmoved(len(squares)) + np.array([-0.05, 0.01, -0.02, 0.02], np.float32))
    at_once, _ = aligned(squares, squares, still, unmoved(len(squares)), steps=3)

    places, seen = aligned(squares, squares, still, unmoved(len(squares)), steps=1)
    places, _ = aligned(squares, seen, still, places, steps=2)

    np.testing.assert_allclose(places, at_once, atol=1e-6)
