"""A head once a fold: the folds' weights lie one behind another, and a layer is one operation for all of them."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

from tlsearch.training.stacked_dropout import StackedDropout

PLAIN = (nn.ReLU, nn.GELU)  # neither weights nor memory: on every number alone
OWN_WEIGHTS = frozenset({"weight", "bias"})  # a layer with others computes something else with them

Layer = Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]  # (F, n, …), which rows are pictures -> (F, n, …)


def can_be_stacked(head: nn.Module, batch_size: int) -> bool:
    """Whether each of a head's layers is one that is known here, and does what its class does and no more.

    Args:
        head: Features `(n, D)` to logits `(n, C)`.
        batch_size: Of one picture there is no variance, which BatchNorm refuses in its own words.
    """
    if type(head) is not nn.Sequential or head._forward_hooks or head._forward_pre_hooks:
        return False
    return all(_is_known(layer, batch_size) for layer in head)


def _is_known(layer: nn.Module, batch_size: int) -> bool:
    if layer._forward_hooks or layer._forward_pre_hooks:
        return False
    if not OWN_WEIGHTS.issuperset(name for name, _ in layer.named_parameters()):
        return False
    if type(layer) is nn.BatchNorm1d:
        return layer.track_running_stats and layer.momentum is not None and batch_size > 1
    if type(layer) is nn.Dropout:
        return layer.p < 1
    return type(layer) is nn.Linear or type(layer) in PLAIN


class StackedHead:
    """F copies of a head, in training.

    Args:
        head: What all of them start from; it can be stacked, and is left as it is.
        folds: F.
        dropout_seed: As of `StackedDropout`.
    """

    def __init__(self, head: nn.Sequential, folds: int, *, dropout_seed: int) -> None:
        stacked = {id(weight): nn.Parameter(_stack(weight, folds)) for weight in head.parameters()}
        self.parameters = list(stacked.values())  # each (F, …), in the head's order
        self._buffers = [_stack(buffer, folds) for buffer in head.buffers()]
        self._drop = StackedDropout(dropout_seed, folds, self.parameters[0].device)
        buffers = iter(self._buffers)  # of BatchNorm alone: mean, variance, batches
        self._layers = [self._layer(layer, stacked, [next(buffers) for _ in layer.buffers()]) for layer in head]

    def logits(self, x: torch.Tensor, present: torch.Tensor | None) -> torch.Tensor:
        """Features to logits, fold by fold.

        Args:
            x: `(F, n, D)`.
            present: `(F, n)`, 1 for a picture and 0 for what only fills up; None where all are pictures.
        """
        for layer in self._layers:
            x = layer(x, present)
        return x  # (F, n, C)

    @torch.no_grad()
    def copy_to(self, head: nn.Sequential, fold: int) -> None:
        """Put one fold's weights and statistics into a head of the same shape."""
        own = [*head.parameters(), *head.buffers()]
        for tensor, stacked in zip(own, [*self.parameters, *self._buffers], strict=True):
            tensor.copy_(stacked[fold])

    def _layer(self, layer: nn.Module, stacked: dict[int, nn.Parameter], buffers: Sequence[torch.Tensor]) -> Layer:
        weight = stacked.get(id(getattr(layer, "weight", None)))
        bias = stacked.get(id(getattr(layer, "bias", None)))
        if isinstance(layer, nn.Linear):
            assert weight is not None, "a linear layer has weights"
            return partial(_linear, weight, bias)
        if isinstance(layer, nn.BatchNorm1d):
            return partial(_batch_norm, layer, weight, bias, buffers)
        if isinstance(layer, nn.Dropout):
            return partial(_dropout, layer.p, self._drop)
        return lambda x, _: layer(x)


def _stack(tensor: torch.Tensor, folds: int) -> torch.Tensor:
    return tensor.detach().expand(folds, *tensor.shape).clone()


def _linear(weight: torch.Tensor, bias: torch.Tensor | None, x: torch.Tensor, _: torch.Tensor | None) -> torch.Tensor:
    # with the weights on the left their gradient is a product of the outputs' with x as it lies: x on the left would
    # be multiplied transposed, which takes six times as long where there are few classes
    across = x.transpose(1, 2)  # (F, n, I) -> (F, I, n)
    out = torch.bmm(weight, across) if bias is None else torch.baddbmm(bias[:, :, None], weight, across)
    return out.transpose(1, 2)  # (F, O, n) -> (F, n, O)


def _dropout(p: float, drop: StackedDropout, x: torch.Tensor, present: torch.Tensor | None) -> torch.Tensor:
    return drop(p, x, None if present is None else [int(n) for n in present.sum(dim=1).tolist()])


def _batch_norm(
    layer: nn.BatchNorm1d,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    statistics: Sequence[torch.Tensor],
    x: torch.Tensor,
    present: torch.Tensor | None,
) -> torch.Tensor:
    """Normalise by the mean and variance of each fold's own pictures, and remember them."""
    pictures = torch.ones_like(x[:, :, :1]) if present is None else present[:, :, None]  # (F, n, 1)
    count = pictures.sum(dim=1, keepdim=True)
    mean = (x * pictures).sum(dim=1, keepdim=True) / count  # (F, 1, D)
    centred = x - mean
    variance = (centred.square() * pictures).sum(dim=1, keepdim=True) / count
    with torch.no_grad():
        assert layer.momentum is not None, "another BatchNorm cannot be stacked"
        running_mean, running_variance, batches = statistics
        running_mean.lerp_(mean[:, 0], layer.momentum)
        running_variance.lerp_((variance * count / (count - 1))[:, 0], layer.momentum)
        batches += 1
    scaled = centred * torch.rsqrt(variance + layer.eps)
    scaled = scaled if weight is None else scaled * weight[:, None]
    return scaled if bias is None else scaled + bias[:, None]
