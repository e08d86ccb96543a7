"""From a folder of files to labels, pixels and splits: what is refused, what is linked, what is reported."""

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tlsearch.data.prepare import PreparedData, prepare_data
from tlsearch.errors import DataError
from tlsearch.specs import Dataset
from tlsearch.study import DataTable
from tlsearch_datasets.folder import FolderOptions, load


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes, ten different pictures each."""
    for name, first in (("cat", 0), ("dog", 100)):
        for number in range(10):
            photo(tmp_path / "photos" / name / f"{number}.png", first + number)
    return tmp_path / "photos"


def photo(path: Path, number: int, ending: str = "PNG") -> Path:
    """A picture that its number alone decides."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(number).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, format=ending)
    return path


def prepared(
    root: Path, config: DataTable | None = None, seed: int = 1, *, dataset: Dataset | None = None
) -> PreparedData:
    return prepare_data(
        config or DataTable(folds=3),
        dataset or load(FolderOptions(path=str(root)), root),
        shorter_px=20,
        seed=seed,
        repeats=2,
        cache_dir=root.parent / "cache",
    )


def names(data: PreparedData, indices: tuple[int, ...]) -> set[str]:
    return {data.files[index] for index in indices}


def test_every_picture_is_developed_with_or_held_out(photos: Path) -> None:
    data = prepared(photos)
    assert sorted(data.development + data.holdout) == list(range(20))
    assert list(data.development) == sorted(data.development)
    assert len(data.folds) == 2
    assert data.folds[0] != data.folds[1]
    assert all(set(partition) == {0, 1, 2} for partition in data.folds)
    for label in (0, 1):
        assert any(data.labels[index] == label for index in data.holdout)
    assert (data.class_ratio, data.ready_parts, data.findings.used) == (1.0, False, 20)


def test_the_seed_decides_folds_and_not_the_holdout(photos: Path) -> None:
    one, other = prepared(photos, seed=1), prepared(photos, seed=2)
    assert one.holdout == other.holdout
    assert one.folds != other.folds
    assert one.folds == prepared(photos, seed=1).folds


def test_findings_travel_as_json(photos: Path) -> None:
    findings = prepared(photos).findings.to_json()
    assert json.loads(json.dumps(findings))["per_class"] == {"cat": 10, "dog": 10}


def test_unreadable_files_are_all_named_at_once(photos: Path) -> None:
    (photos / "cat/0.png").write_bytes(b"")
    (photos / "cat/1.png").write_text("no picture")
    (photos / "dog/2.png").write_bytes((photos / "dog/3.png").read_bytes()[:200])
    with pytest.raises(DataError, match=r"3 of 20 images cannot be read \(listed in ") as caught:
        prepared(photos)
    (listing,) = (photos.parent / "cache").glob("unreadable-*.txt")
    assert f"(listed in {listing})" in caught.value.message
    assert [line.split(":")[0] for line in listing.read_text().splitlines()] == ["cat/0.png", "cat/1.png", "dog/2.png"]
    assert "bad_images" in str(caught.value.hint)


def test_another_folder_leaves_the_list_of_unreadable_files_alone(photos: Path) -> None:
    other = Path(shutil.copytree(photos, photos.parent / "other"))
    (photos / "cat/0.png").write_bytes(b"")
    (other / "dog/1.png").write_bytes(b"")
    for root in (photos, other):
        with pytest.raises(DataError, match="1 of 20 images cannot be read"):
            prepared(root)
    listings = [path.read_text() for path in (photos.parent / "cache").glob("unreadable-*.txt")]
    assert sorted(text.split(":")[0] for text in listings) == ["cat/0.png", "dog/1.png"]


def test_a_few_unreadable_files_may_be_skipped(photos: Path) -> None:
    for number in range(30):
        photo(photos / "cat" / f"more-{number}.png", 200 + number)
    (photos / "cat/0.png").write_bytes(b"")
    data = prepared(photos, DataTable(folds=3, bad_images="skip"))
    assert dict(data.findings.unreadable) == {"cat/0.png": "the file is empty"}
    assert "cat/0.png" not in names(data, data.development + data.holdout)
    assert data.findings.used == 49


