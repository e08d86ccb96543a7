"""Perceptual hashes: pairs of pictures that look alike at a glance, whole, mirrored or with their borders cut off."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tlsearch.devices import cpu_threads

NEAR_BITS = 8  # of 64: of 24 753 pairs of unrelated photographs none is so near, and copies are
BORDER = 0.02  # of the side: cut off all around, a quarter of the copies of plain photographs is farther than 8 bits
NEAREST = 16  # pairs a picture and way round: where all pictures look alike, their number must not grow with its square
CELLS = 1 << 20  # distances in memory at a time and thread
BLOCK = 128  # pictures that are transformed at a time
TRANSFORMED_PX = 32
# The eight lowest frequencies of the cosine transform of 32 values (DCT-II), and what mirroring makes of those of rows
COSINES = np.cos(np.pi / TRANSFORMED_PX * np.outer(np.arange(8), np.arange(TRANSFORMED_PX) + 0.5))
MIRRORS = np.array([1.0, -1.0] * 4)

Hashes = NDArray[np.uint64]  # (n, ways of looking at a picture)


def perceptual_hashes(squares: NDArray[np.uint8]) -> tuple[Hashes, Hashes]:
    """64-bit hashes of pictures, and of the same pictures mirrored: each whole, and without its borders.

    From the lowest frequencies of a cosine transform (pHash: Zauner 2010, "Implementation and benchmarking of
    perceptual image hash functions", sec. 3.2).

    Args:
        squares: Grey, uint8 `(n, px, px)`, at least 32 px.

    Returns:
        Two arrays `(n, 2)`.
    """
    plain, mirrored = np.empty((2, len(squares), 2), np.uint64)
    # In one thread: each resize is so short that two threads wait for the interpreter's lock. 2 624 pictures take
    # 0.32 s, and on two threads 0.54 s, in which both are busy.
    for start in range(0, len(squares), BLOCK):
        part = slice(start, start + BLOCK)
        small = np.array([_small(Image.fromarray(square)) for square in squares[part]])  # (b, 2, 32, 32)
        frequencies = COSINES @ small @ COSINES.T  # (b, 2, 8, 8)
        plain[part] = _bits(frequencies)
        mirrored[part] = _bits(frequencies * MIRRORS)
    return plain, mirrored


def pairs_by_hash(plain: Hashes, others: Hashes) -> NDArray[np.int64]:
    """Pairs whose nearest hashes differ in at most 8 bits.

    Args:
        plain: `(n, 2)`.
        others: Hashes of the second picture of a pair: `plain` again, or those of the mirrored pictures.

    Returns:
        `(pairs, 2)`, the smaller index first, ascending; the nearest 16 of a picture that has more.
    """
    rows = max(1, CELLS // max(1, len(plain)))

    def near(start: int) -> NDArray[np.int64]:
        return _near_block(plain, others, slice(start, start + rows))

    with ThreadPoolExecutor(cpu_threads()) as pool:
        blocks = list(pool.map(near, range(0, len(plain), rows)))
    return sorted_pairs(np.concatenate([np.zeros((0, 2), np.int64), *blocks]))


def sorted_pairs(pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each pair `(n, 2)` once, the smaller index first, ascending; no picture with itself."""
    ordered = np.sort(pairs.reshape(-1, 2), axis=1)
    unique: NDArray[np.int64] = np.unique(ordered[ordered[:, 0] != ordered[:, 1]], axis=0)
    return unique


def _small(square: Image.Image) -> NDArray[np.float64]:
    """The picture at 32 px, and the same without its borders: `(2, 32, 32)`."""
    px = square.width
    within = (px * BORDER, px * BORDER, px - px * BORDER, px - px * BORDER)
    inner = square.resize(square.size, Image.Resampling.BILINEAR, box=within)
    size = (TRANSFORMED_PX, TRANSFORMED_PX)
    return np.array([picture.resize(size, Image.Resampling.LANCZOS) for picture in (square, inner)], np.float64)


def _bits(frequencies: NDArray[np.float64]) -> Hashes:
    """Which of the 64 are above their median: `(b, 2, 8, 8)` to `(b, 2)`."""
    rows = frequencies.reshape(*frequencies.shape[:2], -1)
    above = rows > np.median(rows, axis=2, keepdims=True)
    return np.packbits(above, axis=2).view(">u8")[..., 0].astype(np.uint64)


def _near_block(plain: Hashes, others: Hashes, rows: slice) -> NDArray[np.int64]:
    """Near pairs `(pairs, 2)` of a few rows of the table of distances."""
    block = plain[rows]
    apart = np.full((len(block), len(plain)), 64, np.uint8)
    for one in block.T:
        for other in others.T:
            np.minimum(apart, np.bitwise_count(one[:, None] ^ other), out=apart)
    itself = np.arange(len(block))
    apart[itself, rows.start + itself] = 64
    first, second = np.nonzero(apart <= NEAR_BITS)
    order = np.lexsort((apart[first, second], first))
    first, second = first[order], second[order]
    rank = np.arange(len(first)) - np.searchsorted(first, first)  # among the pairs of its row, nearest first
    return np.stack([first + rows.start, second], axis=1)[rank < NEAREST]
