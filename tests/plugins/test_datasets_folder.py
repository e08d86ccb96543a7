"""folder: finds classes, parts and files; names what cannot be used."""

import os
from pathlib import Path

import pytest
from PIL import Image

from tlsearch import DataError, Dataset
from tlsearch_datasets.folder import FolderOptions, load


def photo(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8)).save(path, format="PNG")
    return path


def loaded(root: Path) -> Dataset:
    return load(FolderOptions(path=str(root)), root)


def found(dataset: Dataset) -> list[tuple[str, str, str | None]]:
    return [(i.path.relative_to(dataset.root).as_posix(), dataset.classes[i.label], i.part) for i in dataset.images]


def test_sub_folders_are_classes_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("dog/b.png", "cat/a.JPG", "cat/deep/er/c", "cat/B.png"):
        photo(tmp_path / name)
    dataset = loaded(tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert found(dataset) == [
        ("cat/B.png", "cat", None),
        ("cat/a.JPG", "cat", None),
        ("cat/deep/er/c", "cat", None),
        ("dog/b.png", "dog", None),
    ]


@pytest.mark.parametrize(("val", "test"), [("val", "test"), ("valid", "Test"), ("Validation", "testing")])
def test_ready_parts_are_respected_under_their_usual_names(tmp_path: Path, val: str, test: str) -> None:
    for part in ("train", val, test):
        for name in ("cat", "dog"):
            photo(tmp_path / part / name / "a.png")
    dataset = loaded(tmp_path)
    assert dataset.classes == ("cat", "dog")
    assert sorted({(path.split("/")[0], part) for path, _, part in found(dataset)}) == sorted(
        {("train", "train"), (val, "val"), (test, "test")}
    )


def test_classes_that_are_called_like_a_part_are_classes(tmp_path: Path) -> None:
    for name in ("train/a.png", "test/b.png", "steam/c.png"):
        photo(tmp_path / name)
    assert loaded(tmp_path).classes == ("steam", "test", "train")


def test_two_folders_for_one_part_are_refused(tmp_path: Path) -> None:
    for name in ("train/cat/a.png", "val/cat/b.png", "valid/cat/c.png"):
        photo(tmp_path / name)
    with pytest.raises(DataError, match="two folders for one part"):
        loaded(tmp_path)


def test_what_systems_leave_behind_is_ignored_and_counted(tmp_path: Path) -> None:
    photo(tmp_path / "cat/a.png")
    photo(tmp_path / "dog/a.png")
    left_behind = (".DS_Store", "cat/.DS_Store", "cat/._a.png", "cat/Thumbs.db", "dog/notes.TXT", "labels.csv")
    for name in left_behind:
        (tmp_path / name).write_bytes(b"x")
    photo(tmp_path / ".git/objects/a.png")
    photo(tmp_path / "__MACOSX/cat/a.png")
    dataset = loaded(tmp_path)
    assert len(dataset.images) == 2
    assert dataset.ignored == tuple(sorted((*left_behind, ".git", "__MACOSX")))


def test_an_empty_class_is_a_class_so_that_it_is_named_later(tmp_path: Path) -> None:
    photo(tmp_path / "cat/a.png")
    (tmp_path / "dog").mkdir()
    assert loaded(tmp_path).classes == ("cat", "dog")


def test_a_missing_folder_and_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        loaded(tmp_path / "gone")
    with pytest.raises(DataError, match="not a folder"):
        loaded(photo(tmp_path / "a.png"))


def test_an_empty_folder_and_one_with_photos_alone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no sub-folders"):
        loaded(tmp_path)
    photo(tmp_path / "a.png")
    with pytest.raises(DataError, match="no sub-folders") as caught:
        loaded(tmp_path)
    assert "one sub-folder a class" in str(caught.value.hint)


def test_links_out_loops_and_pipes_are_named_together(tmp_path: Path) -> None:
    outside = photo(tmp_path / "outside/a.png")
    root = tmp_path / "photos"
    photo(root / "cat/a.png")
    photo(root / "dog/a.png")
    (root / "cat/out.png").symlink_to(outside)
    (root / "cat/outside").symlink_to(outside.parent)
    (root / "dog/loop").symlink_to(root)
    (root / "dog/self").symlink_to(root / "dog/self")
    (root / "dog/gone.png").symlink_to(root / "nowhere.png")
    os.mkfifo(root / "dog/pipe.png")
    with pytest.raises(DataError) as caught:
        loaded(root)
    assert caught.value.message.startswith("6 entries of ")
    assert caught.value.hint is not None
    for named in ("cat/out.png (a link out", "cat/outside (a link out", "dog/loop (a link in a circle)"):
        assert named in caught.value.message


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    photo(tmp_path / "cat/a.png")
    photo(tmp_path / "dog/b.png")
    (tmp_path / "dog/c.png").symlink_to(tmp_path / "dog/b.png")
    assert [path for path, _, _ in found(loaded(tmp_path))] == ["cat/a.png", "dog/b.png", "dog/c.png"]


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    photo(tmp_path / "photos/cat/a.png")
    photo(tmp_path / "photos/dog/a.png")
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    assert len(loaded(tmp_path / "link").images) == 2
