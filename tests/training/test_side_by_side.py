"""Heads of a job side by side: each learns what it learns alone, whoever stands beside it (contract C3)."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

import numpy as np
import pytest
import torch
from test_stacked import CLASSES, DROPOUT_SEED, FOLD_LIST, VIEWS, WIDTH, Told, material, recipe
from torch import nn

from tlsearch.errors import StoreError
from tlsearch.training import heads
from tlsearch.training.fit import Material
from tlsearch.training.heads import HeadOutcome, HeadRow, fit_heads
from tlsearch.training.loop import Inputs, NonFiniteError
from tlsearch.training.recipe import Phase, Recipe
from tlsearch.training.stacked import StackedRow, fit_stacked, folds_in_step


def row(plan: Recipe, seed: int, *, dropout: float = 0.2, hidden: int = 0, told: Told | None = None) -> HeadRow:
    def head() -> nn.Sequential:
        torch.manual_seed(seed)
        if not hidden:
            return nn.Sequential(nn.Dropout(dropout), nn.Linear(WIDTH, CLASSES))
        return nn.Sequential(nn.Linear(WIDTH, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, CLASSES))

    return HeadRow(recipe=plan, head=head, dropout_seed=DROPOUT_SEED, on_epoch=told or (lambda *_: None))


def plan(epochs: int, rate: float, **changes: Any) -> Recipe:
    return recipe(phases=(Phase(epochs=epochs, learning_rate=rate),), **changes)


def different_rows() -> list[HeadRow]:
    return [
        row(plan(4, 0.03), 1),
        row(plan(2, 0.3, weight_decay=0.2), 2),
        row(plan(5, 0.01, label_smoothing=0.1), 3),
        row(plan(4, 0.1, imbalance="class_weights"), 4),
        row(plan(3, 0.1, imbalance="logit_adjustment", label_smoothing=0.2), 5),
        row(plan(3, 0.1, imbalance="balanced_sampling"), 6),
        row(plan(4, 0.05, schedule="constant"), 7),
        row(plan(4, 0.05, clip_norm=None), 8),
        row(plan(4, 0.05), 9, dropout=0.5),
        row(plan(4, 0.05), 10, hidden=6),
        row(replace(plan(1, 0.05), phases=(Phase(epochs=1, learning_rate=0.1), Phase(epochs=2))), 11),
    ]


def probabilities(outcome: HeadOutcome) -> list[np.ndarray]:
    assert not isinstance(outcome.answers, Exception), outcome.answers
    return [np.exp(log_probs) for log_probs in outcome.answers]


def fitted_together(rows: Sequence[HeadRow], folds: int = 5) -> list[HeadOutcome]:
    return in_order(fit_heads(rows, material(), FOLD_LIST[:folds]))


def in_order(found: Iterable[tuple[int, HeadOutcome]]) -> list[HeadOutcome]:
    """Outcomes by the place of their row, each told once."""
    by_place = sorted(found, key=itemgetter(0))
    assert [place for place, _ in by_place] == list(range(len(by_place)))
    return [outcome for _, outcome in by_place]


def assert_same(one: HeadOutcome, other: HeadOutcome) -> None:
    for ours, theirs in zip(probabilities(one), probabilities(other), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize("folds", [1, 5])
def test_each_row_learns_what_it_learns_alone(folds: int) -> None:
    together = fitted_together(different_rows(), folds)
    for one, outcome in zip(different_rows(), together, strict=True):
        assert_same(outcome, *fitted_together([one], folds))


def test_it_does_not_matter_who_stands_beside_a_row() -> None:
    rows = different_rows()
    forwards, backwards = fitted_together(rows), fitted_together(rows[::-1])[::-1]
    fewer = fitted_together(rows[:3])
    for one, other in zip(forwards, backwards, strict=True):
        assert_same(one, other)
    for one, other in zip(forwards, fewer, strict=False):
        assert_same(one, other)


def sizes_of_stacks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each stack from now on has."""
    sizes: list[int] = []

    def counted(rows: Any, *args: Any, **given: Any) -> Any:
        sizes.append(len(rows))
        return fit_stacked(rows, *args, **given)

    monkeypatch.setattr(heads, "fit_stacked", counted)
    return sizes


