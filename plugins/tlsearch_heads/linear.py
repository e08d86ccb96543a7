"""The linear head: one layer from features to logits, the yardstick for every other head."""

from __future__ import annotations  # torch is named in types only and loaded in build

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tlsearch import Choice, FloatRange, HeadSpec, Params, hookimpl

if TYPE_CHECKING:
    from torch import nn


class LinearParams(Params):
    """What a linear head can vary."""

    dropout: Annotated[float, Field(ge=0, lt=1), Choice(0.0, 0.2, 0.5, strict=False)] = 0.0


def build(params: LinearParams, feature_dim: int, classes: int) -> nn.Sequential:
    """Make the head: features `(N, feature_dim)` to logits `(N, classes)`."""
    from torch import nn

    return nn.Sequential(nn.Dropout(params.dropout), nn.Linear(feature_dim, classes))


@hookimpl
def tlsearch_heads() -> Sequence[HeadSpec]:
    """Provide `linear`."""
    learning_rate = FloatRange(1e-3, 1e-1, log=True)
    return [HeadSpec(name="linear", params=LinearParams, build=build, learning_rate=learning_rate)]
