"""Views: augmentations as pure functions of a picture, the study's seed and a number, so that they can be cached."""

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tlsearch.data.pixels import fit
from tlsearch.specs import Preprocessing

VIEW_RULE = "1"  # a change that changes pixels counts up: it is part of every cache key
CROP_AREA = (0.7, 1.0)  # milder than Inception's 0.08 to 1, which is for a million pictures
CROP_ASPECT = (3 / 4, 4 / 3)  # Szegedy et al. 2015, sec. 6, arXiv:1409.4842
COLOUR_GAIN = (0.8, 1.2)  # of brightness, contrast and saturation
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def view_count(augment: str, views: int) -> int:
    """How many views an augmentation has; `views` is what the study asks of "light".

    Raises:
        ValueError: For an augmentation that does not exist.
    """
    counts = {"none": 1, "flip": 2, "light": views}
    if augment not in counts:
        raise ValueError(f"{augment!r} is not one of {', '.join(counts)}")
    return counts[augment]


def make_view(
    pixels: NDArray[np.uint8],
    preprocessing: Preprocessing,
    image_px: int,
    *,
    augment: str,
    view: int,
    seed: int,
    image_hash: str,
) -> NDArray[np.uint8]:
    """Make one view of a picture; equal arguments give equal bytes.

    Args:
        pixels: A stored picture, uint8 `(h, w, 3)`.
        preprocessing: How a picture becomes a square.
        image_px: The square's side S.
        augment: "none", "flip" or "light".
        view: 0 is the plain picture, whatever the augmentation.
        seed: The study's; decides the views of "light" together with `image_hash` and `view`.
        image_hash: Of the picture's content, as the pixel store has it.

    Returns:
        uint8 `(S, S, 3)`.

    Raises:
        ValueError: For an augmentation that does not exist, or a view that it does not have.
    """
    last = view_count(augment, views=view + 1) - 1
    if not 0 <= view <= last:
        raise ValueError(f"augmentation {augment!r} has no view {view}")
    if view == 0:
        return fit(pixels, preprocessing, image_px)
    if augment == "flip":
        return np.ascontiguousarray(fit(pixels, preprocessing, image_px)[:, ::-1])
    draws = _draws(f"{VIEW_RULE}/{seed}/{image_hash}/{view}")
    seen = _coloured(_cropped(pixels, draws, square=preprocessing.resize == "crop"), draws)
    if preprocessing.resize == "crop":
        # the crop takes the place of the centre crop
        preprocessing = Preprocessing(resize="squash", interpolation=preprocessing.interpolation)
    square = fit(seen, preprocessing, image_px)
    return np.ascontiguousarray(square[:, ::-1]) if draws.flipped else square


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draws:
    """What chance decides about one view; crops are shares of what is possible."""

    area: float
    aspect: float
    left: float
    top: float
    flipped: bool
    brightness: float
    contrast: float
    saturation: float


def _draws(key: str) -> _Draws:
    """Eight numbers out of one sha256, independent of any library's generator."""
    words = np.frombuffer(hashlib.sha256(key.encode()).digest(), dtype=">u4")
    area, aspect, left, top, flip, *gains = (float(word) / 2**32 for word in words)  # each in [0, 1)
    low, high = (math.log(end) for end in CROP_ASPECT)
    brightness, contrast, saturation = (_between(gain, COLOUR_GAIN) for gain in gains)
    return _Draws(
        area=_between(area, CROP_AREA),
        aspect=math.exp(_between(aspect, (low, high))),
        left=left,
        top=top,
        flipped=flip < 0.5,
        brightness=brightness,
        contrast=contrast,
        saturation=saturation,
    )


def _between(share: float, ends: tuple[float, float]) -> float:
    return ends[0] + share * (ends[1] - ends[0])


def _cropped(pixels: NDArray[np.uint8], draws: _Draws, *, square: bool) -> NDArray[np.uint8]:
    """A window of `draws.area` times the largest one that has the drawn aspect ratio.

    Args:
        pixels: `(h, w, 3)`.
        draws: Size, shape and place.
        square: Whether the aspect is drawn around 1, as for what becomes a square; else around the picture's own.
    """
    height, width = pixels.shape[:2]
    aspect = draws.aspect if square else draws.aspect * width / height
    largest = min(width, height * aspect), min(height, width / aspect)
    shrunk = math.sqrt(draws.area)
    crop_width, crop_height = (max(1, round(side * shrunk)) for side in largest)
    left, top = int(draws.left * (width - crop_width + 1)), int(draws.top * (height - crop_height + 1))
    return pixels[top : top + crop_height, left : left + crop_width]


def _coloured(pixels: NDArray[np.uint8], draws: _Draws) -> NDArray[np.uint8]:
    """Change brightness, then contrast around the mean grey, then saturation around each pixel's grey."""
    colours = pixels.astype(np.float32) * np.float32(draws.brightness)  # (h, w, 3)
    red, green, blue = (np.float32(share) * colours[:, :, channel] for channel, share in enumerate(LUMA))
    grey = red + green + blue  # (h, w)
    mean = grey.mean(dtype=np.float64)
    # both blends in one: saturation * (contrast * colour) + (1 - saturation) * (contrast * grey), then the mean
    colours *= np.float32(draws.saturation * draws.contrast)
    colours += (np.float32((1 - draws.saturation) * draws.contrast) * grey)[:, :, None]
    colours += np.float32((1 - draws.contrast) * mean)
    np.clip(np.rint(colours, out=colours), 0, 255, out=colours)
    return colours.astype(np.uint8)
