"""Sizes of classes: what counts, and from where on they are so unequal that every class must count alike."""

import pytest

from tlsearch.data.sizes import class_sizes, is_skewed

LABELS = (0, 0, 0, 1, 1, 1)


def test_the_pictures_of_a_ready_test_part_do_not_count() -> None:
    parts = ("train", "val", "test", "train", "test", "test")
    assert class_sizes(("cat", "dog"), LABELS, parts, range(6)) == {"cat": 2, "dog": 1}


def test_pictures_without_parts_count_where_they_are_used() -> None:
    assert class_sizes(("cat", "dog", "fox"), LABELS, (), [0, 1, 5]) == {"cat": 2, "dog": 1, "fox": 0}


@pytest.mark.parametrize(("cats", "skewed"), [(33, False), (34, True)])
def test_over_three_to_one_is_skewed(cats: int, skewed: bool) -> None:
    assert is_skewed({"cat": cats, "dog": 11}) is skewed