def test_more_than_5_percent_of_a_class_are_never_skipped(photos: Path) -> None:
    for name in ("cat/0.png", "dog/0.png", "dog/1.png"):
        (photos / name).write_bytes(b"")
    with pytest.raises(DataError, match="3 of 20 images") as caught:
        prepared(photos, DataTable(folds=3, bad_images="skip"))
    assert "1 of 10 in class 'cat', 2 of 10 in class 'dog'" in str(caught.value.hint)


def test_mislabelled_endings_are_read_by_content(photos: Path) -> None:
    photo(photos / "cat/really-a-jpeg.PNG", 300, ending="JPEG")
    assert prepared(photos).findings.used == 21


def test_equal_pictures_of_one_class_stay_on_one_side(photos: Path) -> None:
    for number in range(10):
        Image.open(photos / f"cat/{number}.png").save(photos / f"cat/copy-of-{number}.bmp")
    data = prepared(photos)
    assert len(data.findings.duplicates) == 10
    side = dict.fromkeys(data.holdout, ("holdout", 0)) | dict(zip(data.development, data.folds[0], strict=True))
    of_name = {data.files[index]: where for index, where in side.items()}
    assert all(of_name[f"cat/{n}.png"] == of_name[f"cat/copy-of-{n}.bmp"] for n in range(10))


def test_equal_pictures_of_two_classes_are_an_error_with_the_list(photos: Path) -> None:
    photo(photos / "dog/odd.bmp", 3, ending="BMP")
    told = r"1 picture stands under more than one label: cat/3\.png \(cat\) = dog/odd\.bmp \(dog\)$"
    with pytest.raises(DataError, match=told) as caught:
        prepared(photos)
    assert caught.value.hint == "keep each in the class where it belongs"


def test_of_many_equal_pictures_of_two_classes_twenty_are_told_and_how_to_see_all(tmp_path: Path) -> None:
    for number in range(22):
        photo(tmp_path / f"many/cat/{number}.png", number)
        photo(tmp_path / f"many/dog/{number}.png", number)
    with pytest.raises(DataError, match="22 pictures stand") as caught:
        prepared(tmp_path / "many")
    assert caught.value.message.count(" = ") == 20
    assert caught.value.message.endswith("; …")
    assert (caught.value.hint or "").endswith("; tlsearch data check STUDY lists all")


def test_groups_stay_on_one_side(photos: Path) -> None:
    for number in range(40):
        photo(photos / f"cat/film{number // 4}_frame{number}.png", 400 + number)
        photo(photos / f"dog/film{number // 4}_frame{number}.png", 500 + number)
    data = prepared(photos, DataTable(folds=3, group_by=r"(?P<group>.+)_frame\d+"))
    held = {data.groups[index] for index in data.holdout}
    assert not held & {data.groups[index] for index in data.development}
    of_group: dict[str, set[int]] = {}
    for index, fold in zip(data.development, data.folds[0], strict=True):
        of_group.setdefault(data.groups[index], set()).add(fold)
    assert all(len(folds) == 1 for folds in of_group.values())


def test_a_grown_folder_keeps_its_holdout(photos: Path) -> None:
    before = prepared(photos)
    for number in range(30):
        photo(photos / f"cat/a-{number}.png", 600 + number)
        photo(photos / f"dog/a-{number}.png", 700 + number)
    after = prepared(photos)
    assert names(before, before.holdout) <= names(after, after.holdout)
    assert names(before, before.development) <= names(after, after.development)


@pytest.mark.parametrize(("count", "text"), [(0, "0 images"), (1, "1 image"), (4, "4 images")])
def test_a_class_that_is_too_small_is_named(photos: Path, count: int, text: str) -> None:
    (photos / "fox").mkdir()
    for number in range(count):
        photo(photos / f"fox/{number}.png", 800 + number)
    with pytest.raises(DataError, match=f"class 'fox' has {text}; a study with 3 folds needs at least 5"):
        prepared(photos)


