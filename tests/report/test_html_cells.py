"""The pictures behind the figures of a page: every number opens something, and nothing is carried that no one opens."""

from pathlib import Path
from typing import Any

import pytest
from page_skeleton import Skeleton, built, data_of, without, written
from page_world import PageStudy

from tlsearch.report.cells import MOST_CONFUSIONS, shown_cells

MANY = 35  # classes: more than a matrix shows


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Skeleton:
    return built(written(PageStudy(n=300), tmp_path_factory.mktemp("small")))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Skeleton:
    study = PageStudy(classes=tuple(f"class {i}" for i in range(MANY)), n=20 * MANY)
    return built(written(study, tmp_path_factory.mktemp("many")))


def cells_of(found: Skeleton) -> dict[str, list[Any]]:
    cells: dict[str, list[Any]] = data_of(found)["cells"]
    return cells


def test_every_count_opens_its_pictures_and_every_class_its_right_answers(small: Skeleton) -> None:
    opened = small.having("data-cell")
    assert set(opened) == set(cells_of(small))
    counts = dict(zip(opened, map(int, small.having("data-count")), strict=True))
    assert {key: min(count, 24) for key, count in counts.items()} == {key: len(p) for key, p in cells_of(small).items()}
    assert [opened.count(f"{i}-{i}") for i in range(3)] == [2, 2, 2]  # in the matrix, and in the table of classes


def test_of_many_classes_only_what_can_be_opened_is_carried(many: Skeleton) -> None:
    keys = set(cells_of(many))
    assert keys == set(many.having("data-cell"))
    assert {f"{i}-{i}" for i in range(MANY)} <= keys
    assert len([key for key in keys if len(set(key.split("-"))) == 2]) == MOST_CONFUSIONS
    assert f"the {MOST_CONFUSIONS} most frequent are listed" in many.text


def test_a_picture_without_a_small_copy_is_named(tmp_path: Path) -> None:
    study = without(PageStudy(n=300), "pictures")
    found = built(written(study, tmp_path))
    assert set(found.having("data-cell")) == set(cells_of(found))
    uri, file, sure = cells_of(found)["0-1"][0]
    assert (uri, file.split("/")[0]) == ("", study.classes[0])
    assert sure.endswith("sure")


def test_long_names_leave_room_for_pictures(tmp_path: Path) -> None:
    study = PageStudy(n=600, file="x" * 240 + "{i:03d}.png")
    cells = cells_of(built(written(study, tmp_path)))
    assert any(uri for pictures in cells.values() for uri, _, _ in pictures)


def test_wrong_cells_come_first_the_fullest_before_the_others() -> None:
    assert shown_cells([[9, 1, 0], [3, 5, 2], [0, 0, 7]]) == [(1, 0), (1, 2), (0, 1), (0, 0), (1, 1), (2, 2)]


def test_of_a_wide_matrix_the_most_frequent_confusions_are_shown_and_every_class_that_is_found() -> None:
    confusion = [[1 + (true * MANY + answer) % 7 for answer in range(MANY)] for true in range(MANY)]
    confusion[4][4] = 0
    cells = shown_cells(confusion)
    wrong = [cell for cell in cells if cell[0] != cell[1]]
    assert len(wrong) == MOST_CONFUSIONS
    assert {confusion[true][answer] for true, answer in wrong} == {7}
    assert len(cells) == MOST_CONFUSIONS + MANY - 1
