"""Draws the small pictures of a report: thumbnails, and the places that spoke for an answer as light on a picture."""

import base64
import json
from collections.abc import Iterable
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tlsearch.data.pixels import fit
from tlsearch.specs import Preprocessing

THUMB_PX = 96  # the longer side
HEATED_PX = 160
MEDIA = "image/webp"
QUALITY = 80  # a thumbnail takes about 1 kB; the same as JPEG takes twice that
PALED = 0.7  # share of a lit picture's colour that is taken away: its own orange is no light
STRONGEST = 0.75  # share of the colour where a map is 1: what is there stays to be seen
# Colours of a map from 0 to 1: Matplotlib's "inferno" at five places (S. van der Walt and N. Smith, CC0). Its lightness
# rises evenly, so that it can be read without telling colours apart.
ANCHORS = ((0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164))


def thumbnail(pixels: NDArray[np.uint8]) -> bytes:
    """A picture `(h, w, 3)` in small, whole and in its own shape, as the bytes of a file."""
    image = Image.fromarray(pixels)
    image.thumbnail((THUMB_PX, THUMB_PX), Image.Resampling.LANCZOS)
    return _file(image)


def thumbnails(pictures: Iterable[tuple[str, NDArray[np.uint8]]], room_bytes: int) -> dict[str, str]:
    """As many pictures in small as there is room for, the first ones first.

    Args:
        pictures: Names and pictures `(h, w, 3)`; those for which there is no room are not read.
        room_bytes: For all of them and their names, as JSON.

    Returns:
        The files as base64 text, by name.
    """
    found: dict[str, str] = {}
    for name, pixels in pictures:
        text = as_text(thumbnail(pixels))
        room_bytes -= len(json.dumps({name: text}))
        if room_bytes < 0:
            break
        found[name] = text
    return found


def heated(
    pixels: NDArray[np.uint8], grid: NDArray[np.float32], preprocessing: Preprocessing, *, side_px: int = HEATED_PX
) -> bytes:
    """A picture as a network sees it, paled, and lit where the evidence for its answer lies, as the bytes of a file.

    Args:
        pixels: The whole picture, `(h, w, 3)`.
        grid: `(rows, columns)`, 0 to 1, over the square that the network sees.
        preprocessing: What makes that square.
        side_px: Of the square that is drawn.
    """
    square = _paled(fit(pixels, preprocessing, side_px))  # (S, S, 3)
    spread = Image.fromarray(grid.astype(np.float32)).resize((side_px, side_px), Image.Resampling.BICUBIC)
    heat = np.clip(np.asarray(spread), 0.0, 1.0)  # (S, S)
    share = STRONGEST * heat[..., None]
    lit = (1 - share) * square + share * coloured(heat)
    return _file(Image.fromarray(np.round(lit).astype(np.uint8)))


def coloured(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values from 0 to 1, of any shape, as colours `(..., 3)` from 0 to 255."""
    places = np.linspace(0.0, 1.0, len(ANCHORS))
    channels = [np.interp(values, places, [anchor[channel] for anchor in ANCHORS]) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def as_text(data: bytes) -> str:
    """A file's bytes as base64, as a page embeds them."""
    return base64.b64encode(data).decode("ascii")


def _paled(square: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A picture with little of its colour left, `(S, S, 3)`, from 0 to 255."""
    grey = np.asarray(Image.fromarray(square).convert("L"), dtype=np.float32)[..., None]
    return np.asarray(PALED * grey + (1 - PALED) * square, dtype=np.float32)


def _file(image: Image.Image) -> bytes:
    written = BytesIO()
    image.save(written, "WEBP", quality=QUALITY, method=4)
    return written.getvalue()
