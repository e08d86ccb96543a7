"""Layers of heads that are trained side by side: what they compute, and the gradients of their weights.

The derivatives are written by hand where that pays: a step of a small head is more overhead than arithmetic, and half
of that was autograd's. The others are torch's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import nn

from tlsearch.training.stacked_batch import Present
from tlsearch.training.stacked_dropout import StackedDropout

PLAIN = (nn.ReLU, nn.GELU)  # neither weights nor memory: on every number alone
OWN_WEIGHTS = frozenset({"weight", "bias"})  # a layer with others computes something else with them

Gradients = dict[int, torch.Tensor]  # by the place of a parameter among a head's own


class Layer(Protocol):
    """One layer of every head of a stack."""

    def forward(
        self, own: Sequence[torch.Tensor], x: torch.Tensor, present: Present | None
    ) -> tuple[torch.Tensor, Any]:
        """What the layer makes of its values, and what its derivative will need.

        Args:
            own: The heads' parameters and buffers, `(F, R, …)`.
            x: `(F, R, n, …)`, or `(F, 1, n, …)` while the rows still share it; left as it is.
            present: None where all are pictures.
        """

    def backward(
        self, own: Sequence[torch.Tensor], kept: Any, gradient: torch.Tensor, found: Gradients, *, onwards: bool
    ) -> torch.Tensor | None:
        """Add the gradients of the layer's parameters to those that are found, and give that of its values.

        Args:
            own: As in `forward`.
            kept: What that kept.
            gradient: Of what it gave.
            found: Gets the gradients.
            onwards: Whether the gradient of the values is wanted, else it is None.
        """


def is_known(layer: nn.Module, batch_size: int) -> bool:
    """Whether `layers_of` can do what a layer does: that of its class, and no more.

    Args:
        layer: Of a head.
        batch_size: Of one picture there is no variance, which BatchNorm refuses in its own words.
    """
    if layer._forward_hooks or layer._forward_pre_hooks:
        return False
    if not OWN_WEIGHTS.issuperset(name for name, _ in layer.named_parameters()):
        return False
    if type(layer) is nn.BatchNorm1d:
        return layer.track_running_stats and layer.momentum is not None and batch_size > 1
    if type(layer) is nn.Dropout:
        return layer.p < 1
    return type(layer) is nn.Linear or type(layer) in PLAIN


def layers_of(head: nn.Sequential, drop: StackedDropout) -> list[Layer]:
    """What a head's layers do, each with the places of its own among a head's parameters and buffers."""
    places = {id(tensor): place for place, tensor in enumerate([*head.parameters(), *head.buffers()])}
    return [_layer(layer, places, drop) for layer in head]


def _layer(layer: nn.Module, places: Mapping[int, int], drop: StackedDropout) -> Layer:
    if isinstance(layer, nn.Dropout):
        return Dropout(layer.p, drop)
    if isinstance(layer, nn.ReLU):
        return _ReLU()
    weight, bias = (places.get(id(getattr(layer, name, None))) for name in ("weight", "bias"))
    if isinstance(layer, nn.Linear):
        assert weight is not None, "a linear layer has weights"
        return _Linear(weight, bias)
    if isinstance(layer, nn.BatchNorm1d):
        statistics = [places[id(buffer)] for buffer in layer.buffers()]
        uses = [place for place in (weight, bias) if place is not None]
        return _ByAutograd(partial(_batch_norm, layer, weight, bias, statistics), uses)
    assert type(layer) in PLAIN, "another layer cannot be stacked"
    return _ByAutograd(lambda _, x, __: layer(x))


def _add(found: Gradients, place: int, gradient: torch.Tensor) -> None:
    """A layer may be in a head twice."""
    found[place] = found[place] + gradient if place in found else gradient


@dataclass(frozen=True, slots=True)
class _Linear:
    """A linear layer: one product for all rows while they share their values, and one for each behind that.

    The weights are on its left, so that their gradient is a product of the outputs' with the values as they lie: on
    the right these would be multiplied transposed, which takes six times as long where there are few classes.
    """

    weight: int
    bias: int | None

    def forward(
        self, own: Sequence[torch.Tensor], x: torch.Tensor, _: Present | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        weight = own[self.weight]
        shared = x.shape[1] == 1  # then all rows are one product: (F, R, O, I) is (F, RO, I)
        weights = weight.flatten(*((1, 2) if shared else (0, 1)))
        values = x[:, 0] if shared else x.flatten(0, 1)  # (F or FR, n, I)
        across = values.transpose(1, 2)
        if self.bias is None:
            out = torch.bmm(weights, across)
        else:
            biases = own[self.bias].flatten(*((1, 2) if shared else (0, 1)))
            out = torch.baddbmm(biases[:, :, None], weights, across)
        return out.view(*weight.shape[:3], -1).transpose(2, 3), values  # (F, R, O, n) -> (F, R, n, O)

    def backward(
        self,
        own: Sequence[torch.Tensor],
        kept: torch.Tensor,
        gradient: torch.Tensor,
        found: Gradients,
        *,
        onwards: bool,
    ) -> torch.Tensor | None:
        weight = own[self.weight]
        folds, rows, outputs, inputs = weight.shape
        # (F, RO, n) where the rows shared their values, else (FR, O, n)
        across = gradient.transpose(2, 3).reshape(len(kept), -1, kept.shape[1])
        _add(found, self.weight, torch.bmm(across, kept).view(weight.shape))
        if self.bias is not None:
            _add(found, self.bias, across.sum(dim=2).view(folds, rows, outputs))
        if not onwards:
            return None
        assert len(kept) == folds * rows, "behind a layer that learns each row has values of its own"
        back = torch.bmm(weight.flatten(0, 1).transpose(1, 2), across)  # (FR, I, n)
        return back.view(folds, rows, inputs, -1).transpose(2, 3)


@dataclass(frozen=True, slots=True)
class _ReLU:
    def forward(
        self, _: Sequence[torch.Tensor], x: torch.Tensor, __: Present | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        out = torch.relu(x)
        return out, out

    def backward(
        self, _: Sequence[torch.Tensor], kept: torch.Tensor, gradient: torch.Tensor, __: Gradients, *, onwards: bool
    ) -> torch.Tensor | None:
        return torch.ops.aten.threshold_backward(gradient, kept, 0) if onwards else None


@dataclass(slots=True)
class Dropout:
    """Drops values.

    Args:
        p: The share.
        drop: Draws which.
        holds: Whether what is drawn lies in a tensor that stays, into which `draw` puts each step's draw before it.
        held: That tensor, from the first step on.
    """

    p: float
    drop: StackedDropout
    holds: bool = False
    held: torch.Tensor | None = None

    def hold(self, holds: bool) -> None:
        """Begin to hold draws, or end it; what was held is forgotten."""
        self.holds, self.held = holds, None

    def draw(self, present: Present | None) -> None:
        """Draw the next step's into the tensor that is held."""
        if self.held is not None:
            self.held.copy_(self.drop.factors(self.p, self.held, present))

    def forward(
        self, _: Sequence[torch.Tensor], x: torch.Tensor, present: Present | None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """As of `Layer`."""
        if self.p == 0:
            return x, None
        if not self.holds:
            kept = self.drop.factors(self.p, x, present)
        elif self.held is None:
            kept = self.held = torch.ones_like(x[:, :1])
        else:
            kept = self.held
        return x * kept, kept

    def backward(
        self,
        _: Sequence[torch.Tensor],
        kept: torch.Tensor | None,
        gradient: torch.Tensor,
        __: Gradients,
        *,
        onwards: bool,
    ) -> torch.Tensor | None:
        """As of `Layer`."""
        if not onwards:
            return None
        return gradient if kept is None else gradient * kept


@dataclass(frozen=True, slots=True)
class _ByAutograd:
    """A layer whose derivative is torch's.

    Args:
        compute: What it makes of all heads' parameters and buffers, its values, and which of them are pictures.
        uses: The places of its parameters.
    """

    compute: Callable[[Sequence[torch.Tensor], torch.Tensor, Present | None], torch.Tensor]
    uses: Sequence[int] = ()

    def forward(
        self, own: Sequence[torch.Tensor], x: torch.Tensor, present: Present | None
    ) -> tuple[torch.Tensor, Any]:
        x = x.detach().requires_grad_()
        used = {place: own[place].detach().requires_grad_() for place in self.uses}
        with torch.enable_grad():
            out = self.compute([used.get(place, tensor) for place, tensor in enumerate(own)], x, present)
        return out.detach(), (out, x, used)

    def backward(
        self, _: Sequence[torch.Tensor], kept: Any, gradient: torch.Tensor, found: Gradients, *, onwards: bool
    ) -> torch.Tensor | None:
        out, x, used = kept
        of_x, *others = torch.autograd.grad(out, [x, *used.values()], gradient)
        for place, one in zip(used, others, strict=True):
            _add(found, place, one)
        return of_x if onwards else None


def _batch_norm(
    layer: nn.BatchNorm1d,
    weight_at: int | None,
    bias_at: int | None,
    statistics_at: Sequence[int],
    own: Sequence[torch.Tensor],
    x: torch.Tensor,
    present: Present | None,
) -> torch.Tensor:
    """Normalise by the mean and variance of each row's own values of each fold's pictures, and remember them."""
    pictures = torch.ones_like(x[:, :1, :, :1]) if present is None else present.mask[:, None, :, None]  # (F, 1, n, 1)
    count = pictures.sum(dim=2, keepdim=True)
    mean = (x * pictures).sum(dim=2, keepdim=True) / count  # (F, R, 1, D)
    centred = x - mean
    variance = (centred.square() * pictures).sum(dim=2, keepdim=True) / count
    with torch.no_grad():
        assert layer.momentum is not None, "another BatchNorm cannot be stacked"
        running_mean, running_variance, batches = (own[place] for place in statistics_at)
        running_mean.lerp_(mean[:, :, 0], layer.momentum)
        running_variance.lerp_((variance * count / (count - 1))[:, :, 0], layer.momentum)
        batches += 1
    scaled = centred * torch.rsqrt(variance + layer.eps)
    scaled = scaled if weight_at is None else scaled * own[weight_at][:, :, None]
    return scaled if bias_at is None else scaled + own[bias_at][:, :, None]
