"""table: photos listed in a CSV file; every line that cannot be used is named at once."""

import os
from pathlib import Path

import pytest
from PIL import Image

from tlsearch import DataError, Dataset
from tlsearch.data.prepare import prepare_data
from tlsearch.study import DataTable
from tlsearch_datasets.table import MOST_BYTES, TableOptions, load


def photo(path: Path, colour: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (colour, 3 * colour % 256, 0)).save(path, format="PNG")
    return path


def table(folder: Path, text: str | bytes, **options: str) -> Dataset:
    file = folder / "labels.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(TableOptions(path=str(file), **options), folder)


def faults(folder: Path, text: str, **options: str) -> list[str]:
    with pytest.raises(DataError) as caught:
        table(folder, text, **options)
    return [line.removeprefix(f"{folder}/labels.csv:") for line in caught.value.message.splitlines()]


def found(dataset: Dataset) -> list[tuple[str, str, str | None]]:
    return [(i.path.relative_to(dataset.root).as_posix(), dataset.classes[i.label], i.group) for i in dataset.images]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "deep/c.png"):
        photo(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_lines_are_read_in_their_order_whatever_separates_the_cells(photos: Path, separator: str, ending: str) -> None:
    rows = [("path", "label", "group"), ("b.png", "dog", "p1"), ("deep/c.png", "cat", ""), ("./a.png", "dog", "p1")]
    dataset = table(photos, ending.join(separator.join(row) for row in rows))
    assert dataset.classes == ("cat", "dog")
    assert found(dataset) == [("b.png", "dog", "p1"), ("deep/c.png", "cat", None), ("a.png", "dog", "p1")]


def test_columns_may_stand_anywhere_under_names_of_ones_own(photos: Path) -> None:
    text = "\ufeffnote;kind;file;who\nx,y,z,w;cat;a.png;ann\n\n;dog;b.png;bob\n"
    dataset = table(photos, text, path_column="file", label_column="kind", group_column="who")
    assert found(dataset) == [("a.png", "cat", "ann"), ("b.png", "dog", "bob")]


def test_without_a_column_of_groups_each_picture_stands_alone(photos: Path) -> None:
    assert [group for _, _, group in found(table(photos, "path,label\na.png,cat\nb.png,dog\n"))] == [None, None]


def test_a_group_stays_on_one_side_of_every_split(tmp_path: Path) -> None:
    lines = ["path,label,group"]
    for number in range(60):
        photo(tmp_path / f"{number}.png", colour=number + 1)
        lines.append(f"{number}.png,{'cat' if number % 2 else 'dog'},person {number // 4}")
    dataset = table(tmp_path, "\n".join(lines))
    config = DataTable(source="table", options={}, folds=3, holdout=0.2)
    data = prepare_data(config, dataset, shorter_px=8, seed=1, repeats=1, cache_dir=tmp_path / "cache")
    side = dict.fromkeys(data.holdout, "holdout")
    side |= {index: f"fold {fold}" for index, fold in zip(data.development, data.folds[0], strict=True)}
    sides = [{side[index] for index in range(60) if index // 4 == person} for person in range(15)]
    assert all(len(one) == 1 for one in sides)
    assert len(set.union(*sides)) == 4


def test_hidden_odd_and_quoted_names_are_names_like_others(tmp_path: Path) -> None:
    odd = (".hidden.png", "it's, really; odd.PNG", "größe 猫.png", "no ending", "two\nlines.png", "line\u2028mark.png")
    for name in odd:
        photo(tmp_path / name)
    rows = "".join(f'"{name}",{"ab"[i % 2]}\n' for i, name in enumerate(odd))
    assert [path for path, _, _ in found(table(tmp_path, f"path,label\n{rows}"))] == list(odd)


def test_paths_may_start_from_another_folder(photos: Path) -> None:
    lists = photos / "lists"
    lists.mkdir()
    dataset = table(lists, f"path,label\na.png,cat\n{photos}/b.png,dog\n", root=str(photos))
    assert found(dataset) == [("a.png", "cat", None), ("b.png", "dog", None)]
    assert dataset.root == photos.resolve()


def test_every_faulty_line_is_told_at_once_with_its_number(photos: Path) -> None:
    (photos / "out.png").symlink_to(photo(photos.parent / f"{photos.name}-outside.png"))
    (photos / "self.png").symlink_to(photos / "self.png")
    os.mkfifo(photos / "pipe.png")
    lines = (
        "path,label",
        "a.png,cat",
        "gone.png,cat",
        f"../{photos.name}-outside.png,dog",
        "/etc/hostname,dog",
        "out.png,dog",
        "self.png,dog",
        "deep,dog",
        "pipe.png,dog",
        "deep/../a.png,dog",
        "b.png,dog",
        f"{'x' * 300}.png,dog",
    )
    told = faults(photos, "\n".join(lines))
    assert [one.partition(": ")[0] for one in told] == ["3", "4", "5", "6", "7", "8", "9", "10", "12"]
    assert told[0] == "3: 'gone.png' does not exist"
    assert "outside of the folder" in told[1]
    assert "outside of the folder" in told[2]
    assert "a link out of the folder" in told[3]
    assert "cannot be reached" in told[4]
    assert told[5:7] == ["8: 'deep' is not a file", "9: 'pipe.png' is not a file"]
    assert told[7] == "10: 'deep/../a.png' is 'dog', and 'cat' in line 2"


def test_lines_with_empty_or_too_many_cells_are_told_at_once(photos: Path) -> None:
    assert faults(photos, "path,label\na.png,\n ,cat\nb.png,dog,x\nb.png\n") == [
        "2: has no label",
        "3: has no path",
        "4: has 3 cells, and the header has 2",
        "5: has 1 cell, and the header has 2",
    ]


def test_lines_without_a_label_are_told_together_with_those_without_a_file(photos: Path) -> None:
    text = "path,label\ngone.png,cat\na.png,cat\nb.png,\n../../etc/passwd,dog\n"
    assert faults(photos, text) == [
        "2: 'gone.png' does not exist",
        "4: has no label",
        "5: '../../etc/passwd' lies outside of the folder",
    ]
    with pytest.raises(DataError) as caught:
        table(photos, text)
    assert "data.root names another" in str(caught.value.hint)
    with pytest.raises(DataError) as caught:
        table(photos, "path,label\na.png,cat\nb.png,\n")
    assert caught.value.hint is None, "another folder gives no label"


def test_many_faults_are_counted_where_they_are_no_longer_shown(photos: Path) -> None:
    told = faults(photos, "path,label\n" + "".join(f"{i}.png,cat\n" for i in range(50)))
    assert len(told) == 21
    assert told[-1].endswith("30 more such lines")


def test_missing_columns_are_told_together_with_those_there_are(photos: Path) -> None:
    told = faults(photos, "file,group\na.png,x\n", group_column="who")
    assert [one.partition(",")[0] for one in told] == [
        "1: 0 columns are called 'path'",
        "1: 0 columns are called 'label'",
        "1: 0 columns are called 'who'",
    ]
    assert all("it has 'file', 'group'" in one for one in told)
    assert "2 columns are called 'label'" in faults(photos, "path,label,label\na.png,x,y\n")[0]


def test_who_calls_columns_otherwise_is_told_how_to_name_them(photos: Path) -> None:
    with pytest.raises(DataError, match="0 columns are called 'path'") as caught:
        table(photos, "file,class\na.png,cat\n")
    assert caught.value.hint == "name them with data.path_column and data.label_column"


def test_only_pictures_that_are_not_found_are_answered_by_where_they_are_searched(photos: Path) -> None:
    with pytest.raises(DataError, match="does not exist") as caught:
        table(photos, "path,label\ngone.png,cat\n")
    assert str(caught.value.hint).startswith(f"pictures are searched in {photos}")
    with pytest.raises(DataError, match="2: has no label") as caught:
        table(photos, "path,label\na.png,\n")
    assert caught.value.hint is None


@pytest.mark.parametrize("lines", [10, 20_000])
def test_a_quote_that_is_never_closed_is_told_however_large_the_file(photos: Path, lines: int) -> None:
    with pytest.raises(DataError, match=r"labels\.csv:1: not CSV: ") as caught:
        table(photos, 'path,"label\n' + "a.png,cat\n" * lines)
    assert "columns are called" not in caught.value.message
    assert "quote" in str(caught.value.hint)


def test_a_picture_listed_twice_alike_counts_once_and_in_two_groups_is_a_fault(photos: Path) -> None:
    assert len(table(photos, "path,label\na.png,cat\n./a.png,cat\nb.png,dog\n").images) == 2
    told = faults(photos, "path,label,group\na.png,cat,x\na.png,cat,y\n")
    assert told == ["3: 'a.png' is in another group than in line 2"]


def test_a_table_that_is_none_is_refused(photos: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        load(TableOptions(path=str(photos / "gone.csv")), photos)
    with pytest.raises(DataError, match="is not a file") as caught:
        load(TableOptions(path=str(photos)), photos)
    assert 'source = "folder"' in str(caught.value.hint)
    with pytest.raises(DataError, match=r"labels.csv:3: not UTF-8 \(byte 0xe4\)"):
        table(photos, "path,label\na.png,cat\nb.png,b\xe4r\n".encode("latin-1"))
    with pytest.raises(DataError, match="lists no picture"):
        table(photos, "path,label\n\n")
    with pytest.raises(DataError, match="0 columns are called 'path'"):
        table(photos, "")
    with pytest.raises(DataError, match="not CSV"):
        table(photos, 'path,label\na.png,"cat\n')
    with pytest.raises(DataError, match=r"data\.root"):
        table(photos, "path,label\na.png,cat\n", root=str(photos / "gone"))


def test_a_file_far_larger_than_a_table_is_refused_unread(photos: Path) -> None:
    with (photos / "labels.csv").open("wb") as file:
        file.truncate(MOST_BYTES + 1)  # a hole: takes no space
    with pytest.raises(DataError, match="more than the 256 of a table"):
        load(TableOptions(path=str(photos / "labels.csv")), photos)