def test_linear_heads_share_their_steps_and_hidden_layers_do_not_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = sizes_of_stacks(monkeypatch)
    linear = [row(plan(2, 0.1), seed) for seed in range(7)]
    fitted_together(linear)
    fitted_together([row(plan(2, 0.1), seed, hidden=6) for seed in range(2)])
    assert sizes == [7, 1, 1]
    monkeypatch.setattr(heads, "IN_CACHE", 3 * 5 * (WIDTH + 1) * CLASSES)
    fitted_together(linear)
    assert sizes[3:] == [3, 3, 1]


def test_linear_heads_learn_on_one_thread_and_others_on_all() -> None:
    seen: dict[int, set[int]] = {0: set(), 6: set()}

    def watched(hidden: int) -> HeadRow:
        told = row(plan(1, 0.1), 1, hidden=hidden)
        return replace(told, on_epoch=lambda *_: seen[hidden].add(torch.get_num_threads()))

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        fitted_together([watched(0), watched(6)])
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert seen == {0: {1}, 6: {3}}


def normalised(seed: int, dropout: float) -> HeadRow:
    def head() -> nn.Sequential:
        torch.manual_seed(seed)
        layers = [nn.BatchNorm1d(WIDTH), nn.Dropout(0.1), nn.Linear(WIDTH, 6), nn.ReLU(), nn.Dropout(dropout)]
        return nn.Sequential(*layers, nn.Linear(6, CLASSES))

    return HeadRow(recipe=plan(2 + seed, 0.05), head=head, dropout_seed=DROPOUT_SEED, on_epoch=lambda *_: None)


def droppings() -> list[HeadRow]:
    """Heads that differ in what they drop, and leave the stack one after another."""
    chances = [0.5, 0.0, 0.2, 0.5, 0.0]
    return [row(plan(2 + seed % 3, 0.1), seed, dropout=chance) for seed, chance in enumerate(chances)]


def test_heads_that_drop_differently_share_their_steps_and_drop_what_they_drop_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = sizes_of_stacks(monkeypatch)
    together = fitted_together(droppings())
    assert sizes == [5]
    for one, outcome in zip(droppings(), together, strict=True):
        assert_same(outcome, *fitted_together([one]))


def test_statistics_and_weights_stay_with_their_rows_whatever_these_drop() -> None:
    rows = [normalised(seed, chance) for seed, chance in enumerate([0.5, 0.0, 0.5])]
    recipes = [one.recipe for one in rows]
    stacked = [StackedRow(recipe=one.recipe, head=one.head(), on_epoch=one.on_epoch) for one in rows]
    found = fit_stacked(stacked, material(), FOLD_LIST, dropout_seed=DROPOUT_SEED)
    assert len({given.epochs for given in recipes}) == len(rows)
    for one, answers in zip(rows, found, strict=True):
        assert_same(HeadOutcome(answers=answers, seconds=0.0, side_by_side=3), *fitted_together([one]))


def test_every_row_is_told_of_all_its_epochs_on_every_fold() -> None:
    told = [Told(), Told()]
    fitted_together([row(plan(2, 0.1), 1, told=told[0]), row(plan(5, 0.1), 2, told=told[1])])
    assert {fold: len(losses) for fold, losses in told[0].losses.items()} == dict.fromkeys(range(5), 2)
    assert {fold: len(losses) for fold, losses in told[1].losses.items()} == dict.fromkeys(range(5), 5)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_row_that_diverges_leaves_the_others_as_they_are(place: int) -> None:
    def rows() -> list[HeadRow]:
        return [row(plan(3, 0.1, clip_norm=None, optimizer="sgd"), seed) for seed in range(3)]

    expected = fitted_together(rows())
    wild = rows()
    wild[place] = row(plan(3, 1e30, clip_norm=None, optimizer="sgd"), place)
    found = fitted_together(wild)
    assert isinstance(found[place].answers, NonFiniteError)
    for number in {0, 1, 2} - {place}:
        assert_same(found[number], expected[number])


def test_a_row_that_diverges_in_the_first_of_its_phases_says_so() -> None:
    phases = (Phase(epochs=1, learning_rate=1e30), Phase(epochs=2, learning_rate=0.1))
    (found,) = fitted_together([row(recipe(phases=phases, clip_norm=None, optimizer="sgd"), 1)])
    assert isinstance(found.answers, NonFiniteError)


def test_a_row_that_diverges_on_the_first_folds_is_not_trained_on_those_of_more_steps() -> None:
    wild = row(plan(3, 1e30, clip_norm=None, optimizer="sgd", batch_size=11), 1)
    assert len(folds_in_step(FOLD_LIST, 11)) > 1
    (found,) = fitted_together([wild])
    assert isinstance(found.answers, NonFiniteError)