def test_copies_do_not_make_a_class_large_enough(photos: Path) -> None:
    for number in range(9):
        photo(photos / f"fox/{number}.png", 800)
    with pytest.raises(DataError, match="class 'fox' has 9 images in 1 group"):
        prepared(photos)


def test_a_folds_setting_that_fits_is_proposed(photos: Path) -> None:
    for number in range(4):
        photo(photos / f"fox/{number}.png", 800 + number)
    with pytest.raises(DataError) as caught:
        prepared(photos)
    assert "data.folds = 2 or data.holdout = 0" in str(caught.value.hint)
    assert prepared(photos, DataTable(folds=2)).findings.used == 24
    assert prepared(photos, DataTable(folds=3, holdout=0.0)).findings.used == 24


def test_settings_are_not_proposed_where_none_is_enough(photos: Path) -> None:
    photo(photos / "fox/0.png", 800)
    with pytest.raises(DataError) as caught:
        prepared(photos)
    assert "data.folds =" not in str(caught.value.hint)
    assert "with a lower data.folds, or data.holdout = 0, fewer are enough" in str(caught.value.hint)
    for settings in (DataTable(folds=1), DataTable(folds=3, holdout=0.0), DataTable(folds=1, holdout=0.0)):
        with pytest.raises(DataError, match="class 'fox' has 1 image"):
            prepared(photos, settings)


def test_no_holdout_leaves_all_for_development(photos: Path) -> None:
    data = prepared(photos, DataTable(folds=3, holdout=0.0))
    assert data.holdout == ()
    assert len(data.development) == 20


def test_conversions_and_small_pictures_are_counted(photos: Path) -> None:
    Image.linear_gradient("L").save(photos / "cat/grey.png")
    Image.new("CMYK", (30, 30), (1, 2, 3, 4)).save(photos / "dog/cmyk.tiff")
    Image.new("RGB", (1, 1)).save(photos / "dog/tiny.png")
    findings = prepared(photos).findings
    assert dict(findings.conversions) == {"CMYK": 1, "grey": 1}
    assert findings.enlarged == 1


def in_parts(root: Path, **sizes: int) -> Path:
    """Two classes in each part, every picture another one."""
    number = 0
    for part, size in sizes.items():
        for name in ("cat", "dog"):
            for index in range(size):
                photo(root / part / name / f"{index}.png", number)
                number += 1
    return root


def test_ready_parts_are_respected(tmp_path: Path) -> None:
    data = prepared(in_parts(tmp_path / "photos", train=6, val=3, test=4))
    assert {name.split("/")[0] for name in names(data, data.holdout)} == {"test"}
    fold_of = {data.files[i].split("/")[0]: fold for i, fold in zip(data.development, data.folds[0], strict=True)}
    assert fold_of == {"train": -1, "val": 0}
    assert data.ready_parts


def test_what_a_val_part_picked_is_confirmed_on_train_and_val_dealt_anew(tmp_path: Path) -> None:
    root = in_parts(tmp_path / "photos", train=15, val=5, test=4)
    data = prepared(root)
    ready, again = data.folds
    assert again != ready
    assert set(again) == {-1, 0}
    for partition in (ready, again):
        scored = [data.labels[i] for i, fold in zip(data.development, partition, strict=True) if fold == 0]
        assert Counter(scored) == {0: 5, 1: 5}
    parts_scored = {data.files[i].split("/")[0] for i, fold in zip(data.development, again, strict=True) if fold == 0}
    assert parts_scored == {"train", "val"}
    assert prepared(root, seed=2).folds[1] != prepared(root, seed=1).folds[1]


