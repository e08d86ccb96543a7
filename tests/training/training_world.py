"""Fits on the small study, and what becomes of a backbone in them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tlsearch.host import PluginHost
from tlsearch.model import LoadedBackbone
from tlsearch.training.fit import Fitted, Material, fitted, head_state
from tlsearch.training.recipe import Recipe
from tlsearch.work import WorkerContext
from tlsearch.workbench.parts import Parts

State = list[dict[str, torch.Tensor]]
Told = Callable[[Fitted, int], None]


def open_parts(context: WorkerContext) -> Parts:
    return Parts(context, PluginHost.load(files=[Path(file) for file in context.plugins]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is left of a fit."""

    losses: list[float]
    log_probs: np.ndarray
    head: dict[str, torch.Tensor]
    frozen: int

    def equals(self, other: "Outcome") -> bool:
        """To the bit."""
        return (
            self.losses == other.losses
            and np.array_equal(self.log_probs, other.log_probs)
            and all(torch.equal(value, other.head[name]) for name, value in self.head.items())
        )


@contextmanager
def fitting(
    parts: Parts,
    plan: Recipe,
    *,
    losses: list[float] | None = None,
    told: Told = lambda fit, epoch: None,
    material: Material | None = None,
) -> Iterator[Fitted]:
    """Fit a recipe on the first fold from a head with random weights."""

    def on_epoch(fit: Fitted, epoch: int, loss: float, seconds: float) -> None:
        assert losses is None or epoch == len(losses), "epochs are counted over all phases"
        if losses is not None:
            losses.append(loss)
        told(fit, epoch)

    material = material or parts.material(plan)
    head: nn.Sequential = parts.head(plan, seed=3)
    with fitted(plan, head, material, parts.fold(0, 0), dropout_seed=4, on_epoch=on_epoch) as fit:
        yield fit


def fit(parts: Parts, plan: Recipe, **given: object) -> Outcome:
    losses: list[float] = []
    with fitting(parts, plan, losses=losses, **given) as result:  # type: ignore[arg-type]
        predictions = result.predict(parts.fold(0, 0).validation)
        return Outcome(losses=losses, log_probs=predictions, head=head_state(result.head), frozen=result.frozen)


def state_of(loaded: LoadedBackbone) -> State:
    """A copy of every stage's weights and statistics."""
    return [{name: value.clone() for name, value in stage.state_dict().items()} for stage in loaded.backbone.stages]


def weight_names(loaded: LoadedBackbone) -> list[set[str]]:
    """The names of what may be trained, in every stage; all others are statistics."""
    weights = [{id(weight) for weight in of_stage} for of_stage in loaded.weights]
    states = [stage.state_dict(keep_vars=True) for stage in loaded.backbone.stages]
    return [
        {name for name, value in state.items() if id(value) in ids} for state, ids in zip(states, weights, strict=True)
    ]


def changed(before: State, after: State) -> list[set[str]]:
    """The names of what differs by a bit, in every stage."""
    return [
        {name for name, value in old.items() if not torch.equal(value, new[name])}
        for old, new in zip(before, after, strict=True)
    ]
