"""The paired order: pure functions of the study's seed and the place in it."""

import numpy as np
import pytest
import torch

from tlsearch.training.order import balanced_order, batches, derive, epoch_order, rate_scale, view_of

IMAGES = np.array([4, 8, 15, 16, 23, 42, 99, 100], dtype=np.int64)
PLACE = {"seed": 7, "repeat": 0, "fold": 1, "epoch": 2}


def test_an_epochs_order_is_the_same_whenever_it_is_asked_for() -> None:
    first = epoch_order(IMAGES, **PLACE)
    np.random.default_rng().random()
    torch.manual_seed(1)
    epoch_order(IMAGES, **{**PLACE, "epoch": 5})
    assert np.array_equal(epoch_order(IMAGES, **PLACE), first)
    assert sorted(first.tolist()) == IMAGES.tolist(), "every image once"


@pytest.mark.parametrize("part", PLACE)
def test_another_place_in_the_study_has_another_order(part: str) -> None:
    other = {**PLACE, part: PLACE[part] + 1}
    assert not np.array_equal(epoch_order(IMAGES, **other), epoch_order(IMAGES, **PLACE))


@pytest.mark.parametrize(
    ("images", "size", "sizes"),
    [(8, 4, [4, 4]), (7, 4, [4, 3]), (9, 4, [4, 5]), (5, 4, [5]), (3, 4, [3]), (1, 4, [1]), (3, 1, [1, 1, 1])],
)
def test_batches_hold_every_image_once_and_none_is_left_alone(images: int, size: int, sizes: list[int]) -> None:
    order = np.arange(images)[::-1]
    split = batches(order, size)
    assert [len(batch) for batch in split] == sizes
    assert np.array_equal(np.concatenate(split), order)


@pytest.mark.parametrize("views", [2, 3, 8])
def test_every_image_goes_through_all_its_views_before_it_shows_one_again(views: int) -> None:
    shown = np.stack([view_of(50, seed=7, views=views, epoch=epoch) for epoch in range(3 * views)])
    for start in range(0, 3 * views, views):
        assert np.array_equal(np.sort(shown[start : start + views], axis=0), np.arange(views)[:, None].repeat(50, 1))
    assert len({tuple(order) for order in shown[:views].T}) > 1, "in orders of their own"


def test_views_follow_from_the_seed_and_the_epoch_alone() -> None:
    assert np.array_equal(view_of(50, seed=7, views=8, epoch=3), view_of(50, seed=7, views=8, epoch=11))
    assert not np.array_equal(view_of(50, seed=7, views=8, epoch=3), view_of(50, seed=8, views=8, epoch=3))


def test_without_augmentation_there_is_only_the_plain_view() -> None:
    assert not view_of(50, seed=7, views=1, epoch=3).any()


def test_derived_seeds_are_the_same_on_every_machine() -> None:
    assert derive(7, "order", 0) == 5932648099998036861  # the first 63 bits of sha256("7\x1forder\x1f0")
    assert derive(1, "23") != derive(12, "3")
    assert all(0 <= derive(number) < 2**63 for number in range(100))


def test_the_rate_warms_up_in_a_tenth_of_the_steps_and_falls_to_zero() -> None:
    scales = [rate_scale(step, 100, "cosine") for step in range(100)]
    assert scales[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert scales[10] == 1.0
    assert scales[55] == pytest.approx(0.5)
    assert scales[10:] == sorted(scales[10:], reverse=True)
    assert 0 < scales[99] < 1e-3


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_shortest_schedules_have_a_rate_at_every_step(steps: int) -> None:
    scales = [rate_scale(step, steps, "cosine") for step in range(steps)]
    assert scales[0] == 1.0
    assert all(0 < scale <= 1 for scale in scales)


def test_a_constant_rate_stays() -> None:
    assert [rate_scale(step, 5, "constant") for step in range(5)] == [1.0] * 5


SKEWED = np.array([0] * 6 + [1, 2], dtype=np.int64)  # of IMAGES


def test_a_balanced_epoch_is_as_long_as_any_and_shows_all_classes_alike() -> None:
    drawn = balanced_order(IMAGES, SKEWED, **PLACE)
    labels = SKEWED[np.searchsorted(IMAGES, drawn)]
    assert len(drawn) == len(IMAGES)
    assert sorted(np.bincount(labels).tolist()) == [2, 3, 3], "8 images and 3 classes"
    shown = drawn[labels == 0]
    assert len(set(shown.tolist())) == len(shown), "a class with images enough repeats none of them"


def test_balanced_epochs_show_every_image_of_a_large_class_in_time() -> None:
    epochs = [balanced_order(IMAGES, SKEWED, **{**PLACE, "epoch": epoch}) for epoch in range(20)]
    assert set(np.concatenate(epochs).tolist()) == set(IMAGES.tolist())


def test_a_balanced_order_is_the_same_whenever_it_is_asked_for() -> None:
    first = balanced_order(IMAGES, SKEWED, **PLACE)
    np.random.default_rng().random()
    balanced_order(IMAGES, SKEWED, **{**PLACE, "epoch": 5})
    assert np.array_equal(balanced_order(IMAGES, SKEWED, **PLACE), first)


@pytest.mark.parametrize("part", PLACE)
def test_another_place_in_the_study_has_another_balanced_order(part: str) -> None:
    other = {**PLACE, part: PLACE[part] + 1}
    assert not np.array_equal(balanced_order(IMAGES, SKEWED, **other), balanced_order(IMAGES, SKEWED, **PLACE))


def test_classes_of_one_size_are_balanced_by_showing_every_image_once() -> None:
    alike = np.array([0, 1] * 4, dtype=np.int64)
    assert sorted(balanced_order(IMAGES, alike, **PLACE).tolist()) == IMAGES.tolist()
