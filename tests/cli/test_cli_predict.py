"""The table of `predict`: answers stay whole, whatever the pictures' paths are."""

import io
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from tlsearch.cli.predict import show

FOLDER = "/home/someone/Pictures/2026/a journey through the mountains/raw and unsorted"


def shown(items: list[dict[str, Any]], width: int) -> list[str]:
    paper = io.StringIO()
    show(items, Console(file=paper, width=width))
    return [line.rstrip() for line in paper.getvalue().splitlines()]


def item(image: str, *top: str) -> dict[str, Any]:
    return {"image": image, "top": [{"label": label, "probability": 0.5 / n} for n, label in enumerate(top, start=1)]}


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_long_path_is_cut_to_its_end_and_the_answers_stay_on_one_line(width: int) -> None:
    items = [item(f"{FOLDER}/IMG_{number:04d}.jpg", "Avaro", "Belisa", "Corvan") for number in (1, 22, 333)]
    head, *rows = shown(items, width)
    assert head.split() == ["picture", "shows", "or"]
    assert len(rows) == 3
    for row, number in zip(rows, ("0001", "0022", "0333"), strict=True):
        assert row.startswith("…")
        assert row.endswith(f"/IMG_{number}.jpg  Avaro  50.0 %  Belisa 25.0 %, Corvan 16.7 %")
        assert len(row) <= width


def test_a_path_is_whole_where_there_is_room() -> None:
    items = [item(f"{FOLDER}/IMG_0001.jpg", "cat"), item("a.jpg", "dog")]
    assert f"{FOLDER}/IMG_0001.jpg  cat" in shown(items, 140)[1]
    assert shown(items, 140)[2].startswith("a.jpg ")


@pytest.mark.parametrize("width", [80, 100])
def test_long_names_of_classes_fold_between_words_and_leave_the_path_its_third(width: int) -> None:
    names = [f"a class with a name of many words, {which}" for which in ("the first", "the second", "the third")]
    lines = shown([item(f"{FOLDER}/IMG_0001.jpg", *names)], width)
    assert max(map(len, lines)) <= width
    assert "/IMG_0001.jpg  " in lines[1]
    assert " 50.0 % " in lines[1]
    words = " ".join(" ".join(lines).split())
    assert all(word in words.split() for name in names for word in name.split())


def test_a_name_of_wide_characters_is_cut_by_columns() -> None:
    lines = shown([item("写真" * 40 + ".jpg", "猫", "犬")], 80)
    assert len(lines) == 2
    path, *answer = lines[1].split()
    assert path.endswith("写真.jpg")
    assert answer == ["猫", "50.0", "%", "犬", "25.0", "%"]
    assert cell_len(lines[1]) <= 80
