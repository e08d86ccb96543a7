"""Heads of one structure, each once a fold: their weights lie one behind another, a layer is one operation for all."""

from collections.abc import Callable, Hashable, Sequence
from functools import partial

import torch
from torch import nn

from tlsearch.training.stacked_dropout import StackedDropout

PLAIN = (nn.ReLU, nn.GELU)  # neither weights nor memory: on every number alone
OWN_WEIGHTS = frozenset({"weight", "bias"})  # a layer with others computes something else with them

# values (F, R, n, …), or (F, 1, n, …) while the rows still share them, and which of the n are pictures
Layer = Callable[[torch.Tensor, torch.Tensor | None], torch.Tensor]


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


def structure(head: nn.Sequential) -> Hashable:
    """All of a head but its weights: heads that are equal in it can be rows of one stack."""
    layers = list(head)
    return tuple((type(layer), layer.extra_repr(), layers.index(layer)) for layer in layers)


class StackedHead:
    """R heads, each once for every of F folds, in training.

    Args:
        heads: What the copies of each row start from: of one structure that can be stacked; left as they are.
        folds: F.
        dropout_seed: As of `StackedDropout`.
    """

    def __init__(self, heads: Sequence[nn.Sequential], folds: int, *, dropout_seed: int) -> None:
        of_rows = [list(head.parameters()) for head in heads]
        self.parameters = [nn.Parameter(_stack(weights, folds)) for weights in zip(*of_rows, strict=True)]
        self._buffers = [
            _stack(buffers, folds) for buffers in zip(*(list(head.buffers()) for head in heads), strict=True)
        ]
        first = heads[0]
        stacked = {id(weight): own for weight, own in zip(first.parameters(), self.parameters, strict=True)}
        self._drop = StackedDropout(dropout_seed, folds, self.parameters[0].device)
        buffers = iter(self._buffers)  # of BatchNorm alone: mean, variance, batches
        self._layers = [self._layer(layer, stacked, [next(buffers) for _ in layer.buffers()]) for layer in first]

    def logits(self, x: torch.Tensor, present: torch.Tensor | None) -> torch.Tensor:
        """Features to logits, `(F, R, n, C)`.

        Args:
            x: `(F, n, D)`, which all rows get.
            present: `(F, n)`, 1 for a picture and 0 for what only fills up; None where all are pictures.
        """
        x = x[:, None]
        for layer in self._layers:
            x = layer(x, present)
        return x

    @torch.no_grad()
    def copy_to(self, head: nn.Sequential, fold: int, row: int) -> None:
        """Put the weights and statistics of one row on one fold into a head of the same structure."""
        own = [*head.parameters(), *head.buffers()]
        for tensor, stacked in zip(own, [*self.parameters, *self._buffers], strict=True):
            tensor.copy_(stacked[fold, row])

    @torch.no_grad()
    def copy_from(self, head: nn.Sequential, fold: int, row: int) -> None:
        """Let one row on one fold go on from the weights and statistics of a head of the same structure."""
        own = [*head.parameters(), *head.buffers()]
        for tensor, stacked in zip(own, [*self.parameters, *self._buffers], strict=True):
            stacked[fold, row] = tensor

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these rows alone, `(rows,)` indices in a fixed order."""
        for tensor in [*self.parameters, *self._buffers]:
            tensor.data = tensor.data[:, rows]  # the layers hold the tensors themselves

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


def _stack(of_rows: Sequence[torch.Tensor], folds: int) -> torch.Tensor:
    """`(R, …)` to `(F, R, …)`, the same in every fold."""
    rows = torch.stack([tensor.detach() for tensor in of_rows])
    return rows.expand(folds, *rows.shape).clone()


def _linear(weight: torch.Tensor, bias: torch.Tensor | None, x: torch.Tensor, _: torch.Tensor | None) -> torch.Tensor:
    shared = x.shape[1] == 1  # then all rows are one product: (F, R, O, I) is (F, RO, I)
    weights, biases = weight.flatten(*((1, 2) if shared else (0, 1))), None
    # with the weights on the left their gradient is a product of the outputs' with x as it lies: x on the left would
    # be multiplied transposed, which takes six times as long where there are few classes
    across = (x[:, 0] if shared else x.flatten(0, 1)).transpose(1, 2)  # (F or FR, n, I) -> (…, I, n)
    if bias is None:
        out = torch.bmm(weights, across)
    else:
        biases = bias.flatten(*((1, 2) if shared else (0, 1)))
        out = torch.baddbmm(biases[:, :, None], weights, across)
    return out.view(*weight.shape[:3], -1).transpose(2, 3)  # (F, R, O, n) -> (F, R, n, O)


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
    """Normalise by the mean and variance of each row's own values of each fold's pictures, and remember them."""
    pictures = torch.ones_like(x[:, :1, :, :1]) if present is None else present[:, None, :, None]  # (F, 1, n, 1)
    count = pictures.sum(dim=2, keepdim=True)
    mean = (x * pictures).sum(dim=2, keepdim=True) / count  # (F, R, 1, D)
    centred = x - mean
    variance = (centred.square() * pictures).sum(dim=2, keepdim=True) / count
    with torch.no_grad():
        assert layer.momentum is not None, "another BatchNorm cannot be stacked"
        running_mean, running_variance, batches = statistics
        running_mean.lerp_(mean[:, :, 0], layer.momentum)
        running_variance.lerp_((variance * count / (count - 1))[:, :, 0], layer.momentum)
        batches += 1
    scaled = centred * torch.rsqrt(variance + layer.eps)
    scaled = scaled if weight is None else scaled * weight[:, :, None]
    return scaled if bias is None else scaled + bias[:, :, None]
