"""How a picture file becomes a network's input square: NumPy and Pillow alone, for predict.py carries this source.

Colours are taken as stored (no colour profile is applied); the rules for what is not plain 8-bit RGB:
grey and palette become RGB; transparent pixels lie on white; CMYK is converted by Pillow's formula; 16-bit
grey keeps its upper 8 bits (scaled, not stretched); 32-bit pictures have no fixed range and are refused; of an
animation or a multi-page file the first frame counts; EXIF orientation is applied; what is longer than 16:1 is
cut to that around its centre.
"""

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")  # recognised by content, whatever the ending says
HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")  # brands of ISO/IEC 23008-12; Pillow decodes none of them
MAX_PIXELS = 50_000_000
MAX_BYTES = 1 << 29  # 50 megapixels of 16-bit RGBA, uncompressed, and more
MAX_ASPECT = 16
BACKDROP = (255, 255, 255, 255)  # under transparent pixels: most cut-out pictures are meant for white pages
ORIENTATION_TAG = 0x0112
# EXIF 2.32, table 6: what undoes each orientation
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


class PictureError(ValueError):
    """A file that is no picture, is damaged, or is refused; the message says why, without the file's name."""


def decode(path: Path) -> Image.Image:
    """Read a picture file as upright 8-bit RGB of at most 16:1; raises PictureError."""
    return decode_bytes(read_bytes(path))[0]


def read_bytes(path: Path) -> bytes:
    """Read a regular file of bearable size; raises PictureError."""
    try:
        if path.is_dir():
            raise PictureError("it is a folder: name the pictures in it")
        if not path.is_file():  # never opens a pipe, which would wait for ever
            raise PictureError("there is no regular file of this name")
        if path.stat().st_size > MAX_BYTES:
            raise PictureError(f"the file is larger than {MAX_BYTES >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise PictureError(f"cannot be read: {error.strerror}") from error


def decode_bytes(data: bytes) -> tuple[Image.Image, tuple[str, ...]]:
    """Decode a picture completely, and name each rule that was applied; raises PictureError."""
    if not data:
        raise PictureError("the file is empty")
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # another library may have turned it on: half a picture is no picture
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise PictureError(f"{image.width} x {image.height} pixels are more than 50 megapixels")
            return _convert(image)
    except (PictureError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError("it has more than 50 megapixels") from error
    except UnidentifiedImageError as error:
        raise PictureError(_unknown(data)) from error
    except Exception as error:  # Pillow's decoders raise many types, and each means that the file is damaged
        raise PictureError(f"damaged: {error}") from error


def _unknown(data: bytes) -> str:
    """Why content that no decoder knows is no picture here."""
    brands = data[8:64] if data[4:8] == b"ftyp" else b""
    if any(brand in brands for brand in HEIC):
        return "HEIC is not read: convert it to JPEG or PNG"
    return f"the content is none of {', '.join(FORMATS)}"


def shrink(image: Image.Image, shorter_px: int) -> Image.Image:
    """Resize so that the shorter side is `shorter_px`, with bilinear filter; a smaller picture stays as it is."""
    if min(image.size) <= shorter_px:
        return image
    return image.resize(_shorter_to(image.size, shorter_px), Image.Resampling.BILINEAR)


def fit(
    pixels: NDArray[np.uint8], *, image_px: int, resize: str, crop_fraction: float, interpolation: str
) -> NDArray[np.uint8]:
    """Make the network's square of a picture.

    Args:
        pixels: uint8 `(h, w, 3)`.
        image_px: The side S.
        resize: "crop": torchvision's Resize and CenterCrop, with the same rounding; "squash": both sides become S;
            "pad": the longer side becomes S, the rest is black on both sides.
        crop_fraction: Of "crop": share of the resized shorter side that is kept.
        interpolation: "bilinear" or "bicubic", antialiased as Pillow does.

    Returns:
        uint8 `(S, S, 3)`, freshly made.
    """
    image = Image.fromarray(pixels)
    filtering = FILTERS[interpolation]
    if resize == "squash":
        return np.array(image.resize((image_px, image_px), filtering))
    if resize == "pad":
        return _padded(image, image_px, filtering)
    resized = image.resize(_shorter_to(image.size, cropped_from_px(image_px, crop_fraction)), filtering)
    left, top = (round((side - image_px) / 2) for side in resized.size)
    return np.array(resized.crop((left, top, left + image_px, top + image_px)))


def cropped_from_px(image_px: int, crop_fraction: float) -> int:
    """The shorter side from whose centre a square of `image_px` is cut."""
    return round(image_px / crop_fraction)


def _shorter_to(size: tuple[int, int], shorter_px: int) -> tuple[int, int]:
    """The size with its shorter side resized; the longer one is truncated, as torchvision's Resize does."""
    width, height = size
    longer_px = int(shorter_px * max(size) / min(size))
    return (shorter_px, longer_px) if width <= height else (longer_px, shorter_px)


def _padded(image: Image.Image, image_px: int, filtering: Image.Resampling) -> NDArray[np.uint8]:
    scale = image_px / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    square = Image.new("RGB", (image_px, image_px))
    square.paste(image.resize((width, height), filtering), ((image_px - width) // 2, (image_px - height) // 2))
    return np.array(square)


def _convert(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """First frame, RGB, upright, at most 16:1; with the names of the rules that were applied."""
    rules = ["animated"] if getattr(image, "is_animated", False) else []
    image.load()
    plain, rule = _rgb(image)
    rules += rule
    upright, rule = _upright(plain, image)
    rules += rule
    cut = _cut(upright)
    return cut, (*rules, "longer than 16:1") if cut.size != upright.size else tuple(rules)


def _rgb(image: Image.Image) -> tuple[Image.Image, list[str]]:
    if image.mode in ("I", "F"):
        raise PictureError("32-bit pixels have no fixed range; save the picture with 8 bits a channel")
    if image.mode.startswith("I;16"):
        upper = (np.asarray(image).astype(np.uint16) // 257).astype(np.uint8)  # 65535 becomes 255
        return Image.fromarray(upper).convert("RGB"), ["16-bit"]
    if "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        backdrop = Image.new("RGBA", image.size, BACKDROP)
        return Image.alpha_composite(backdrop, image.convert("RGBA")).convert("RGB"), ["transparent"]
    names = {"1": "grey", "L": "grey", "P": "palette", "CMYK": "CMYK", "RGB": None}
    name = names.get(image.mode, image.mode)
    return image.convert("RGB"), [] if name is None else [name]


def _upright(image: Image.Image, source: Image.Image) -> tuple[Image.Image, list[str]]:
    """Undo the camera's rotation; TIFF files come upright from Pillow."""
    try:
        orientation = source.getexif().get(ORIENTATION_TAG)
    except Exception:  # the pixels are whole; what a broken EXIF block raises differs by where it is broken
        return image, ["damaged EXIF"]
    turn = UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return (image, []) if turn is None else (image.transpose(turn), ["rotated by EXIF"])


def _cut(image: Image.Image) -> Image.Image:
    """The centre of a picture that is longer than 16:1."""
    width, height = image.size
    new_width, new_height = min(width, height * MAX_ASPECT), min(height, width * MAX_ASPECT)
    if (new_width, new_height) == image.size:
        return image
    left, top = (width - new_width) // 2, (height - new_height) // 2
    return image.crop((left, top, left + new_width, top + new_height))
