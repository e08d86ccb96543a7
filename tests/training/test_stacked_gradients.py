"""The gradients of heads side by side are those that autograd gives each head alone."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from torch import nn

from tlsearch.training.imbalance import Objective
from tlsearch.training.stacked_batch import Present
from tlsearch.training.stacked_head import StackedHead
from tlsearch.training.stacked_objective import StackedObjective

WIDTH, CLASSES, SEED = 6, 3, 5
COUNTS = (5, 3)  # pictures of each fold: the second is filled up
CHANCES = (0.2, 0.2, 0.5)  # of each row: two parts
Build = Callable[[float], nn.Sequential]


def linear(p: float) -> nn.Sequential:
    return nn.Sequential(nn.Dropout(p), nn.Linear(WIDTH, CLASSES))


def deep(p: float) -> nn.Sequential:
    first, second = nn.Linear(WIDTH, 7), nn.Linear(7, 4, bias=False)
    return nn.Sequential(first, nn.ReLU(), nn.Dropout(p), second, nn.GELU(), nn.Dropout(0.1), nn.Linear(4, CLASSES))


def normalised(p: float) -> nn.Sequential:
    hidden = nn.Linear(WIDTH, 7)
    return nn.Sequential(nn.BatchNorm1d(WIDTH), hidden, nn.ReLU(), nn.BatchNorm1d(7), nn.Dropout(p), nn.Linear(7, 3))


def without_weights_first(p: float) -> nn.Sequential:
    bare = nn.BatchNorm1d(WIDTH, affine=False)
    return nn.Sequential(nn.ReLU(), nn.GELU(), bare, nn.Dropout(p), nn.Linear(WIDTH, CLASSES))


def twice_the_same(p: float) -> nn.Sequential:
    shared = nn.Linear(WIDTH, WIDTH)
    return nn.Sequential(shared, nn.ReLU(), shared, nn.Dropout(p), nn.Linear(WIDTH, CLASSES))


OBJECTIVES = {
    "plain": Objective(),
    "smoothed": Objective(label_smoothing=0.1),
    "weighted": Objective(weights=torch.tensor([0.5, 1.0, 3.0])),
    "shifted": Objective(offset=torch.tensor([0.3, -1.0, 0.2])),
    "all of it": Objective(
        label_smoothing=0.2, weights=torch.tensor([0.5, 1.0, 3.0]), offset=torch.tensor([0.3, -1.0, 0.2])
    ),
}


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
@pytest.mark.parametrize("build", [linear, deep, normalised, without_weights_first, twice_the_same])
def test_they_equal_those_of_autograd(build: Build, objective: Objective) -> None:
    torch.manual_seed(0)
    heads = [build(p) for p in CHANCES]
    x = torch.randn(len(COUNTS), max(COUNTS), WIDTH)
    labels = torch.randint(0, CLASSES, (len(COUNTS), max(COUNTS)))
    counts = torch.tensor(COUNTS)[:, None]
    present = Present(lengths=COUNTS, mask=(torch.arange(max(COUNTS)) < counts).double())
    of_rows = [replace(objective, label_smoothing=objective.label_smoothing * row) for row in range(len(heads))]

    stack = StackedHead(heads, len(COUNTS), dropout_seed=SEED)
    stacked = StackedObjective.of([of_rows] * len(COUNTS), CLASSES, torch.device("cpu"))
    logits, kept = stack.logits(x, present)
    losses, gradient = stacked.totals(logits, labels, present)
    found = stack.gradients(kept, gradient / counts[:, :, None, None])

    for fold, count in enumerate(COUNTS):
        for row, head in enumerate(heads):
            torch.manual_seed(SEED)
            total = of_rows[row].total(head(x[fold, :count]), labels[fold, :count])
            wanted = torch.autograd.grad(total / count, list(head.parameters()))
            torch.testing.assert_close(losses[fold, row], total.detach(), rtol=1e-6, atol=1e-9)
            for mine, theirs in zip(found, wanted, strict=True):
                torch.testing.assert_close(mine[fold, row], theirs, rtol=1e-6, atol=1e-8)


def test_neither_values_nor_weights_are_changed_by_asking() -> None:
    heads = [linear(0.0) for _ in range(2)]
    x = torch.randn(1, 4, WIDTH)
    x_before = x.clone()
    stack = StackedHead(heads, 1, dropout_seed=SEED)
    before = [parameter.detach().clone() for parameter in stack.parameters]
    logits, kept = stack.logits(x, None)
    stack.gradients(kept, torch.ones_like(logits))
    assert torch.equal(x, x_before)
    assert all(torch.equal(one, other) for one, other in zip(stack.parameters, before, strict=True))
