"""What a dataset plugin found is checked before a pixel is read."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tlsearch.data.source import check_dataset, group_names, relative_names
from tlsearch.errors import DataError
from tlsearch.specs import Dataset, ImageFile

ROOT = Path("photos")


def dataset(*names: str, classes: tuple[str, ...] = ("cat", "dog")) -> Dataset:
    images = tuple(ImageFile(path=ROOT / name, label=index % len(classes)) for index, name in enumerate(names))
    return Dataset(root=ROOT, classes=classes, images=images)


def test_a_usable_dataset_passes() -> None:
    check_dataset(dataset("cat/a.png", "dog/b.png"))


def test_no_pictures_and_one_class_are_refused() -> None:
    with pytest.raises(DataError, match="no pictures"):
        check_dataset(dataset())
    with pytest.raises(DataError, match="one class: 'cat'"):
        check_dataset(dataset("a.png", classes=("cat",)))


@pytest.mark.parametrize("classes", [("Cat", "cat"), ("caf\u00e9", "cafe\u0301"), ("stra\u00dfe", "STRASSE")])
def test_class_names_that_differ_only_in_case_or_form_are_refused(classes: tuple[str, str]) -> None:
    with pytest.raises(DataError, match="differ only in case or Unicode form") as caught:
        check_dataset(dataset("a.png", "b.png", classes=classes))
    assert caught.value.message.isascii()  # so that two forms of one letter can be told apart


def test_a_plugin_cannot_invent_labels_repeat_files_or_leave_its_root() -> None:
    good = dataset("cat/a.png", "dog/b.png")
    first = good.images[0]
    for image, why in (
        (replace(first, label=2), "no class"),
        (good.images[1], "more than once"),
        (replace(first, path=Path("/etc/passwd")), "outside"),
    ):
        with pytest.raises(DataError, match=why):
            check_dataset(replace(good, images=(image, good.images[1])))


def test_names_are_relative_and_storable(tmp_path: Path) -> None:
    odd = os.fsdecode(b"cat/\xff.png")
    name = relative_names(dataset("cat/a b.png", odd))
    assert name == ("cat/a b.png", "cat/\\xff.png")
    assert all(text.encode() for text in name)


def test_groups_come_from_a_pattern() -> None:
    photos = dataset("cat/one_frame1.png", "cat/one_frame2.png", "dog/one_frame1.png", "dog/alone.png")
    files = relative_names(photos)
    named = group_names(photos, files, r"(?P<group>.+)_frame\d+")
    assert named == ("cat/one", "cat/one", "dog/one", None)
    assert group_names(photos, files, r"([a-z]+)_frame") == ("one", "one", "one", None)
    assert group_names(photos, files, r"frame\d") == ("frame1", "frame2", "frame1", None)


def test_without_a_pattern_groups_are_the_dataset_s_own() -> None:
    photos = dataset("a.png", "b.png")
    grouped = replace(photos, images=(replace(photos.images[0], group="g"), photos.images[1]))
    assert group_names(grouped, relative_names(grouped), None) == ("g", None)


def test_a_pattern_that_is_none_or_matches_nothing_is_refused() -> None:
    photos = dataset("cat/a.png", "dog/b.png")
    for pattern, why in (("(", "no regular expression"), ("frame", "matches no file, such as 'cat/a.png'")):
        with pytest.raises(DataError, match=why):
            group_names(photos, relative_names(photos), pattern)
