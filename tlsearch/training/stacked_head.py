"""Heads of one structure, each once a fold: their weights lie one behind another, a layer is one operation for all."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, groupby

import torch
from torch import nn

from tlsearch.training.stacked_dropout import StackedDropout

PLAIN = (nn.ReLU, nn.GELU)  # neither weights nor memory: on every number alone
OWN_WEIGHTS = frozenset({"weight", "bias"})  # a layer with others computes something else with them

# a head's parameters and buffers (F, R, …); values (F, R, n, …), or (F, 1, n, …) while the rows still share them; and
# which of the n are pictures
Layer = Callable[[Sequence[torch.Tensor], torch.Tensor, torch.Tensor | None], torch.Tensor]


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
    """All of a head but its weights and its chances of dropout: heads that are equal in it can be rows of one stack."""
    layers = list(head)
    return tuple(
        (type(layer), "" if type(layer) is nn.Dropout else layer.extra_repr(), layers.index(layer)) for layer in layers
    )


def chances(head: nn.Sequential) -> tuple[float, ...]:
    """Of each dropout layer of a head, in order: rows that lie together and are equal in them share their draws."""
    return tuple(layer.p for layer in head if isinstance(layer, nn.Dropout))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Rows that lie together and drop alike.

    Args:
        rows: How many.
        layers: Of a head, with the chances of these rows.
    """

    rows: int
    layers: Sequence[Layer]

    def logits(self, own: Sequence[torch.Tensor], x: torch.Tensor, present: torch.Tensor | None) -> torch.Tensor:
        """As `StackedHead.logits`, of the rows whose parameters and buffers these are."""
        x = x[:, None]
        for layer in self.layers:
            x = layer(own, x, present)
        return x


class StackedHead:
    """R heads, each once for every of F folds, in training.

    Args:
        heads: What the copies of each row start from: of one structure that can be stacked; left as they are. The more
            of those that lie together are equal in `chances`, the less a step takes.
        folds: F.
        dropout_seed: As of `StackedDropout`.
    """

    def __init__(self, heads: Sequence[nn.Sequential], folds: int, *, dropout_seed: int) -> None:
        of_rows = [list(head.parameters()) for head in heads]
        self.parameters = [nn.Parameter(_stack(weights, folds)) for weights in zip(*of_rows, strict=True)]
        self._buffers = [
            _stack(buffers, folds) for buffers in zip(*(list(head.buffers()) for head in heads), strict=True)
        ]
        device = self.parameters[0].device
        self._parts = []
        for _, alike in groupby(heads, chances):
            same = list(alike)
            drop = StackedDropout(dropout_seed, folds, device)
            self._parts.append(_Part(rows=len(same), layers=_layers(same[0], drop)))

    def logits(self, x: torch.Tensor, present: torch.Tensor | None) -> torch.Tensor:
        """Features to logits, `(F, R, n, C)`.

        Args:
            x: `(F, n, D)`, which all rows get.
            present: `(F, n)`, 1 for a picture and 0 for what only fills up; None where all are pictures.
        """
        tensors = [*self.parameters, *self._buffers]
        if len(self._parts) == 1:
            return self._parts[0].logits(tensors, x, present)
        sizes = [part.rows for part in self._parts]
        of_parts = zip(*(tensor.split_with_sizes(sizes, dim=1) for tensor in tensors), strict=True)  # views
        found = [part.logits(own, x, present) for part, own in zip(self._parts, of_parts, strict=True)]
        return torch.cat(found, dim=1)

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

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone, in ascending order."""
        for parameter in self.parameters:
            parameter.data = parameter.data[:, rows]  # the optimizer holds the parameters themselves
        self._buffers = [buffer[:, rows] for buffer in self._buffers]
        ends = list(accumulate(part.rows for part in self._parts))
        kept = Counter(bisect_right(ends, row) for row in rows)  # by part
        self._parts = [replace(part, rows=kept[place]) for place, part in enumerate(self._parts) if kept[place]]


def _layers(head: nn.Sequential, drop: StackedDropout) -> list[Layer]:
    """What a head's layers do, each with the places of its own among a head's parameters and buffers."""
    places = {id(tensor): place for place, tensor in enumerate([*head.parameters(), *head.buffers()])}
    return [_layer(layer, places, drop) for layer in head]


def _layer(layer: nn.Module, places: Mapping[int, int], drop: StackedDropout) -> Layer:
    if isinstance(layer, nn.Dropout):
        return partial(_dropout, layer.p, drop)
    weight, bias = (places.get(id(getattr(layer, name, None))) for name in ("weight", "bias"))
    if isinstance(layer, nn.Linear):
        assert weight is not None, "a linear layer has weights"
        return partial(_linear, weight, bias)
    if isinstance(layer, nn.BatchNorm1d):
        return partial(_batch_norm, layer, weight, bias, [places[id(buffer)] for buffer in layer.buffers()])
    return lambda _, x, __: layer(x)


def _stack(of_rows: Sequence[torch.Tensor], folds: int) -> torch.Tensor:
    """`(R, …)` to `(F, R, …)`, the same in every fold."""
    rows = torch.stack([tensor.detach() for tensor in of_rows])
    return rows.expand(folds, *rows.shape).clone()


def _linear(
    weight_at: int, bias_at: int | None, own: Sequence[torch.Tensor], x: torch.Tensor, _: torch.Tensor | None
) -> torch.Tensor:
    weight = own[weight_at]
    shared = x.shape[1] == 1  # then all rows are one product: (F, R, O, I) is (F, RO, I)
    weights = weight.flatten(*((1, 2) if shared else (0, 1)))
    # with the weights on the left their gradient is a product of the outputs' with x as it lies: x on the left would
    # be multiplied transposed, which takes six times as long where there are few classes
    across = (x[:, 0] if shared else x.flatten(0, 1)).transpose(1, 2)  # (F or FR, n, I) -> (…, I, n)
    if bias_at is None:
        out = torch.bmm(weights, across)
    else:
        biases = own[bias_at].flatten(*((1, 2) if shared else (0, 1)))
        out = torch.baddbmm(biases[:, :, None], weights, across)
    return out.view(*weight.shape[:3], -1).transpose(2, 3)  # (F, R, O, n) -> (F, R, n, O)


def _dropout(
    p: float, drop: StackedDropout, _: Sequence[torch.Tensor], x: torch.Tensor, present: torch.Tensor | None
) -> torch.Tensor:
    return drop(p, x, None if present is None else [int(n) for n in present.sum(dim=1).tolist()])


def _batch_norm(
    layer: nn.BatchNorm1d,
    weight_at: int | None,
    bias_at: int | None,
    statistics_at: Sequence[int],
    own: Sequence[torch.Tensor],
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
        running_mean, running_variance, batches = (own[place] for place in statistics_at)
        running_mean.lerp_(mean[:, :, 0], layer.momentum)
        running_variance.lerp_((variance * count / (count - 1))[:, :, 0], layer.momentum)
        batches += 1
    scaled = centred * torch.rsqrt(variance + layer.eps)
    scaled = scaled if weight_at is None else scaled * own[weight_at][:, :, None]
    return scaled if bias_at is None else scaled + own[bias_at][:, :, None]
