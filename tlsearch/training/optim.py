"""Optimizers as one step over a list of tensors.

Written by hand because building the first `torch.optim` optimizer imports `torch._dynamo`, 2.9 s on two cores; a step
here loads nothing. AdamW is torch's own fused kernel, which reads and writes each number once: of a hidden layer of 256
a step takes a third of what one operation after another does, and five times less where the cores' cache is full. A
test compares each with torch's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from tlsearch.training.recipe import Optimizer

BETAS = (0.9, 0.999)  # Kingma and Ba 2015, arXiv:1412.6980
EPS = 1e-8
MOMENTUM = 0.9
RMSPROP_RHO = 0.9  # Keras's default, as published recipes use it
RMSPROP_EPS = 1e-7


@dataclass(slots=True, kw_only=True)
class Group:
    """Parameters that share a learning rate and a weight decay.

    Args:
        parameters: Trained in place.
        learning_rate: Peak; a step scales it.
        weight_decay: Decoupled, multiplied by the rate of the step.
    """

    parameters: list[nn.Parameter]
    learning_rate: float
    weight_decay: float
    first: list[torch.Tensor] = field(default_factory=list)
    second: list[torch.Tensor] = field(default_factory=list)


class Stepper:
    """Applies gradients to groups of parameters.

    Args:
        optimizer: Which rule.
        groups: In the order in which `step` gets gradients.
        clip_norm: Largest norm of all gradients together; None does not clip.
    """

    def __init__(self, optimizer: Optimizer, groups: Sequence[Group], clip_norm: float | None) -> None:
        self.optimizer = optimizer
        self.groups = groups
        self.clip_norm = clip_norm
        self._steps = torch.zeros((), device=groups[0].parameters[0].device if groups else None)
        for group in groups:
            group.second = [torch.zeros_like(p) for p in group.parameters] if optimizer != "sgd" else []
            group.first = [torch.zeros_like(p) for p in group.parameters] if optimizer != "rmsprop" else []

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All trained parameters, in the order of their gradients."""
        return [p for group in self.groups for p in group.parameters]

    @property
    def tensors(self) -> list[torch.Tensor]:
        """All that a step changes beside the parameters."""
        return [self._steps, *(tensor for group in self.groups for tensor in (*group.first, *group.second))]

    @torch.no_grad()
    def step(self, gradients: Sequence[torch.Tensor], scale: float) -> None:
        """Take one step; `scale` multiplies every learning rate (the schedule)."""
        self._steps += 1
        grads = list(gradients)
        if self.clip_norm is not None:
            total = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
            torch._foreach_mul_(grads, (self.clip_norm / (total + 1e-6)).clamp(max=1.0))
        start = 0
        for group in self.groups:
            if not group.parameters:
                continue
            own = grads[start : start + len(group.parameters)]
            start += len(group.parameters)
            rate = group.learning_rate * scale
            tensors = [p.data for p in group.parameters]
            if group.weight_decay and self.optimizer != "adamw":  # whose own step decays
                torch._foreach_mul_(tensors, 1 - rate * group.weight_decay)
            RULES[self.optimizer](group, tensors, own, rate, self._steps)


def _adamw(
    group: Group, tensors: list[torch.Tensor], grads: list[torch.Tensor], rate: float, steps: torch.Tensor
) -> None:
    torch._fused_adamw_(
        tensors,
        [_laid_out(gradient, like) for gradient, like in zip(grads, tensors, strict=True)],
        group.first,
        group.second,
        [],
        [steps] * len(tensors),
        lr=rate,
        beta1=BETAS[0],
        beta2=BETAS[1],
        weight_decay=group.weight_decay,
        eps=EPS,
        amsgrad=False,
        maximize=False,
    )


def _laid_out(gradient: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A gradient in its parameter's memory layout: the fused kernel goes through both without looking at strides."""
    return gradient if gradient.stride() == like.stride() else torch.empty_like(like).copy_(gradient)


def _sgd(group: Group, tensors: list[torch.Tensor], grads: list[torch.Tensor], rate: float, _: torch.Tensor) -> None:
    torch._foreach_mul_(group.first, MOMENTUM)
    torch._foreach_add_(group.first, grads)
    torch._foreach_add_(tensors, group.first, alpha=-rate)


def _rmsprop(
    group: Group, tensors: list[torch.Tensor], grads: list[torch.Tensor], rate: float, _: torch.Tensor
) -> None:
    torch._foreach_mul_(group.second, RMSPROP_RHO)
    torch._foreach_addcmul_(group.second, grads, grads, 1 - RMSPROP_RHO)
    denominator = torch._foreach_sqrt(group.second)
    torch._foreach_add_(denominator, RMSPROP_EPS)
    torch._foreach_addcdiv_(tensors, grads, denominator, -rate)


RULES = {"adamw": _adamw, "sgd": _sgd, "rmsprop": _rmsprop}
