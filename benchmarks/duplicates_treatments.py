"""What is done to a picture to make a copy of it, of which `duplicates.py` asks whether it is found."""

import hashlib
import io
from collections.abc import Callable

import numpy as np
from PIL import Image


def resized(picture: Image.Image, factor: float) -> Image.Image:
    """Smaller or larger."""
    width, height = (round(side * factor) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def recompressed(picture: Image.Image, quality: int) -> Image.Image:
    """Through a JPEG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def cropped(picture: Image.Image) -> Image.Image:
    """Without 2 % of each side, all around."""
    dx, dy = (round(0.02 * side) for side in picture.size)
    return picture.crop((dx, dy, picture.width - dx, picture.height - dy))


def mirrored(picture: Image.Image) -> Image.Image:
    """Left is right."""
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def cropped_unevenly(picture: Image.Image) -> Image.Image:
    """Without 0 to 8 % of each side, decided by all of the picture, through a JPEG file."""
    seed = int.from_bytes(hashlib.sha256(picture.tobytes()).digest()[:8], "big")
    left, top, right, bottom = np.random.default_rng(seed).uniform(0, 0.08, 4)
    width, height = picture.size
    box = (int(width * left), int(height * top), int(width * (1 - right)), int(height * (1 - bottom)))
    return recompressed(picture.crop(box), 70)


Treatments = dict[str, Callable[[Image.Image], Image.Image]]
TREATMENTS: Treatments = {
    "resized to 60 %": lambda picture: resized(picture, 0.6),
    "JPEG of quality 40": lambda picture: recompressed(picture, 40),
    "cropped by 2 % a side": cropped,
    "mirrored": mirrored,
    "resized to 70 %, JPEG of quality 60": lambda picture: recompressed(resized(picture, 0.7), 60),
    "cropped, mirrored, JPEG of quality 60": lambda picture: recompressed(mirrored(cropped(picture)), 60),
}
HARDER: Treatments = {
    "cropped unevenly": cropped_unevenly,
    "cropped unevenly, mirrored": lambda picture: cropped_unevenly(mirrored(picture)),
}
