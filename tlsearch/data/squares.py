"""Squares: small grey copies of pictures, whole and stretched, on which likeness is judged."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tlsearch.data.pixels import PixelStore
from tlsearch.devices import cpu_threads


def grey_square(pixels: NDArray[np.uint8], px: int) -> NDArray[np.uint8]:
    """A picture `(h, w, 3)` as a grey square `(px, px)`, antialiased."""
    return np.asarray(Image.fromarray(pixels).convert("L").resize((px, px), Image.Resampling.BILINEAR))


def grey_squares(
    store: PixelStore, indices: Sequence[int], px: int, progress: Callable[[int, int], None] | None = None
) -> NDArray[np.uint8]:
    """Some pictures of a store as grey squares, antialiased.

    Args:
        store: Of decoded pictures.
        indices: Which of them; each must be readable.
        px: The side.
        progress: Told how many are done, of how many.

    Returns:
        uint8 `(n, px, px)`, one for each index.
    """

    def square(index: int) -> NDArray[np.uint8]:
        return grey_square(store[index], px)

    squares = np.empty((len(indices), px, px), np.uint8)
    with ThreadPoolExecutor(cpu_threads()) as pool:
        for done, made in enumerate(pool.map(square, indices)):
            squares[done] = made
            if progress is not None:
                progress(done + 1, len(indices))
    return squares
