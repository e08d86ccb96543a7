"""Alignment: lays one picture over another, and tells how alike their pixels are."""

import numpy as np
from numpy.typing import NDArray

FARTHEST = 0.06  # of the side: what is cut off farther than this is another picture
DAMPING = 1e-3  # of a step, so that a picture without edges in one direction stays where it lies
GAINS = (0.2, 5.0)  # of brightness, while aligning
UNKNOWNS = 6  # of a step: scale and shift of y, then of x, gain and offset of brightness
FLAT = 0.5  # grey levels: what remains of a picture without the mean one is noise below this

Squares = NDArray[np.float32]  # (n, px, px), grey values 0 to 255
Places = NDArray[np.float32]  # (n, 4): scale and shift of y, then of x; shifts as shares of the side
Values = NDArray[np.float32]  # (n,)


def unmoved(pairs: int) -> Places:
    """Where squares lie before any is moved."""
    return np.tile(np.array([1, 0, 1, 0], np.float32), (pairs, 1))


def aligned(moved: Squares, seen: Squares, still: Squares, places: Places, *, steps: int) -> tuple[Places, Squares]:
    """Where to lay the first of each pair so that it covers the second, and how it looks from there.

    Two scales and two shifts a pair, by Gauss-Newton on the difference of the grey values, with a gain and an offset
    of brightness beside them (Lucas and Kanade 1981; Baker and Matthews 2004, doi 10.1023/B:VISI.0000011205.11775.fd).

    Args:
        moved: `(n, px, px)`.
        seen: As they look from `places`: `laid(moved, places)`, or what the alignment before this one gave.
        still: Their partners.
        places: To begin with.
        steps: How many.

    Returns:
        `(n, 4)`, and `(n, px, px)`.
    """
    for _ in range(steps):
        places = _stepped(seen, still, places)
        seen = laid(moved, places)
    return places, seen


def laid(squares: Squares, places: Places) -> Squares:
    """Squares as they look from there, by linear interpolation; beyond a border its pixels go on."""
    rows = _interpolation(squares.shape[1], places[:, 0], places[:, 1])
    columns = _interpolation(squares.shape[1], places[:, 2], places[:, 3])
    return np.asarray(rows.transpose(0, 2, 1) @ squares @ columns, np.float32)


def shrunk(squares: Squares, px: int) -> Squares:
    """Squares as means over equal blocks: `(n, px, px)`, where px divides their side."""
    step = squares.shape[1] // px
    if step == 1:
        return squares
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


def _stepped(seen: Squares, still: Squares, places: Places) -> Places:
    """One Gauss-Newton step."""
    design = _design(seen, still)  # (n, 7, px * px)
    # Six rows by seven: six by themselves go to BLAS's routine for a matrix by its own transpose (syrk), which takes
    # 28 us a pair at 64 px, and what is wanted 4 more; both in one general product (gemm) take 7
    products = (design[:, :UNKNOWNS] @ design.transpose(0, 2, 1)).astype(np.float64)  # (n, 6, 7)
    normal, wanted = products[..., :UNKNOWNS], products[..., UNKNOWNS:]
    diagonal = np.einsum("nii->ni", normal)
    diagonal += DAMPING * diagonal + 1e-3  # a black square has neither gradient nor gain
    found = np.linalg.solve(normal, wanted)[..., 0]
    change = found[:, :4] / np.clip(1 + found[:, 4:5], *GAINS)
    nearest = np.array([1, 0, 1, 0], np.float32)
    reach = np.array([2, 1, 2, 1], np.float32) * FARTHEST
    return np.asarray(np.clip(places + change, nearest - reach, nearest + reach), np.float32)


def _design(seen: Squares, still: Squares) -> Squares:
    """What each of a step's unknowns changes in each pixel, and then what all are to change: `(n, 7, px * px)`."""
    px = seen.shape[1]
    y, x = np.meshgrid(_centres(px), _centres(px), indexing="ij")
    design = np.empty((len(seen), UNKNOWNS + 1, px, px), np.float32)  # side by side, as products want them
    steep = seen * np.float32(px / 2)
    _slopes(steep, design[:, 1])
    _slopes(steep.transpose(0, 2, 1), design[:, 3].transpose(0, 2, 1))
    np.multiply(design[:, 1], y, out=design[:, 0])
    np.multiply(design[:, 3], x, out=design[:, 2])
    design[:, 4] = seen
    design[:, 5] = 1
    np.subtract(still, seen, out=design[:, 6])
    return design.reshape(len(seen), UNKNOWNS + 1, -1)


def _slopes(steep: Squares, out: Squares) -> None:
    """Central differences down the rows, in grey levels a side; one-sided ones at the borders.

    Args:
        steep: Grey values times half the pixels of a side.
        out: Written.
    """
    np.subtract(steep[:, 2:], steep[:, :-2], out=out[:, 1:-1])
    for border, nearer, farther in ((0, 0, 1), (-1, -2, -1)):
        out[:, border] = 2 * (steep[:, farther] - steep[:, nearer])


def _centres(px: int) -> Values:
    """Of pixels along a side of length 1, from the middle."""
    centres: Values = ((np.arange(px) + 0.5) / px - 0.5).astype(np.float32)
    return centres


def _interpolation(px: int, scale: Values, shift: Values) -> Squares:
    """Linear interpolation along one side, as a matrix a square: `(n, px of the square, px as seen)`."""
    at = (scale[:, None] * _centres(px) + shift[:, None] + 0.5) * px - 0.5
    at = np.clip(at, 0, px - 1)  # (n, px)
    before = np.minimum(at.astype(np.intp), px - 2)
    beyond = (at - before).astype(np.float32)
    weights: Squares = np.zeros((len(at), px, px), np.float32)
    np.put_along_axis(weights, before[:, None], 1 - beyond[:, None], 1)
    np.put_along_axis(weights, before[:, None] + 1, beyond[:, None], 1)
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
