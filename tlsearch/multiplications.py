"""Counts what a network multiplies, by watching the operations that it is made of.

torch has a counter too (`torch.utils.flop_counter`), but it loads torch's compiler: 2 s at a study's first trial.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

Count = Callable[..., int]  # of an operation's arguments, and of what it gave as `out`

aten = torch.ops.aten


def count_macs(module: nn.Module, x: torch.Tensor) -> tuple[int, torch.Tensor]:
    """The multiply-accumulates of a module's matrix products, convolutions and attention, and what it gives.

    Args:
        module: In inference mode.
        x: What goes in.
    """
    with torch.no_grad(), _Watch() as watch:
        made = module(x)
    return watch.macs, made


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own gap
    """Adds up what is multiplied while it is entered."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # likewise
        self.macs = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch imports its compiler, only to keep it away from the next method

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        count = COUNTS.get(func.overloadpacket)
        if count is not None:
            self.macs += count(*args, out=out)
        return out


def _product(a: torch.Tensor, b: torch.Tensor, *_: Any, out: torch.Tensor) -> int:
    return out.numel() * a.shape[-1]  # (…, m, k) by (…, k, n)


def _added_product(_: torch.Tensor, a: torch.Tensor, b: torch.Tensor, *__: Any, out: torch.Tensor) -> int:
    return out.numel() * a.shape[-1]


def _convolution(x: torch.Tensor, weights: torch.Tensor, *rest: Any, out: torch.Tensor) -> int:
    transposed = rest[4]  # after bias, stride, padding and dilation: then each number that goes in meets the kernels
    # weights (out, in / groups, kh, kw), or transposed (in, out / groups, kh, kw)
    return (x if transposed else out).numel() * math.prod(weights.shape[1:])


def _attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, out: Any) -> int:
    # each of (N, heads, length, width)
    return math.prod(query.shape[:-1]) * key.shape[-2] * (query.shape[-1] + value.shape[-1])


COUNTS: Mapping[Any, Count] = {
    aten.mm: _product,
    aten.bmm: _product,
    aten.addmm: _added_product,
    aten.baddbmm: _added_product,
    aten.convolution: _convolution,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_flash_attention: _attention,
    aten._scaled_dot_product_efficient_attention: _attention,
    aten._scaled_dot_product_cudnn_attention: _attention,
}
