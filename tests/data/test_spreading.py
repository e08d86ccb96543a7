"""Rare classes in groups of several classes: no fold is left without one where a deal can be found that has it."""

from itertools import product

import numpy as np
import pytest

from tlsearch.data.sides import Labelled, choose_sides
from tlsearch.data.split import fold_partitions
from tlsearch.data.spreading import spread
from tlsearch.errors import DataError
from tlsearch.study import DataTable

CLASSES = ("a", "b", "c")


def pictures(groups: dict[str, str]) -> tuple[list[int], list[str]]:
    """Labels and groups of pictures: "aab" is a group of two pictures of class a and one of b."""
    labels = [CLASSES.index(letter) for letters in groups.values() for letter in letters]
    return labels, [name for name, letters in groups.items() for _ in letters]


def missing(labels: list[int], partition: tuple[int, ...]) -> set[tuple[int, int]]:
    """Classes and parts that do not meet."""
    return set(product(set(labels), set(partition))) - set(zip(labels, partition, strict=True))


LARGE = {"4": "b" * 120, "1": "a" + "b" * 100, "2": "a" + "b" * 80}


@pytest.mark.parametrize("seed", range(5))
def test_a_rare_class_among_many_pictures_of_another_comes_into_every_fold(seed: int) -> None:
    labels, groups = pictures(LARGE)
    for partition in fold_partitions(labels, groups, 2, 2, seed):
        assert missing(labels, partition) == set()
        assert len(set(zip(groups, partition, strict=True))) == len(LARGE), "groups stay together"


@pytest.mark.parametrize("seed", range(5))
def test_a_rare_class_is_scored_and_trained_on_in_one_part(seed: int) -> None:
    labels, groups = pictures({f"{n}": ("a" if n < 2 else "") + "b" * 10 for n in range(20)})
    for partition in fold_partitions(labels, groups, 1, 3, seed):
        assert missing(labels, partition) == set()


def test_what_needs_two_moves_is_found() -> None:
    members = {"w": [1], "x": [2], "y": [0, 1], "z": [0, 2]}
    before = {"w": 0, "x": 0, "y": 1, "z": 1}
    after = spread(members, before, 2)
    assert all({label for group, part in after.items() if part == side for label in members[group]} == {0, 1, 2}
               for side in (0, 1))  # fmt: skip


def test_a_deal_that_lacks_nothing_stays_as_it_is() -> None:
    members = {"v": [0, 1], "w": [0, 1, 1], "x": [0], "y": [1]}
    before = {"v": 0, "w": 1, "x": 1, "y": 1}
    assert spread(members, before, 2) == before


def test_a_class_of_fewer_groups_than_parts_is_left_alone() -> None:
    members = {"v": [0], "w": [0], "x": [1], "y": [1]}
    before = {"v": 0, "w": 1, "x": 2, "y": 1}
    assert spread(members, before, 3) == before, "two groups are too few for three parts, however they are dealt"


def test_nearly_every_deal_that_is_possible_is_found() -> None:
    rng = np.random.default_rng(0)
    possible = found = 0
    for _ in range(300):
        members = {str(n): sorted({int(label) for label in rng.integers(0, 4, rng.integers(1, 4))}) for n in range(7)}
        parts = int(rng.integers(2, 4))
        before = {group: int(rng.integers(0, parts)) for group in members}
        labels = {label for labels in members.values() for label in labels}

        def whole(deal: dict[str, int], members=members, labels=labels, parts=parts) -> bool:
            return all(
                {label for group, part in deal.items() if part == side for label in members[group]} == labels
                for side in range(parts)
            )

        if any(whole(dict(zip(members, deal, strict=True))) for deal in product(range(parts), repeat=len(members))):
            possible += 1
            found += whole(spread(members, before, parts))
    assert possible > 100
    assert found >= 0.95 * possible


def sides(groups: dict[str, str], classes: tuple[str, ...] = CLASSES, **config: object) -> None:
    labels, keys = pictures(groups)
    labelled = Labelled(classes=classes, labels=labels, keys=keys, parts=(), used=range(len(labels)))
    choose_sides(labelled, DataTable.model_validate({"source": "folder", "holdout": 0, **config}), seed=0, repeats=2)


def test_classes_that_cannot_all_be_in_every_fold_are_refused_by_name() -> None:
    # of each class the two groups must part, and of three groups two stay together
    with pytest.raises(DataError, match="no deal was found in which every fold trains on and scores class") as caught:
        sides({"1": "ab", "2": "bc", "3": "ca"}, folds=2)
    assert "groups of their own" in str(caught.value.hint)
    assert "data.folds" not in str(caught.value.hint), "there are but two"


def test_fewer_folds_are_proposed_where_there_are_more_than_two() -> None:
    # a, b and c have three groups each, so that of groups 1 to 4 no two may share one of three folds
    tied = {"1": "ab", "2": "ab", "3": "ac", "4": "bc", "5": "c"}
    with pytest.raises(DataError) as caught:
        sides(tied, folds=3)
    assert "set a lower data.folds" in str(caught.value.hint)
    sides(tied, folds=2)
