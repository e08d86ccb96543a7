"""Drawn scenes that have coarse and fine structure, and what people do to copies of pictures."""

import io

import numpy as np
from PIL import Image, ImageFilter

SIDE = 240


def drawn_scene(number: int) -> Image.Image:
    """A scene of blobs and grain that its number decides."""
    rng = np.random.default_rng(number)
    layers = []
    for cells, strength in ((4, 90), (12, 50), (48, 25)):
        noise = rng.normal(0, strength, (cells, cells, 3)).astype(np.float32)
        channels = [
            Image.fromarray(noise[:, :, channel]).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for channel in range(3)
        ]
        layers.append(np.stack([np.asarray(channel) for channel in channels], axis=2))
    pixels = 128 + np.sum(layers, axis=0)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.7))


def resized(picture: Image.Image, factor: float) -> Image.Image:
    width, height = picture.size
    return picture.resize((round(width * factor), round(height * factor)), Image.Resampling.LANCZOS)


def recompressed(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def cropped(picture: Image.Image, share: float) -> Image.Image:
    """Without a share of its side, all around."""
    width, height = picture.size
    dx, dy = round(width * share), round(height * share)
    return picture.crop((dx, dy, width - dx, height - dy))


def mirrored(picture: Image.Image) -> Image.Image:
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
