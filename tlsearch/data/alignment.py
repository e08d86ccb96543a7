"""Alignment: lays one picture over another, and tells how alike their pixels are."""

import numpy as np
from numpy.typing import NDArray

FARTHEST = 0.06  # of the side: what is cut off farther than this is another picture
DAMPING = 1e-3  # of a step, so that a picture without edges in one direction stays where it lies
GAINS = (0.2, 5.0)  # of brightness, while aligning
FLAT = 0.5  # grey levels: what remains of a picture without the mean one is noise below this

Squares = NDArray[np.float32]  # (n, px, px), grey values 0 to 255
Places = NDArray[np.float32]  # (n, 4): scale and shift of y, then of x; shifts as shares of the side
Values = NDArray[np.float32]  # (n,)


def unmoved(pairs: int) -> Places:
    """Where squares lie before any is moved."""
    return np.tile(np.array([1, 0, 1, 0], np.float32), (pairs, 1))


def aligned(moved: Squares, still: Squares, places: Places, *, steps: int) -> Places:
    """Where to lay the first of each pair so that it covers the second.

    Two scales and two shifts a pair, by Gauss-Newton on the difference of the grey values, with a gain and an offset
    of brightness beside them (Lucas and Kanade 1981; Baker and Matthews 2004, doi 10.1023/B:VISI.0000011205.11775.fd).

    Args:
        moved: `(n, px, px)`.
        still: Their partners.
        places: To begin with.
        steps: How many.
    """
    for _ in range(steps):
        places = _stepped(moved, still, places)
    return places


def laid(squares: Squares, places: Places) -> Squares:
    """Squares as they look from there, by linear interpolation; beyond a border its pixels go on."""
    rows = _interpolation(squares.shape[1], places[:, 0], places[:, 1])
    columns = _interpolation(squares.shape[1], places[:, 2], places[:, 3])
    return np.asarray(rows @ squares @ columns.transpose(0, 2, 1), np.float32)


def shrunk(squares: Squares, px: int) -> Squares:
    """Squares as means over equal blocks: `(n, px, px)`, where px divides their side."""
    step = squares.shape[1] // px
    # (px, side): as a product it is ten times as fast as a mean over two axes
    block_means = np.repeat(np.eye(px, dtype=np.float32) / np.float32(step), step, axis=1)
    small: Squares = block_means @ squares @ block_means.T
    return small


def correlation(one: Squares, other: Squares, mean: Squares) -> Values:
    """How alike the pixels of each pair are, without what they share with the mean picture: -1 to 1.

    Of a pair in which nothing is left beside the mean picture it is 0.

    Args:
        one: `(n, px, px)`.
        other: Their partners.
        mean: The mean of all pictures of the dataset, `(1, px, px)`.
    """
    first, second = _beyond_mean(one, mean), _beyond_mean(other, mean)
    spread_one, spread_other = first.std(1), second.std(1)
    flat = np.minimum(spread_one, spread_other) < FLAT
    alike: Values = (first * second).mean(1) / np.where(flat, 1, spread_one * spread_other)
    return np.where(flat, np.float32(0), alike)


def _stepped(moved: Squares, still: Squares, places: Places) -> Places:
    """One Gauss-Newton step."""
    px = moved.shape[1]
    at = _centres(px)
    seen = laid(moved, places)
    down, right = np.gradient(seen, 1 / px, axis=(1, 2))  # grey levels a side
    columns = [down * at[:, None], down, right * at, right, seen, np.ones_like(seen)]
    design = np.stack([column.reshape(len(seen), -1) for column in columns], axis=2)  # (n, px * px, 6)
    normal = (design.transpose(0, 2, 1) @ design).astype(np.float64)  # (n, 6, 6)
    diagonal = np.einsum("nii->ni", normal)
    diagonal += DAMPING * diagonal + 1e-3  # a black square has neither gradient nor gain
    wanted = design.transpose(0, 2, 1) @ (still - seen).reshape(len(still), -1, 1)
    found = np.linalg.solve(normal, wanted.astype(np.float64))[..., 0]
    change = found[:, :4] / np.clip(1 + found[:, 4:5], *GAINS)
    nearest = np.array([1, 0, 1, 0], np.float32)
    reach = np.array([2, 1, 2, 1], np.float32) * FARTHEST
    return np.asarray(np.clip(places + change, nearest - reach, nearest + reach), np.float32)


def _centres(px: int) -> Values:
    """Of pixels along a side of length 1, from the middle."""
    centres: Values = ((np.arange(px) + 0.5) / px - 0.5).astype(np.float32)
    return centres


def _interpolation(px: int, scale: Values, shift: Values) -> Squares:
    """Linear interpolation along one side, as a matrix a square: `(n, px, px)`."""
    at = (scale[:, None] * _centres(px) + shift[:, None] + 0.5) * px - 0.5
    at = np.clip(at, 0, px - 1)  # (n, px)
    weights: Squares = np.maximum(0, 1 - np.abs(at[:, :, None] - np.arange(px, dtype=np.float32)))
    return weights


def _beyond_mean(squares: Squares, mean: Squares) -> Squares:
    """What of each square neither its brightness nor the mean picture explains, as rows `(n, px * px)`.

    The mean picture's share is fitted, not 1: of a black picture the mean's negative would remain, and all black
    pictures would be alike.
    """
    rows = squares.reshape(len(squares), -1)
    centred = rows - rows.mean(1, keepdims=True)
    common = mean.reshape(-1) - mean.mean()
    length = max(float(common @ common), 1e-9)  # of pictures that are all flat it is 0
    beyond: Squares = centred - np.outer(centred @ common / length, common)
    return beyond
