"""celebs_demo: the generator is frozen, and its stream never repeats the set."""

import hashlib
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tlsearch import Dataset
from tlsearch_datasets.celebs_demo import CelebsDemoOptions, load
from tlsearch_datasets.celebs_drawing import PICTURE_PX, draw, fresh
from tlsearch_datasets.celebs_people import PEOPLE

SET_DIGEST = "b5b966784ab79f041c498388026186f50d88728024be1f236c4632b83fcf63cd"
FRESH_DIGEST = "99c1a19e9419f7d73991d276e73939533464957163adc0ab94e3492b5918d730"


@pytest.fixture(scope="module")
def celebs(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load(CelebsDemoOptions(), tmp_path_factory.mktemp("celebs"))


def pixels_of(path: Path) -> bytes:
    with Image.open(path) as image:
        return image.tobytes()


def test_the_set_is_frozen_to_the_pixel(celebs: Dataset) -> None:
    pixels = hashlib.sha256()
    for image in celebs.images:
        pixels.update(pixels_of(image.path))
    assert pixels.hexdigest() == SET_DIGEST


def test_the_stream_is_frozen_to_the_pixel() -> None:
    first_ten = b"".join(picture.tobytes() for picture, _ in islice(fresh(1), 10))
    assert hashlib.sha256(first_ten).hexdigest() == FRESH_DIGEST


def test_five_people_have_thirty_pictures_each_and_no_two_are_equal(celebs: Dataset) -> None:
    assert np.bincount([image.label for image in celebs.images]).tolist() == [30] * 5
    assert len({pixels_of(image.path) for image in celebs.images}) == 150


def test_a_second_load_keeps_the_files_and_draws_what_is_missing(tmp_path: Path) -> None:
    options = CelebsDemoOptions(pictures=5)
    before = load(options, tmp_path)
    kept, lost = before.images[0].path, before.images[1].path
    drawn_at, pixels = kept.stat().st_mtime_ns, pixels_of(lost)
    lost.unlink()
    assert load(options, tmp_path).images == before.images
    assert kept.stat().st_mtime_ns == drawn_at
    assert pixels_of(lost) == pixels


def test_fresh_drawings_repeat_neither_the_set_nor_another_seed(celebs: Dataset) -> None:
    known = {pixels_of(image.path) for image in celebs.images}
    ours = {picture.tobytes() for picture, _ in islice(fresh(1), 100)}
    others = {picture.tobytes() for picture, _ in islice(fresh(2), 100)}
    assert len(ours) == len(others) == 100
    assert not known & ours
    assert not known & others
    assert not ours & others


def test_fresh_drawings_show_everyone_equally_often() -> None:
    pictures, labels = zip(*islice(fresh(3), 50), strict=True)
    assert np.bincount(labels).tolist() == [10] * 5
    assert all(p.shape == (PICTURE_PX, PICTURE_PX, 3) and p.dtype == np.uint8 for p in pictures)


def test_pictures_of_one_person_vary() -> None:
    first, second = (draw(PEOPLE[0], key).astype(int) for key in ("a", "b"))
    assert np.abs(first - second).mean() > 5


def test_the_reports_are_told_that_these_are_drawings(celebs: Dataset) -> None:
    assert any("drawings" in note for note in celebs.notes)
    assert celebs.license == "CC0-1.0"
