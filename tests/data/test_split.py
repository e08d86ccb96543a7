"""Splits follow content: nothing that belongs together is separated, and a grown folder keeps its holdout."""

import hashlib
from collections import Counter

import numpy as np
import pytest

from tlsearch.data.split import fold_count, fold_partitions, group_keys, holdout_mask


def pictures(per_class: list[int]) -> tuple[list[int], list[str]]:
    labels = [label for label, count in enumerate(per_class) for _ in range(count)]
    return labels, [f"pixels:{label}-{index}" for index, label in enumerate(labels)]


def counts(labels: list[int], folds: tuple[int, ...], fold: int) -> list[int]:
    return [Counter(zip(labels, folds, strict=True))[label, fold] for label in sorted(set(labels))]


def test_equal_pixels_and_groups_are_linked_through_each_other() -> None:
    keys = group_keys(["a", "b", "b", "c", "d"], [None, "g", None, "g", None])
    assert keys == ("pixels:a", "group:g", "group:g", "group:g", "pixels:d")


def test_linked_pictures_without_a_group_have_the_smallest_hash_as_key() -> None:
    assert group_keys(["b", "a", "b"], [None, None, None]) == ("pixels:b", "pixels:a", "pixels:b")


def test_two_groups_that_share_a_picture_are_one() -> None:
    assert len(set(group_keys(["a", "a", "b", "c"], ["one", "two", "one", "two"]))) == 1


def test_a_group_named_like_a_hash_is_not_that_picture() -> None:
    assert len(set(group_keys(["a", "b"], [None, "a"]))) == 2


def test_the_holdout_is_about_its_share() -> None:
    labels, keys = pictures([2000, 1000])
    mask = holdout_mask(labels, keys, 0.2)
    assert abs(mask.mean() - 0.2) < 0.03


def test_a_grown_folder_keeps_its_holdout() -> None:
    labels, keys = pictures([60, 60, 60])
    before = dict(zip(keys, holdout_mask(labels, keys, 0.2, leave=5), strict=True))
    more = [f"pixels:new-{index}" for index in range(300)]
    grown = dict(zip(more + keys, holdout_mask([0, 1, 2] * 100 + labels, more + keys, 0.2, leave=5), strict=True))
    assert all(grown[key] == before[key] for key in keys)


def test_a_grown_class_of_any_size_moves_its_topped_up_picture_at_most() -> None:
    labels, keys = pictures([9] * 30)
    before = dict(zip(keys, holdout_mask(labels, keys, 0.2, leave=2), strict=True))
    more = [f"pixels:new-{index}" for index in range(300)]
    after = holdout_mask(labels + list(range(30)) * 10, keys + more, 0.2, leave=2)
    moved = [key for key, now in zip(keys, after, strict=False) if before[key] != now]
    assert len(moved) <= 30 * 0.8**9 * 4  # topped up only where none of nine lay below the threshold


def test_every_class_has_a_picture_in_the_holdout_and_enough_outside() -> None:
    labels, keys = pictures([7] * 200)
    mask = holdout_mask(labels, keys, 0.5, leave=5)
    for label in range(200):
        held = mask[np.array(labels) == label]
        assert 1 <= held.sum() <= 2


def test_groups_are_held_out_whole() -> None:
    labels, _ = pictures([100, 100])
    keys = [f"group:{index // 5}" for index in range(200)]
    mask = holdout_mask(labels, keys, 0.2)
    assert all(len({mask[i] for i in range(200) if keys[i] == key}) == 1 for key in keys)
    assert 0 < mask.sum() < 100


def test_no_holdout_is_none() -> None:
    labels, keys = pictures([5, 5])
    assert not holdout_mask(labels, keys, 0.0, leave=2).any()


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_folds_are_stratified(folds: int) -> None:
    labels, keys = pictures([40, 17, 8, 5])
    for partition in fold_partitions(labels, keys, folds, 3, seed=1):
        per_fold = np.array([counts(labels, partition, fold) for fold in range(folds)])
        assert np.ptp(per_fold, axis=0).max() <= 1
        assert np.ptp(per_fold.sum(axis=1)) <= 4
        assert per_fold.min() >= 1


def test_groups_stay_in_one_fold_and_folds_stay_even() -> None:
    labels = [label for label in (0, 1) for _ in range(60)]
    keys = [f"group:{index // 4}" for index in range(120)]
    (partition,) = fold_partitions(labels, keys, 5, 1, seed=0)
    assert all(len({partition[i] for i in range(120) if keys[i] == key}) == 1 for key in keys)
    assert set(Counter(partition).values()) == {24}


def test_groups_of_several_classes_are_dealt_evenly() -> None:
    draw = np.random.default_rng(0)
    groups = draw.integers(0, 60, 600)
    labels = draw.integers(0, 3, 600).tolist()
    (partition,) = fold_partitions(labels, [str(group) for group in groups], 5, 1, seed=0)
    per_fold = np.array([counts(labels, partition, fold) for fold in range(5)])
    assert np.ptp(per_fold, axis=0).max() <= 20
    assert all(len(set(np.array(partition)[groups == group])) == 1 for group in set(groups))


def test_each_repeat_and_each_seed_deals_differently() -> None:
    labels, keys = pictures([30, 30])
    repeats = fold_partitions(labels, keys, 5, 4, seed=1) + fold_partitions(labels, keys, 5, 4, seed=2)
    assert len(set(repeats)) == 8


def test_the_deal_follows_keys_and_not_the_order_of_files() -> None:
    labels, keys = pictures([20, 13, 9])
    (partition,) = fold_partitions(labels, keys, 3, 1, seed=4)
    order = np.random.default_rng(0).permutation(len(labels))
    (shuffled,) = fold_partitions([labels[i] for i in order], [keys[i] for i in order], 3, 1, seed=4)
    assert [shuffled[list(order).index(i)] for i in range(len(labels))] == list(partition)


def test_one_part_is_a_fifth_of_each_class() -> None:
    labels, keys = pictures([100, 50, 10, 2])
    partitions = fold_partitions(labels, keys, 1, 3, seed=0)
    for partition in partitions:
        assert set(partition) == {0, -1}
        assert counts(labels, partition, 0) == [20, 10, 2, 1]
    assert len(set(partitions)) == 3


def test_one_part_may_be_another_share() -> None:
    labels, keys = pictures([40, 20])
    for partition in fold_partitions(labels, keys, 1, 3, seed=0, one_part=0.3):
        assert counts(labels, partition, 0) == [12, 6]


def test_few_images_get_many_folds() -> None:
    assert [fold_count("auto", n) for n in (120, 499, 500, 1999, 2000, 100_000)] == [5, 5, 3, 3, 1, 1]
    assert fold_count(4, 100_000) == 4


@pytest.mark.parametrize(
    ("folds", "together", "digest"),
    [
        (1, 1, "0e052284f467f02f"),
        (2, 1, "236f472949bc5fd3"),
        (3, 1, "2f53953bd3644721"),
        (5, 1, "c966604a4968dd40"),
        (2, 3, "6e101bea07a63691"),
    ],
)
def test_pictures_and_groups_of_one_class_are_dealt_as_ever(folds: int, together: int, digest: str) -> None:
    """A study that has begun would be refused as another one if its deal changed."""
    labels, keys = pictures([40, 17, 8, 5])
    if together > 1:
        keys = [f"group:{label}-{index // together}" for index, label in enumerate(labels)]
    told = repr(fold_partitions(labels, keys, folds, 2, seed=7))
    assert hashlib.sha256(told.encode()).hexdigest().startswith(digest)
