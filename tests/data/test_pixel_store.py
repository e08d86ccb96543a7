"""The pixel store: decoded once, the same for ever, never trusted when damaged."""

import hashlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tlsearch.data.pixels import PixelStore, decode, fit, resize_px, shrink
from tlsearch.errors import DataError
from tlsearch.specs import Preprocessing


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Pictures of several sizes and formats, one of them no picture."""
    draw = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    paths = [tmp_path / "photos" / name for name in ("a.jpg", "b.png", "c.png", "d.bmp")]
    for path, (height, width) in zip(paths, ((90, 60), (40, 80), (20, 20), (64, 64)), strict=True):
        Image.fromarray(draw.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
    broken = tmp_path / "photos" / "e.jpg"
    broken.write_bytes(paths[0].read_bytes()[:400])
    return [*paths, broken]


def built(files: Sequence[Path], tmp_path: Path, shorter_px: int = 32) -> PixelStore:
    return PixelStore.build(files, shorter_px, tmp_path / "cache")


def test_a_store_holds_what_decoding_and_shrinking_give(files: list[Path], tmp_path: Path) -> None:
    store = built(files, tmp_path)
    assert len(store) == 5
    for index, path in enumerate(files[:4]):
        assert np.array_equal(store[index], shrink(decode(path), 32))
        whole = decode(path)
        assert store.sizes[index] == whole.size
        named = f"{whole.width}x{whole.height}:".encode()
        assert store.hashes[index] == hashlib.sha256(named + whole.tobytes()).hexdigest()


def test_a_picture_that_cannot_be_read_has_a_reason_and_no_pixels(files: list[Path], tmp_path: Path) -> None:
    store = built(files, tmp_path)
    assert list(store.failures) == [4]
    assert "damaged" in store.failures[4]
    assert (store[4].shape, store.hashes[4]) == ((0, 0, 3), "")


def test_a_store_in_which_nothing_can_be_read_opens(files: list[Path], tmp_path: Path) -> None:
    assert list(built(files[4:], tmp_path).failures) == [0]


def test_pixels_cannot_be_overwritten(files: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        built(files, tmp_path)[0][0, 0] = 0


def test_the_second_build_decodes_nothing(files: list[Path], tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    first = PixelStore.build(files, 32, tmp_path / "cache", lambda *at: told.append(at))
    each = [(done, 5) for done in range(1, 6)]
    assert told == [(what, *at) for what in ("reading pictures", "decoding pictures") for at in each]
    told.clear()
    again = PixelStore.build(files, 32, tmp_path / "cache", lambda *at: told.append(at))
    assert {what for what, _, _ in told} == {"reading pictures"}
    assert (again.folder, again.digest) == (first.folder, first.digest)


def test_another_side_that_will_be_wanted_is_decoded_in_the_same_pass(files: list[Path], tmp_path: Path) -> None:
    told: list[str] = []
    small = PixelStore.build(files, 32, tmp_path / "both", also_px=48)
    larger = PixelStore.build(files, 48, tmp_path / "both", lambda what, *_: told.append(what))
    assert set(told) == {"reading pictures"}
    beside = small.at(48)
    assert beside is not None
    assert beside.digest == larger.digest
    assert small.at(40) is None
    (beside.folder / "index.json").write_text("damaged")
    assert small.at(48) is None
    for store, px in ((small, 32), (larger, 48)):
        alone = PixelStore.build(files, px, tmp_path / f"alone at {px}")
        assert (store.digest, bytes(store.flat)) == (alone.digest, bytes(alone.flat))


def test_other_bytes_order_or_size_make_another_store(files: list[Path], tmp_path: Path) -> None:
    folders = {built(files, tmp_path).folder, built(files, tmp_path, 48).folder, built(files[::-1], tmp_path).folder}
    Image.new("RGB", (20, 20)).save(files[2])
    folders.add(built(files, tmp_path).folder)
    assert len(folders) == 4


def test_names_and_times_of_files_do_not_matter(files: list[Path], tmp_path: Path) -> None:
    store = built(files, tmp_path)
    moved = [path.rename(path.with_name(f"moved-{path.name}")) for path in files]
    os.utime(moved[0], (0, 0))
    assert built(moved, tmp_path).digest == store.digest


def test_equal_pixels_in_other_files_have_equal_hashes(tmp_path: Path) -> None:
    image = Image.linear_gradient("L").convert("RGB")
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "b.bmp")
    image.resize((128, 128)).save(tmp_path / "c.png")
    store = built([tmp_path / "a.png", tmp_path / "b.bmp", tmp_path / "c.png"], tmp_path)
    assert store.hashes[0] == store.hashes[1] != store.hashes[2]


@pytest.mark.parametrize("name", ["pixels.bin", "index.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_store_is_refused_and_made_anew(files: list[Path], tmp_path: Path, name: str, damage: str) -> None:
    store = built(files, tmp_path)
    before, path = bytes(store.flat), store.folder / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()  # a store that is open keeps its own bytes
    if damage != "remove":
        path.write_bytes(data if damage == "flip" else data[: len(data) // 2])
    with pytest.raises(DataError, match="cannot be used"):
        PixelStore.open(store.folder)
    assert bytes(built(files, tmp_path).flat) == before


@pytest.mark.parametrize("name", ["pixels.bin", "index.json"])
def test_a_store_that_was_hashed_before_is_still_no_other_and_no_shorter(
    files: list[Path], tmp_path: Path, name: str
) -> None:
    folder = built(files, tmp_path).folder
    whole = PixelStore.open(folder)
    assert PixelStore.open(folder, hashed=True).digest == whole.digest
    data = (folder / name).read_bytes()
    (folder / name).unlink()  # a store that is open keeps its own bytes
    (folder / name).write_bytes(data[:-3])
    with pytest.raises(DataError, match="cannot be used"):
        PixelStore.open(folder, hashed=True)


def test_who_did_not_write_a_store_sees_that_a_bit_of_it_is_another(files: list[Path], tmp_path: Path) -> None:
    store = PixelStore.build(files, 32, tmp_path / "cache", also_px=48)
    beside = store.at(48)
    assert beside is not None
    pixels = beside.folder / "pixels.bin"
    data = bytearray(pixels.read_bytes())
    data[7] ^= 1
    pixels.unlink()  # a store that is open keeps its own bytes
    pixels.write_bytes(data)
    assert PixelStore.open(beside.folder, hashed=True).digest == beside.digest
    assert store.at(48) is None
    assert bytes(PixelStore.build(files, 48, tmp_path / "cache").flat) == bytes(beside.flat)


def test_nothing_unfinished_is_left_behind(files: list[Path], tmp_path: Path) -> None:
    store = built(files, tmp_path)
    assert list((tmp_path / "cache").iterdir()) == [store.folder]


def test_a_stop_while_decoding_leaves_nothing_behind(files: list[Path], tmp_path: Path) -> None:
    def stop(what: str, done: int, total: int) -> None:
        if what == "decoding pictures":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PixelStore.build(files, 32, tmp_path / "cache", stop)
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_a_killed_process_left_is_removed_once_nobody_writes_to_it(files: list[Path], tmp_path: Path) -> None:
    for name, folder_age_s, pixels_age_s in (("dead", 7200, 7200), ("at-work", 7200, 60), ("new", 60, 60)):
        folder = tmp_path / "cache" / f".unfinished-{name}"
        folder.mkdir(parents=True)
        (folder / "pixels.bin").write_bytes(b"1234")
        for path, age_s in ((folder / "pixels.bin", pixels_age_s), (folder, folder_age_s)):
            os.utime(path, (time.time() - age_s,) * 2)
    store = built(files, tmp_path)
    left = {path.name for path in (tmp_path / "cache").iterdir()}
    assert left == {".unfinished-at-work", ".unfinished-new", store.folder.name}


def test_a_clock_that_jumps_takes_no_folder_from_its_own_process(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 86_400)
    PixelStore.build(files, 32, tmp_path / "both", also_px=48)
    assert {PixelStore.open(folder).shorter_px for folder in (tmp_path / "both").iterdir()} == {32, 48}


def test_a_file_that_changes_while_it_is_read_is_an_error(files: list[Path], tmp_path: Path) -> None:
    many = files[:1] + files[3:4] * 20

    def overwrite(what: str, done: int, total: int) -> None:
        if what == "decoding pictures":
            Image.new("RGB", (9, 9)).save(files[3])

    with pytest.raises(DataError, match="changed while"):
        PixelStore.build(many, 32, tmp_path / "cache", overwrite)


def test_decode_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_text("no picture")
    with pytest.raises(DataError, match=r"cat\.jpg cannot be used: the content is none of"):
        decode(tmp_path / "cat.jpg")


def test_the_stored_size_is_the_smallest_that_a_network_does_not_enlarge() -> None:
    assert resize_px(Preprocessing(), 160) == 160
    assert resize_px(Preprocessing(crop_fraction=0.875), 224) == 256
    assert resize_px(Preprocessing(resize="squash", crop_fraction=0.5), 160) == 160
    assert resize_px(Preprocessing(resize="pad"), 160) == 160


def test_a_stored_picture_of_the_needed_size_is_only_cropped() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (256, 300, 3), dtype=np.uint8)
    square = fit(pixels, Preprocessing(crop_fraction=0.875), 224)
    assert np.array_equal(square, pixels[16:240, 38:262])
