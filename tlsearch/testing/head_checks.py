"""What every head must do, each rule a plain function."""

from collections.abc import Mapping

import torch
from torch import nn

from tlsearch.model import build_head
from tlsearch.space import ParamValue
from tlsearch.specs import HeadSpec
from tlsearch.testing.support import ends, require, require_equal

EXPORTABLE = (nn.Linear, nn.ReLU, nn.GELU, nn.Dropout, nn.BatchNorm1d)
FEATURE_DIM, CLASSES = 24, 3


@torch.no_grad()
def check_head_gives_logits(spec: HeadSpec) -> None:
    """At both ends of its ranges a head gives finite float32 `(N, classes)`, always the same."""
    for params in ends(spec.params):
        head = _head(spec, params).eval()
        require(isinstance(head, nn.Sequential), f"{spec.name} builds a {type(head).__name__}, not a Sequential")
        features = _head_input(spec)
        logits = head(features)
        expected = (len(features), CLASSES)
        require(tuple(logits.shape) == expected, f"{spec.name}: expected {expected}, got {tuple(logits.shape)}")
        require(logits.dtype == torch.float32, f"{spec.name}: expected float32 logits, got {logits.dtype}")
        require(bool(logits.isfinite().all()), f"{spec.name} with {params} gives logits that are not finite")
        require_equal(head(features), logits, f"{spec.name}: the same features give other logits")


def check_head_learns(spec: HeadSpec) -> None:
    """Every parameter of the head gets a gradient."""
    head = _head(spec, {}).train()
    labels = torch.arange(len(_head_input(spec))) % CLASSES
    torch.autograd.backward(nn.functional.cross_entropy(head(_head_input(spec)), labels))
    without = [name for name, p in head.named_parameters() if p.grad is None]
    require(not without, f"{spec.name}: {len(without)} parameters get no gradient: {without[:3]}")
    require(any(True for _ in head.parameters()), f"{spec.name} has no parameters to train")


def check_head_follows_the_seed(spec: HeadSpec) -> None:
    """torch's global generator decides a head's weights."""
    first, again, other = (_head(spec, {}, seed=seed).state_dict() for seed in (1, 1, 2))
    differing = [name for name in first if not torch.equal(first[name], again[name])]
    require(not differing, f"{spec.name}: two builds with one seed differ in {differing[:3]}")
    require(
        any(not torch.equal(first[name], other[name]) for name in first),
        f"{spec.name}: the seed does not change the weights",
    )


def check_head_exports_everywhere(spec: HeadSpec) -> None:
    """A head has only layers that every export format knows, and that can be trained many at a time."""
    for params in ends(spec.params):
        others = {type(m).__name__ for m in _head(spec, params) if not isinstance(m, EXPORTABLE)}
        require(
            not others,
            f"{spec.name} holds {', '.join(sorted(others))}; only "
            f"{', '.join(layer.__name__ for layer in EXPORTABLE)} export to every format",
        )


def _head(spec: HeadSpec, params: Mapping[str, ParamValue], *, seed: int = 0) -> nn.Sequential:
    return build_head(spec, params=params, feature_dim=FEATURE_DIM, classes=CLASSES, seed=seed)


def _head_input(spec: HeadSpec) -> torch.Tensor:
    """Seven feature vectors, or maps where the head asks for them; the same at every call."""
    shape = (7, FEATURE_DIM) if spec.input == "features" else (7, FEATURE_DIM, 4, 4)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))
