"""The hand-written steps against torch's own optimizers."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from tlsearch.training.optim import MOMENTUM, RMSPROP_EPS, RMSPROP_RHO, Group, Stepper
from tlsearch.training.recipe import Optimizer

STEPS = 30
SHAPES = [(5, 4), (5,), (3, 5, 2, 2), (1,)]
RATES = (0.02, 0.004)  # of two groups, as a head and a suffix have them
DECAY = 0.1

Reference = Callable[[list[dict[str, Any]]], torch.optim.Optimizer]
REFERENCES: dict[Optimizer, Reference] = {
    "adamw": torch.optim.AdamW,
    "sgd": lambda groups: torch.optim.SGD(groups, momentum=MOMENTUM),
    "rmsprop": lambda groups: torch.optim.RMSprop(groups, alpha=RMSPROP_RHO, eps=RMSPROP_EPS),
}


def parameters(seed: int) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def gradients(step: int) -> list[torch.Tensor]:
    """Of both groups; small ones among them, where epsilon matters."""
    generator = torch.Generator().manual_seed(1000 + step)
    return [torch.randn(shape, generator=generator) * 10.0 ** (-4 * (i % 2)) for i, shape in enumerate(SHAPES * 2)]


def rate_scale(step: int) -> float:
    return 1.0 - step / (2 * STEPS)


def trained_by_hand(optimizer: Optimizer, *, decay: float, clip_norm: float | None) -> list[nn.Parameter]:
    groups = [
        Group(parameters=parameters(seed), learning_rate=rate, weight_decay=decay) for seed, rate in enumerate(RATES)
    ]
    stepper = Stepper(optimizer, groups, clip_norm)
    for step in range(STEPS):
        stepper.step(gradients(step), rate_scale(step))
    return stepper.parameters


def trained_by_torch(optimizer: Optimizer, *, decay: float, clip_norm: float | None) -> list[nn.Parameter]:
    """Decay is AdamW's own; of the others torch knows none that is decoupled, so it is written out."""
    groups: list[dict[str, Any]] = [
        {"params": parameters(seed), "lr": rate, "weight_decay": 0.0} for seed, rate in enumerate(RATES)
    ]
    ours = optimizer == "adamw"
    reference = REFERENCES[optimizer]([{**group, "weight_decay": decay if ours else 0.0} for group in groups])
    everything = [p for group in groups for p in group["params"]]
    for step in range(STEPS):
        for parameter, gradient in zip(everything, gradients(step), strict=True):
            parameter.grad = gradient
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(everything, clip_norm)
        for group, rate in zip(reference.param_groups, RATES, strict=True):
            group["lr"] = rate * rate_scale(step)
            if not ours:
                for parameter in group["params"]:
                    parameter.data.mul_(1 - group["lr"] * decay)
        reference.step()
    return everything


@pytest.mark.parametrize("clip_norm", [None, 1.0, 1e6], ids=["unclipped", "clipped", "clipped never"])
@pytest.mark.parametrize("decay", [0.0, DECAY], ids=["no decay", "decay"])
@pytest.mark.parametrize("optimizer", REFERENCES)
def test_every_step_is_that_of_torch(optimizer: Optimizer, decay: float, clip_norm: float | None) -> None:
    ours = trained_by_hand(optimizer, decay=decay, clip_norm=clip_norm)
    theirs = trained_by_torch(optimizer, decay=decay, clip_norm=clip_norm)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("optimizer", REFERENCES)
def test_a_gradient_in_another_memory_layout_counts_the_same(optimizer: Optimizer) -> None:
    def after_two_steps(layout: torch.memory_format) -> torch.Tensor:
        parameter = nn.Parameter(parameters(0)[2].detach().to(memory_format=layout))
        stepper = Stepper(optimizer, [Group(parameters=[parameter], learning_rate=0.1, weight_decay=0.1)], None)
        for step in range(2):
            stepper.step([gradients(step)[2].contiguous()], 1.0)
        return parameter.detach()

    torch.testing.assert_close(after_two_steps(torch.channels_last), after_two_steps(torch.contiguous_format))


def test_decay_is_decoupled_from_the_gradient() -> None:
    parameter = nn.Parameter(torch.full((2, 2), 3.0))
    stepper = Stepper("adamw", [Group(parameters=[parameter], learning_rate=0.5, weight_decay=0.2)], None)
    stepper.step([torch.zeros(2, 2)], 0.5)
    torch.testing.assert_close(parameter.data, torch.full((2, 2), 3.0 * (1 - 0.5 * 0.5 * 0.2)))


def test_clipping_scales_all_groups_by_one_norm() -> None:
    small, large = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    groups = [Group(parameters=[p], learning_rate=1.0, weight_decay=0.0) for p in (small, large)]
    Stepper("sgd", groups, 1.0).step([torch.tensor([3.0]), torch.tensor([4.0])], 1.0)
    torch.testing.assert_close(torch.stack([small.data, large.data]), torch.tensor([[-0.6], [-0.8]]))
