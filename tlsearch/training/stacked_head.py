"""Heads of one structure, each once a fold: their weights lie one behind another, a layer is one operation for all."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby
from typing import Any

import torch
from torch import nn

from tlsearch.training.stacked_batch import Present
from tlsearch.training.stacked_dropout import StackedDropout
from tlsearch.training.stacked_layers import Dropout, Gradients, Layer, is_known, layers_of

Kept = list[list[Any]]  # for each part and layer, what its derivative needs


def can_be_stacked(head: nn.Module, batch_size: int) -> bool:
    """Whether each of a head's layers is one that is known here, and does what its class does and no more.

    Args:
        head: Features `(n, D)` to logits `(n, C)`.
        batch_size: Of one picture there is no variance, which BatchNorm refuses in its own words.
    """
    if type(head) is not nn.Sequential or head._forward_hooks or head._forward_pre_hooks:
        return False
    return all(is_known(layer, batch_size) for layer in head)


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
        learning: The place of the first layer that has parameters: gradients go back no farther.
    """

    rows: int
    layers: Sequence[Layer]
    learning: int

    def logits(
        self, own: Sequence[torch.Tensor], x: torch.Tensor, present: Present | None
    ) -> tuple[torch.Tensor, list[Any]]:
        """As `StackedHead.logits`, of the rows whose parameters and buffers these are."""
        x, kept = x[:, None], []
        for layer in self.layers:
            x, needed = layer.forward(own, x, present)
            kept.append(needed)
        return x, kept

    def gradients(self, own: Sequence[torch.Tensor], kept: Sequence[Any], gradient: torch.Tensor) -> Gradients:
        """By the place of a parameter, its gradient, given that of the logits."""
        found: Gradients = {}
        backwards: torch.Tensor | None = gradient
        for place in reversed(range(self.learning, len(self.layers))):
            assert backwards is not None, "all but the last one asked give one"
            onwards = place > self.learning
            backwards = self.layers[place].backward(own, kept[place], backwards, found, onwards=onwards)
        return found


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
            learning = next(place for place, layer in enumerate(same[0]) if list(layer.parameters()))
            self._parts.append(_Part(rows=len(same), layers=layers_of(same[0], drop), learning=learning))

    @torch.no_grad()
    def logits(self, x: torch.Tensor, present: Present | None) -> tuple[torch.Tensor, Kept]:
        """Features to logits, `(F, R, n, C)`, and what `gradients` will need.

        Args:
            x: `(F, n, D)`, which all rows get.
            present: None where all are pictures.
        """
        found = [part.logits(own, x, present) for part, own in zip(self._parts, self._of_parts(), strict=True)]
        logits = [of_part for of_part, _ in found]
        return logits[0] if len(logits) == 1 else torch.cat(logits, dim=1), [kept for _, kept in found]

    @torch.no_grad()
    def gradients(self, kept: Kept, gradient: torch.Tensor) -> list[torch.Tensor]:
        """Of each parameter, `(F, R, …)`.

        Args:
            kept: What `logits` gave.
            gradient: Of the logits.
        """
        sizes = [part.rows for part in self._parts]
        found = [
            part.gradients(own, needed, of_part)
            for part, own, needed, of_part in zip(
                self._parts, self._of_parts(), kept, gradient.split_with_sizes(sizes, dim=1), strict=True
            )
        ]
        if len(found) == 1:
            return [found[0][place] for place in range(len(self.parameters))]
        return [torch.cat([of_part[place] for of_part in found], dim=1) for place in range(len(self.parameters))]

    @property
    def weights_and_statistics(self) -> list[torch.Tensor]:
        """All that a step changes: parameters and buffers, in the order of a head's own."""
        return [*(parameter.data for parameter in self.parameters), *self._buffers]

    def hold_draws(self, holds: bool) -> None:
        """Whether dropout is drawn by `draw` before each step, into tensors that stay, or in the step itself.

        Until the first `draw` nothing is dropped.
        """
        for layer in self._drops():
            layer.hold(holds)

    def draw(self, present: Present | None) -> None:
        """Draw the dropout of the next step, of the shapes of the steps before; arguments as of `logits`."""
        for layer in self._drops():
            layer.draw(present)

    def _drops(self) -> Iterable[Dropout]:
        return (layer for part in self._parts for layer in part.layers if isinstance(layer, Dropout))

    def _of_parts(self) -> Iterable[Sequence[torch.Tensor]]:
        """For each part its rows' parameters and buffers: views."""
        if len(self._parts) == 1:
            return [self.weights_and_statistics]
        sizes = [part.rows for part in self._parts]
        return zip(*(one.split_with_sizes(sizes, dim=1) for one in self.weights_and_statistics), strict=True)

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


def _stack(of_rows: Sequence[torch.Tensor], folds: int) -> torch.Tensor:
    """`(R, …)` to `(F, R, …)`, the same in every fold."""
    rows = torch.stack([tensor.detach() for tensor in of_rows])
    return rows.expand(folds, *rows.shape).clone()
