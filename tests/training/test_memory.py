"""Where memory is short: smaller pieces, the same step; and what happens where even one picture is too much."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from engine_nets import Hungry
from torch import nn

from tlsearch.training.imbalance import Objective
from tlsearch.training.loop import (
    Fold,
    Inputs,
    MicroBatch,
    Stretch,
    is_out_of_memory,
    log_probabilities,
    train,
)
from tlsearch.training.optim import Group, Stepper

CPU = torch.device("cpu")
IMAGES, BATCH = 80, 64
FEATURES = np.random.default_rng(5).normal(size=(IMAGES, 12)).astype(np.float32)
LABELS = torch.from_numpy(np.random.default_rng(6).integers(0, 3, IMAGES))
INPUTS = Inputs(views=[FEATURES])
FOLD = Fold(train=np.arange(IMAGES), validation=np.arange(0), seed=1, repeat=0, fold=0)
STRETCH = Stretch(epochs=3, first=0, batch_size=BATCH, objective=Objective(label_smoothing=0.1), schedule="cosine")


def network(hungry: Hungry | None) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Linear(12, 20), nn.GELU(), nn.Linear(20, 3)]
    return nn.Sequential(layers[0], hungry or nn.Identity(), *layers[1:])


def fit(net: nn.Module, micro: MicroBatch) -> list[float]:
    """Train in place; the loss of each epoch."""
    losses: list[float] = []
    group = Group(parameters=list(net.parameters()), learning_rate=0.05, weight_decay=0.0)
    train(
        net,
        Stepper("sgd", [group], 1.0),
        INPUTS,
        LABELS,
        FOLD,
        STRETCH,
        micro=micro,
        on_epoch=lambda epoch, loss, seconds: losses.append(loss),
    )
    return losses


def test_64_pictures_become_8_in_three_halvings_and_the_result_is_the_same() -> None:
    hungry, micro = Hungry(8), MicroBatch()
    short, plenty = network(hungry), network(None)
    assert fit(short, micro) == pytest.approx(fit(plenty, MicroBatch()), rel=1e-5)
    assert hungry.refused == [64, 32, 16], "what does not fit is not tried again"
    assert micro.size == 8
    for a, b in zip(short.parameters(), plenty.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("size", [1, 7, 8, 63])
def test_any_pieces_of_a_batch_make_the_same_step(size: int) -> None:
    pieces, whole = network(None), network(None)
    assert fit(pieces, MicroBatch(size=size)) == pytest.approx(fit(whole, MicroBatch()), rel=1e-5)
    for a, b in zip(pieces.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_where_one_picture_is_too_much_the_error_is_told() -> None:
    hungry = Hungry(0)
    with pytest.raises(torch.OutOfMemoryError, match="no memory for 1 pictures"):
        fit(network(hungry), MicroBatch())
    assert hungry.refused == [64, 32, 16, 8, 4, 2, 1]


def test_predictions_halve_their_batch_too_and_are_the_same() -> None:
    hungry, micro = Hungry(8, always=True), MicroBatch()
    rows = np.arange(IMAGES)[::-1].copy()
    short = log_probabilities(network(hungry), INPUTS, rows, CPU, micro=micro)
    plenty = log_probabilities(network(None), INPUTS, rows, CPU, micro=MicroBatch())
    assert hungry.refused == [64, 32, 16]
    assert np.allclose(short, plenty, atol=1e-6)
    assert np.allclose(np.exp(short).sum(axis=1), 1.0, atol=1e-5)


def test_predictions_begin_with_the_pieces_that_training_found() -> None:
    hungry = Hungry(8, always=True)
    log_probabilities(network(hungry), INPUTS, FOLD.train, CPU, micro=MicroBatch(size=8))
    assert hungry.refused == []


def test_predictions_of_which_none_fits_tell_the_error() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        log_probabilities(network(Hungry(0, always=True)), INPUTS, FOLD.train, CPU, micro=MicroBatch())


def ask_for_too_much() -> None:
    torch.empty(1 << 60, dtype=torch.uint8)


def ask_python_for_too_much() -> None:
    bytearray(1 << 60)


@pytest.mark.parametrize("ask", [ask_for_too_much, ask_python_for_too_much])
def test_a_real_allocation_that_fails_is_known_for_what_it_is(ask: Callable[[], None]) -> None:
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        ask()
    assert is_out_of_memory(caught.value)


def test_another_error_is_not_taken_for_short_memory() -> None:
    hungry = nn.Sequential(nn.Linear(13, 3))
    with pytest.raises(RuntimeError, match="shapes") as caught:
        fit(hungry, MicroBatch())
    assert not is_out_of_memory(caught.value)


def test_a_picture_left_over_does_not_stop_a_head_with_batch_norm() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(12, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).train()
    group = Group(parameters=list(net.parameters()), learning_rate=0.05, weight_decay=0.0)
    losses: list[float] = []
    alone = Fold(train=np.arange(BATCH + 1), validation=np.arange(0), seed=1, repeat=0, fold=0)
    train(
        net,
        Stepper("sgd", [group], 1.0),
        INPUTS,
        LABELS,
        alone,
        STRETCH,
        micro=MicroBatch(),
        on_epoch=lambda epoch, loss, seconds: losses.append(loss),
    )
    assert len(losses) == STRETCH.epochs
    assert losses[-1] < losses[0]