def test_without_a_test_part_the_holdout_comes_from_train_alone(tmp_path: Path) -> None:
    data = prepared(in_parts(tmp_path / "photos", train=12, val=3))
    parts = Counter(data.files[index].split("/")[0] for index in data.holdout)
    assert set(parts) == {"train"}
    scored = [i for i, fold in zip(data.development, data.folds[0], strict=True) if fold == 0]
    assert names(data, tuple(scored)) == {name for name in data.files if name.startswith("val/")}


def test_without_a_val_part_train_is_dealt_into_folds(tmp_path: Path) -> None:
    data = prepared(in_parts(tmp_path / "photos", train=9, test=3))
    assert {name.split("/")[0] for name in names(data, data.holdout)} == {"test"}
    assert set(data.folds[0]) == {0, 1, 2}


def test_a_part_that_lacks_a_class_is_refused(tmp_path: Path) -> None:
    root = in_parts(tmp_path / "photos", train=6, val=3)
    photo(root / "train/fox/a.png", 900)
    with pytest.raises(DataError, match="part 'val' has no image of class 'fox'"):
        prepared(root)


def test_a_picture_on_both_sides_of_ready_parts_is_an_error(tmp_path: Path) -> None:
    root = in_parts(tmp_path / "photos", train=6, val=3, test=4)
    photo(root / "test/cat/leak.bmp", 2, ending="BMP")
    with pytest.raises(DataError, match=r"train/cat/2\.png \(train\) and test/cat/leak\.bmp \(test\)") as caught:
        prepared(root)
    assert "data.leaks" in str(caught.value.hint)


def test_a_leak_may_be_dropped_from_the_side_that_is_held_out_less(tmp_path: Path) -> None:
    root = in_parts(tmp_path / "photos", train=6, val=3, test=4)
    photo(root / "test/cat/leak.bmp", 2, ending="BMP")
    data = prepared(root, DataTable(leaks="drop"))
    assert data.findings.dropped == ("train/cat/2.png",)
    assert "test/cat/leak.bmp" in names(data, data.holdout)
    assert "train/cat/2.png" not in names(data, data.development)


def test_groups_that_ready_parts_divide_are_leaks(tmp_path: Path) -> None:
    root = in_parts(tmp_path / "photos", train=6, val=3, test=4)
    photo(root / "train/cat/film_1.png", 901)
    photo(root / "test/cat/film_2.png", 902)
    with pytest.raises(DataError, match="both sides"):
        prepared(root, DataTable(group_by=r"(?P<group>film)_\d"))


def only_the_tests_are_marked(root: Path) -> Dataset:
    """As a plugin finds it that marks no picture but those of `test`."""
    found = load(FolderOptions(path=str(root)), root)
    images = tuple(replace(image, part="test" if image.part == "test" else None) for image in found.images)
    return replace(found, images=images)


def test_pictures_without_a_part_are_in_train_and_leak_from_there(tmp_path: Path) -> None:
    root = in_parts(tmp_path / "photos", train=9, test=4)
    whole = prepared(root, dataset=only_the_tests_are_marked(root))
    assert {name.split("/")[0] for name in names(whole, whole.development)} == {"train"}
    photo(root / "test/cat/leak.bmp", 2, ending="BMP")
    with pytest.raises(DataError, match=r"train/cat/2\.png \(train\) and test/cat/leak\.bmp \(test\)"):
        prepared(root, dataset=only_the_tests_are_marked(root))
    dropped = prepared(root, DataTable(folds=3, leaks="drop"), dataset=only_the_tests_are_marked(root))
    held = {dropped.groups[index] for index in dropped.holdout}
    assert not held & {dropped.groups[index] for index in dropped.development}


def test_hostile_names_are_carried_as_they_are(photos: Path) -> None:
    for number, name in enumerate(["<script>", "{{7*7}}", "a\nb", "\x1b[2J", "\u202e", "=1+1", "a?x#y%00", "CON"]):
        photo(photos / f"cat/{name}.png", 950 + number)
    assert prepared(photos).findings.used == 28