def test_a_head_that_cannot_be_built_is_its_own_rows_fault() -> None:
    def broken() -> nn.Sequential:
        raise ValueError("no such size")

    rows = [row(plan(2, 0.1), 1), replace(row(plan(2, 0.1), 2), head=broken), row(plan(2, 0.1), 3)]
    first, second, third = fitted_together(rows)
    assert isinstance(second.answers, ValueError)
    assert_same(first, *fitted_together(rows[:1]))
    assert_same(third, *fitted_together(rows[2:]))


def test_a_head_is_told_before_the_next_one_is_trained_and_those_side_by_side_one_after_another() -> None:
    trained: list[int] = []

    def watched(place: int, hidden: int) -> HeadRow:
        def on_epoch(*_: object) -> None:
            trained.append(place)

        return replace(row(plan(1, 0.1), place, hidden=hidden), on_epoch=on_epoch)

    rows = [watched(place, hidden) for place, hidden in enumerate([6, 0, 6, 0])]
    seen = [(place, set(trained)) for place, _ in fit_heads(rows, material(), FOLD_LIST)]
    assert seen == [(0, {0}), (1, {0, 1, 3}), (3, {0, 1, 3}), (2, {0, 1, 2, 3})]


class Stumbling:
    """Features that raise an error once, after so many steps."""

    def __init__(self, error: Exception, *, after_steps: int = 0) -> None:
        self._error: Exception | None = error
        self._left = after_steps

    def on(self) -> Material:
        return replace(material(), inputs=lambda frozen, augment: self)

    views: Sequence[Any] = VIEWS[:1]

    def gather(self, rows: Any, views: Any, device: torch.device) -> torch.Tensor:
        self._left -= 1
        if self._left < 0 and self._error is not None:
            error, self._error = self._error, None
            raise error
        return Inputs(views=VIEWS[:1]).gather(rows, views, device)


SHORT_OF_MEMORY = torch.OutOfMemoryError("the stack is too large")
STEPS_AN_EPOCH = 5  # 34 or 35 pictures in batches of 8


@pytest.mark.parametrize("error", [SHORT_OF_MEMORY, RuntimeError("no such kernel"), ValueError("an odd size")])
def test_rows_whose_stack_fails_are_trained_one_by_one_and_told_with_their_own_time(error: Exception) -> None:
    rows = [row(plan(2, 0.1), seed) for seed in range(3)]
    found = in_order(fit_heads(rows, Stumbling(error).on(), FOLD_LIST))
    for one, outcome in zip(rows, found, strict=True):
        assert_same(outcome, *fitted_together([one]))
        assert outcome.side_by_side == 1
        assert outcome.seconds > 0
    assert len({outcome.seconds for outcome in found}) > 1, "each has its own"


def test_a_stack_that_fails_costs_no_group_that_is_trained_already() -> None:
    rows = [row(plan(2, 0.1), 1, hidden=6), row(plan(2, 0.1), 2), row(plan(2, 0.1), 3)]
    stumbling = Stumbling(RuntimeError("no such kernel"), after_steps=2 * STEPS_AN_EPOCH + len(FOLD_LIST))
    found = in_order(fit_heads(rows, stumbling.on(), FOLD_LIST))
    for one, outcome in zip(rows, found, strict=True):
        assert_same(outcome, *fitted_together([one]))


@pytest.mark.parametrize(
    "error", [torch.AcceleratorError("CUDA error: device-side assert triggered"), StoreError("the disk is full")]
)
def test_a_lost_device_and_a_full_disk_are_no_rows_fault(error: Exception) -> None:
    with pytest.raises(type(error)):
        list(fit_heads([row(plan(2, 0.1), seed) for seed in range(3)], Stumbling(error).on(), FOLD_LIST))


@pytest.mark.parametrize("count", [1, 3])
def test_an_epoch_of_a_stack_that_is_given_up_is_not_told_again(count: int) -> None:
    told = [Told() for _ in range(count)]  # each checks that epochs come in order
    rows = [row(plan(5, 0.1), seed, told=one) for seed, one in enumerate(told)]
    stumbling = Stumbling(SHORT_OF_MEMORY, after_steps=3 * STEPS_AN_EPOCH + 1)
    found = in_order(fit_heads(rows, stumbling.on(), FOLD_LIST))
    assert not any(isinstance(outcome.answers, Exception) for outcome in found)
    for one in told:
        assert {fold: len(losses) for fold, losses in one.losses.items()} == dict.fromkeys(range(5), 5)
