"""The multilayer perceptron head: one to three hidden layers with ReLU and dropout."""

from __future__ import annotations  # torch is named in types only and loaded in build

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tlsearch import Choice, FloatRange, HeadSpec, IntRange, Params, hookimpl

if TYPE_CHECKING:
    from torch import nn

Size = Annotated[int, Field(ge=1)]
Sizes = Annotated[tuple[Size, ...], Field(min_length=1)]


class MlpParams(Params):
    """What an MLP head can vary.

    Args:
        layers: Hidden layers, all of the same size.
        hidden: Their size; or each layer's own, such as `[1024, 1024, 512]`, and then `layers` is not read.
        dropout: After each hidden layer.
    """

    layers: Annotated[int, IntRange(1, 3)] = 1
    hidden: Annotated[Size | Sizes, Choice(64, 128, 256, 512, strict=False)] = 256
    dropout: Annotated[float, Field(ge=0, lt=1), Choice(0.0, 0.2, 0.5, strict=False)] = 0.2

    @property
    def sizes(self) -> tuple[int, ...]:
        """The size of each hidden layer, from the features to the logits."""
        return self.hidden if isinstance(self.hidden, tuple) else (self.hidden,) * self.layers


def build(params: MlpParams, feature_dim: int, classes: int) -> nn.Sequential:
    """Make the head: features `(N, feature_dim)` to logits `(N, classes)`."""
    from torch import nn

    modules: list[nn.Module] = []
    width = feature_dim
    for size in params.sizes:
        modules += [nn.Linear(width, size), nn.ReLU(), nn.Dropout(params.dropout)]
        width = size
    return nn.Sequential(*modules, nn.Linear(width, classes))


@hookimpl
def tlsearch_heads() -> Sequence[HeadSpec]:
    """Provide `mlp`."""
    learning_rate = FloatRange(1e-4, 1e-2, log=True)
    return [HeadSpec(name="mlp", params=MlpParams, build=build, learning_rate=learning_rate)]
