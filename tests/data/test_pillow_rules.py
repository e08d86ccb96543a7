"""The rules by which a picture file becomes a square, shown on real files."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import CenterCrop, InterpolationMode, Resize

from tlsearch.data.pillow_rules import PictureError, decode, decode_bytes, fit, shrink

SEA, SAND = (20, 90, 160), (220, 190, 120)


def picture(width: int = 40, height: int = 30) -> Image.Image:
    """Sea on the left, sand on the right, and a gradient down: no symmetry that could hide a rotation."""
    image = Image.new("RGB", (width, height), SEA)
    image.paste(SAND, (width // 2, 0, width, height))
    image.paste((0, 0, 0), (0, 0, max(1, width // 4), max(1, height // 4)))
    return image


def rules_of(path: Path) -> tuple[str, ...]:
    return decode_bytes(path.read_bytes())[1]


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.bmp", "a.gif", "a.tiff"])
def test_every_allowed_format_becomes_rgb(tmp_path: Path, name: str) -> None:
    picture().save(tmp_path / name)
    image = decode(tmp_path / name)
    assert (image.mode, image.size) == ("RGB", (40, 30))
    assert np.abs(np.asarray(image)[15, 35].astype(int) - SAND).max() <= 12


@pytest.mark.parametrize("name", ["a.ico", "a.ppm", "a.tga", "a.pdf"])
def test_other_formats_are_refused(tmp_path: Path, name: str) -> None:
    picture().save(tmp_path / name)
    with pytest.raises(PictureError, match="none of JPEG"):
        decode(tmp_path / name)


HEIC_HEAD = b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic"


@pytest.mark.parametrize("name", ["IMG_1.HEIC", "IMG_1.jpg"])
def test_pictures_of_phones_are_refused_with_the_way_out(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(HEIC_HEAD)
    with pytest.raises(PictureError, match="HEIC is not read: convert it to JPEG or PNG"):
        decode(tmp_path / name)


def test_a_picture_is_read_whatever_else_it_is_called(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.heic", format="JPEG")
    assert decode(tmp_path / "a.heic").size == (40, 30)
    (tmp_path / "a.avif").write_bytes(HEIC_HEAD.replace(b"mif1", b"avif").replace(b"heic", b"miaf"))
    with pytest.raises(PictureError, match="none of JPEG"):
        decode(tmp_path / "a.avif")


def test_content_decides_and_not_the_ending(tmp_path: Path) -> None:
    picture().save(tmp_path / "A.JPG", format="PNG")
    assert np.array_equal(decode(tmp_path / "A.JPG"), picture())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(tmp_path: Path, orientation: int) -> None:
    stored_by = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    how = stored_by[orientation]
    stored = picture() if how is None else picture().transpose(how)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for ending in ("png", "tiff", "webp"):
        path = tmp_path / f"a.{ending}"
        stored.save(path, exif=exif, **({"lossless": True} if ending == "webp" else {}))
        assert np.array_equal(decode(path), picture()), ending


def test_a_damaged_exif_block_costs_no_picture(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png", exif=b"Exif\0\0XX*\0\x08\0\0\0nonsense")
    assert decode(tmp_path / "a.png").size == (40, 30)
    assert rules_of(tmp_path / "a.png") == ("damaged EXIF",)


def test_grey_and_palette_become_rgb(tmp_path: Path) -> None:
    picture().convert("L").save(tmp_path / "grey.png")
    picture().convert("1").save(tmp_path / "line.png")
    picture().quantize(8).save(tmp_path / "palette.png")
    assert np.array_equal(decode(tmp_path / "grey.png"), picture().convert("L").convert("RGB"))
    assert np.array_equal(decode(tmp_path / "palette.png"), picture())
    assert [rules_of(tmp_path / f"{name}.png") for name in ("grey", "line", "palette")] == [
        ("grey",),
        ("grey",),
        ("palette",),
    ]


def test_transparent_pixels_lie_on_white(tmp_path: Path) -> None:
    image = picture().convert("RGBA")
    image.putpixel((39, 29), (0, 0, 0, 0))
    image.putpixel((38, 29), (0, 0, 0, 128))
    image.save(tmp_path / "a.png")
    decoded = decode(tmp_path / "a.png")
    assert decoded.getpixel((39, 29)) == (255, 255, 255)
    assert decoded.getpixel((38, 29)) == (127, 127, 127)
    assert rules_of(tmp_path / "a.png") == ("transparent",)


def test_a_transparent_palette_colour_lies_on_white(tmp_path: Path) -> None:
    image = picture().quantize(8)
    black = image.getpixel((0, 0))
    image.save(tmp_path / "a.png", transparency=black)
    assert decode(tmp_path / "a.png").getpixel((0, 0)) == (255, 255, 255)


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.tiff")
    assert decode(tmp_path / "a.tiff").getpixel((4, 4)) == (255, 0, 0)
    assert rules_of(tmp_path / "a.tiff") == ("CMYK",)


@pytest.mark.parametrize("ending", ["png", "tiff"])
def test_sixteen_bits_are_scaled_and_not_stretched(tmp_path: Path, ending: str) -> None:
    levels = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    Image.fromarray(levels).save(tmp_path / f"a.{ending}")
    assert np.asarray(decode(tmp_path / f"a.{ending}"))[0, :, 0].tolist() == [0, 1, 128, 255]
    assert rules_of(tmp_path / f"a.{ending}") == ("16-bit",)


def test_32_bit_pictures_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "a.tiff")
    with pytest.raises(PictureError, match="32-bit"):
        decode(tmp_path / "a.tiff")


@pytest.mark.parametrize("ending", ["gif", "png", "webp", "tiff"])
def test_of_an_animation_the_first_frame_counts(tmp_path: Path, ending: str) -> None:
    second = Image.new("RGB", (40, 30), (255, 0, 0))
    lossless = {"lossless": True} if ending == "webp" else {}
    picture().save(tmp_path / f"a.{ending}", save_all=True, append_images=[second], **lossless)
    assert np.array_equal(decode(tmp_path / f"a.{ending}"), picture())
    assert "animated" in rules_of(tmp_path / f"a.{ending}")


def test_one_pixel_is_a_picture(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), SEA).save(tmp_path / "a.png")
    pixels = np.asarray(shrink(decode(tmp_path / "a.png"), 32))
    assert np.array_equal(square(pixels, 32), np.broadcast_to(np.uint8(SEA), (32, 32, 3)))


def test_what_is_longer_than_16_to_1_is_cut_around_its_centre(tmp_path: Path) -> None:
    for size, kept in (((1000, 10), (160, 10)), ((10, 1000), (10, 160)), ((160, 10), (160, 10))):
        Image.linear_gradient("L").resize(size).save(tmp_path / "a.png")
        assert decode(tmp_path / "a.png").size == kept
    whole = np.asarray(Image.linear_gradient("L").resize((10, 1000)))
    Image.fromarray(whole).save(tmp_path / "a.png")
    assert np.array_equal(np.asarray(decode(tmp_path / "a.png"))[:, :, 0], whole[420:580])


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "bmp", "gif"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_truncated_files_are_refused(tmp_path: Path, ending: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / f"a.{ending}")
    data = (tmp_path / f"a.{ending}").read_bytes()
    (tmp_path / "cut").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(PictureError):
        decode(tmp_path / "cut")


def test_empty_files_texts_and_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("not a picture at all")
    for name, why in (
        ("empty.jpg", "empty"),
        ("text.jpg", "none of"),
        (".", "it is a folder: name the pictures in it"),
        ("gone.jpg", "regular"),
    ):
        with pytest.raises(PictureError, match=why):
            decode(tmp_path / name)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [7_100, 12_000, 60_000])
def test_a_header_of_more_than_50_megapixels_is_refused_unread(side: int) -> None:
    with pytest.raises(PictureError, match="50 megapixels"):
        decode_bytes(png_that_claims(side, side))


def test_shrinking_never_enlarges() -> None:
    assert shrink(picture(40, 30), 30).size == (40, 30)
    assert shrink(picture(40, 30), 64).size == (40, 30)
    assert shrink(picture(41, 30), 10).size == (13, 10)
    assert shrink(picture(30, 41), 10).size == (10, 13)


def test_cropping_equals_torchvision() -> None:
    draw = np.random.default_rng(0)
    for number in range(120):
        height, width = (int(side) for side in draw.integers(12, 150, 2))
        image_px = int(draw.integers(8, 120))
        fraction = float(draw.choice([1.0, 0.875, 0.9, 224 / 232]))
        interpolation = ("bilinear", "bicubic")[number % 2]
        pixels = draw.integers(0, 256, (height, width, 3), dtype=np.uint8)
        ours = square(pixels, image_px, crop_fraction=fraction, interpolation=interpolation)
        resized = Resize(round(image_px / fraction), InterpolationMode(interpolation))(Image.fromarray(pixels))
        assert np.array_equal(ours, CenterCrop(image_px)(resized)), (height, width, image_px, fraction)


def test_squashing_keeps_all_and_padding_keeps_the_shape() -> None:
    pixels = np.full((30, 60, 3), 200, np.uint8)
    assert (square(pixels, 40, resize="squash") == 200).all()
    padded = square(pixels, 40, resize="pad")
    assert (padded[10:30] == 200).all()
    assert (padded[:10] == 0).all()
    assert (padded[30:] == 0).all()


def test_squares_can_be_written_to() -> None:
    pixels = np.zeros((20, 20, 3), np.uint8)
    pixels.flags.writeable = False
    for resize in ("crop", "squash", "pad"):
        assert square(pixels, 20, resize=resize).flags.writeable


def square(
    pixels: NDArray[np.uint8],
    image_px: int,
    resize: str = "crop",
    crop_fraction: float = 1.0,
    interpolation: str = "bilinear",
) -> NDArray[np.uint8]:
    return fit(pixels, image_px=image_px, resize=resize, crop_fraction=crop_fraction, interpolation=interpolation)


def png_that_claims(width: int, height: int) -> bytes:
    """A few bytes that say they are a huge picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
