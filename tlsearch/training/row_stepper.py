"""One optimizer step for heads that are trained side by side: each row has its own rates, each fold its own clipping.

The rules are those of `optim`.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import nn

from tlsearch.training.optim import RULES, Group, Stepper
from tlsearch.training.recipe import Optimizer

DECAYED_NDIM = 4  # (F, R, O, I): biases and normalisation have one dimension behind fold and row, and never decay


class RowStepper(Protocol):
    """Applies gradients to stacked parameters `(F, R, …)`, in place."""

    def step(self, gradients: Sequence[torch.Tensor], scales: torch.Tensor) -> None:
        """Take one step.

        Args:
            gradients: One a parameter, in order; overwritten.
            scales: `(R,)`, what each row's learning rate is multiplied by (the schedule).
        """

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these rows alone, whose parameters were reduced likewise."""

    @property
    def tensors(self) -> list[torch.Tensor]:
        """All that a step changes beside the parameters, and a later one reads."""


def row_stepper(
    optimizer: Optimizer,
    parameters: Sequence[nn.Parameter],
    *,
    learning_rates: Sequence[float],
    weight_decays: Sequence[float],
    clip_norm: float | None,
    repeatable: bool = False,
) -> RowStepper:
    """The quickest stepper for so many rows.

    Args:
        optimizer: Which rule.
        parameters: Each `(F, R, …)`.
        learning_rates: Of each row, the peak; a step scales it.
        weight_decays: Of each row; decoupled, multiplied by the rate of the step.
        clip_norm: Largest norm of all gradients of one row on one fold together; None does not clip.
        repeatable: Whether a step has to be the same operations on the same tensors each time, as in a CUDA graph.
    """
    if len(learning_rates) == 1 and parameters[0].device.type == "cpu" and not repeatable:
        return _OneRow(optimizer, parameters, learning_rates[0], weight_decays[0], clip_norm)
    return _ManyRows(optimizer, parameters, learning_rates, weight_decays, clip_norm)


class _OneRow:
    """The rule's own step: of a head with a hidden layer of 512 it goes through memory half as often."""

    def __init__(
        self,
        optimizer: Optimizer,
        parameters: Sequence[nn.Parameter],
        learning_rate: float,
        weight_decay: float,
        clip_norm: float | None,
    ) -> None:
        decayed = [p for p in parameters if p.ndim == DECAYED_NDIM]
        others = [p for p in parameters if p.ndim != DECAYED_NDIM]
        groups = [
            Group(parameters=own, learning_rate=learning_rate, weight_decay=decay)
            for own, decay in ((decayed, weight_decay), (others, 0.0))
            if own
        ]
        self._order = sorted(range(len(parameters)), key=lambda index: parameters[index].ndim != DECAYED_NDIM)
        one_fold = parameters[0].shape[0] == 1  # then its norm is that of all there is, which the rule's own step takes
        self._clip_norm = None if one_fold else clip_norm
        self._stepper = Stepper(optimizer, groups, clip_norm if one_fold else None)

    def step(self, gradients: Sequence[torch.Tensor], scales: torch.Tensor) -> None:
        _clip(gradients, self._clip_norm)
        self._stepper.step([gradients[index] for index in self._order], float(scales))

    def keep(self, rows: torch.Tensor) -> None:
        assert rows.tolist() == [0], "the one row stays or training ends"

    @property
    def tensors(self) -> list[torch.Tensor]:
        return self._stepper.tensors


class _ManyRows:
    """A rule moves zeros at a rate of 1, which gives the direction; the rows' rates are multiplied in afterwards.

    So a step is a fixed number of operations however many rows there are.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        parameters: Sequence[nn.Parameter],
        learning_rates: Sequence[float],
        weight_decays: Sequence[float],
        clip_norm: float | None,
    ) -> None:
        device = parameters[0].device
        self._rule = RULES[optimizer]
        self._parameters = parameters
        self._rates = torch.tensor(learning_rates, device=device)
        self._decays = torch.tensor(weight_decays, device=device)
        self._clip_norm = clip_norm
        self._steps = torch.zeros((), device=device)
        self._directions = [torch.zeros_like(parameter.data) for parameter in parameters]
        self._state = Group(parameters=[], learning_rate=1.0, weight_decay=0.0)
        self._state.second = [torch.zeros_like(p.data) for p in parameters] if optimizer != "sgd" else []
        self._state.first = [torch.zeros_like(p.data) for p in parameters] if optimizer != "rmsprop" else []

    @torch.no_grad()
    def step(self, gradients: Sequence[torch.Tensor], scales: torch.Tensor) -> None:
        self._steps += 1
        _clip(gradients, self._clip_norm)
        torch._foreach_zero_(self._directions)
        self._rule(self._state, self._directions, list(gradients), 1.0, self._steps)
        rates = self._rates * scales
        kept = 1 - rates * self._decays
        for parameter, direction in zip(self._parameters, self._directions, strict=True):
            of_rows = (-1, *[1] * (parameter.ndim - 2))
            if parameter.ndim == DECAYED_NDIM:
                parameter.data.mul_(kept.view(of_rows))
            parameter.data.addcmul_(direction, rates.view(of_rows))

    def keep(self, rows: torch.Tensor) -> None:
        self._rates, self._decays = self._rates[rows], self._decays[rows]
        for tensors in (self._directions, self._state.first, self._state.second):
            tensors[:] = [tensor[:, rows] for tensor in tensors]

    @property
    def tensors(self) -> list[torch.Tensor]:
        return [self._steps, *self._state.first, *self._state.second]  # directions are of one step


@torch.no_grad()
def _clip(gradients: Sequence[torch.Tensor], norm: float | None) -> None:
    """Scale each fold's gradients of each row to at most a norm of all of them together, as `Stepper` does."""
    if norm is None:
        return
    each = torch.stack([torch.linalg.vector_norm(one.flatten(2), dim=2) for one in gradients])  # (weights, F, R)
    scale = (norm / (torch.linalg.vector_norm(each, dim=0) + 1e-6)).clamp(max=1.0)
    for one in gradients:
        one.mul_(scale.view(*scale.shape, *[1] * (one.ndim - 2)))
