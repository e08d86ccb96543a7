"""Fits one recipe on one fold: the probe, then the suffix and the head from the cached cut."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tlsearch.freezing import frozen_stages
from tlsearch.model import LoadedBackbone
from tlsearch.training.imbalance import Objective
from tlsearch.training.loop import (
    EpochDone,
    Fold,
    MicroBatch,
    Stretch,
    Values,
    log_probabilities,
    train,
)
from tlsearch.training.optim import Group, Stepper
from tlsearch.training.recipe import Phase, Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a fit is made from; nothing of it is changed for good.

    Args:
        loaded: The backbone; its suffix is trained in place and put back afterwards.
        normalise: What pictures go through before the first stage, where nothing is frozen.
        pools: Whether heads get pooled features.
        channels_last: Whether maps are put into that memory format, as the stages' kernels are.
        inputs: `(frozen stages, augment) -> values` at that cut; all stages frozen are the head's own input.
        labels: Of all development images, on the device.
        classes: How many there are.
        device: Where it is computed.
    """

    loaded: LoadedBackbone
    normalise: nn.Module
    pools: bool
    channels_last: bool
    inputs: Callable[[int, str], Values]
    labels: torch.Tensor
    classes: int
    device: torch.device


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A fit, valid until its context ends.

    Args:
        head: The trained head, in inference mode.
        frozen: How many stages were frozen to the end; the others are trained.
        predict: Rows to log-probabilities `(rows, C)`.
    """

    head: nn.Sequential
    frozen: int
    predict: Callable[[NDArray[np.int64]], NDArray[np.float32]]


@contextlib.contextmanager
def fitted(
    recipe: Recipe,
    head: nn.Sequential,
    material: Material,
    fold: Fold,
    *,
    dropout_seed: int,
    on_epoch: Callable[[Fitted, int, float, float], None],
) -> Iterator[Fitted]:
    """Train a recipe's phases and lend the result; the backbone's weights are put back at the end.

    Args:
        recipe: What to train.
        head: With its initial weights: random, or a probe's.
        material: What it stands on.
        fold: Which images.
        dropout_seed: Decides dropout.
        on_epoch: `(fit so far, epoch, mean loss, seconds)` after each epoch; may raise PrunedError.

    Raises:
        NonFiniteError: Where the training diverged.
        torch.OutOfMemoryError: Where a single picture does not fit.
    """
    depths = [
        frozen_stages(material.loaded.backbone, unfrozen=p.unfrozen, freeze_until=recipe.freeze_until)
        for p in recipe.phases
    ]
    # Stages that an earlier phase trained are no longer what the cache holds: data enter before them.
    cuts = list(itertools.accumulate(depths, min))
    # all of it before the first step: a pass that fills the cache must see the weights as they were
    inputs = [material.inputs(cut, recipe.augment) for cut in cuts]
    deepest = cuts[-1]
    head.to(material.device)
    micro = MicroBatch()
    objective = objective_of(recipe, material, fold)
    torch.manual_seed(dropout_seed)
    with _put_back([p for stage in material.loaded.weights[deepest:] for p in stage]):
        first = 0
        for phase, frozen, cut, values in zip(recipe.phases, depths, cuts, inputs, strict=True):
            forward = _forward(material, head, cut, frozen)
            predict = _predictor(head, forward, values, material.device, micro)
            result = Fitted(head=head, frozen=deepest, predict=predict)
            head.train()
            train(
                forward,
                _stepper(recipe, phase, head, material.loaded, frozen),
                values,
                material.labels,
                fold,
                stretch_of(recipe, phase, first, fold, objective),
                micro=micro,
                on_epoch=_told(on_epoch, result),
            )
            first += phase.epochs
        head.eval()
        yield result


def head_state(head: nn.Sequential) -> dict[str, torch.Tensor]:
    """A copy of a head's weights, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in head.state_dict().items()}


def set_head_state(head: nn.Sequential, state: Mapping[str, torch.Tensor]) -> None:
    """Put copied weights into a head of the same shape."""
    head.load_state_dict(dict(state))


@contextlib.contextmanager
def _put_back(weights: Sequence[nn.Parameter]) -> Iterator[None]:
    """Lend weights to be trained: in the end they are as they were, and frozen."""
    before = [weight.detach().clone() for weight in weights]
    try:
        yield
    finally:
        with torch.no_grad():
            for weight, value in zip(weights, before, strict=True):
                weight.requires_grad_(False).copy_(value)


def objective_of(recipe: Recipe, material: Material, fold: Fold) -> Objective:
    """What a recipe's steps minimise on a fold: the counts of its classes are of the fold's own training images."""
    return Objective.on(
        material.labels[fold.train],
        classes=material.classes,
        imbalance=recipe.imbalance,
        label_smoothing=recipe.label_smoothing,
    )


def stretch_of(recipe: Recipe, phase: Phase, first: int, fold: Fold, objective: Objective) -> Stretch:
    """A phase's epochs on a fold, the first of them numbered `first`."""
    return Stretch(
        epochs=phase.epochs,
        first=first,
        batch_size=min(recipe.batch_size, len(fold.train)),
        objective=objective,
        schedule=recipe.schedule,
        balanced=recipe.imbalance == "balanced_sampling",
    )


def _forward(material: Material, head: nn.Sequential, cut: int, frozen: int) -> Callable[[torch.Tensor], torch.Tensor]:
    backbone = material.loaded.backbone
    if cut == len(backbone.stages):
        return head
    between, suffix = backbone.stages[cut:frozen], backbone.stages[frozen:]

    def forward(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            if cut == 0:
                x = material.normalise(x)
            if x.ndim == 4 and material.channels_last:
                x = x.to(memory_format=torch.channels_last)
            for stage in between:
                x = stage(x)
        # float32, also where tensor cores or AMX take bfloat16: with four stages trained its losses were 1 % off, and
        # one label of a hundred was another (docs/design.md)
        for stage in suffix:
            x = stage(x)
        if x.ndim == 4 and x.requires_grad and material.channels_last:
            x.register_hook(_channels_last)  # type: ignore[no-untyped-call]  # torch gives it no types
        logits: torch.Tensor = head(backbone.pool(x) if material.pools else x)
        return logits

    return forward


def _channels_last(gradient: torch.Tensor) -> torch.Tensor:
    """A map's gradient in the layout of the map.

    That of an average over the map comes with its channels first, and each layer up to the first convolution would pay
    for it: a fifth of a step that trains the last stage of MobileNetV2.
    """
    return gradient.contiguous(memory_format=torch.channels_last)


def _predictor(
    head: nn.Sequential,
    forward: Callable[[torch.Tensor], torch.Tensor],
    inputs: Values,
    device: torch.device,
    micro: MicroBatch,
) -> Callable[[NDArray[np.int64]], NDArray[np.float32]]:
    def predict(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        was_training = head.training
        head.eval()
        try:
            return log_probabilities(forward, inputs, rows, device, micro=micro)
        finally:
            head.train(was_training)

    return predict


def _stepper(recipe: Recipe, phase: Phase, head: nn.Sequential, loaded: LoadedBackbone, frozen: int) -> Stepper:
    for stage in loaded.weights[:frozen]:
        for parameter in stage:
            parameter.requires_grad_(False)
    suffix = [parameter for stage in loaded.weights[frozen:] for parameter in stage]
    for parameter in suffix:
        parameter.requires_grad_(True)
    suffix_rate = phase.learning_rate * phase.suffix_lr_scale
    groups = []
    for parameters, rate in ((list(head.parameters()), phase.learning_rate), (suffix, suffix_rate)):
        # biases and normalisation have one dimension, and are never decayed
        for decayed in (True, False):
            own = [p for p in parameters if (p.ndim > 1) == decayed]
            decay = recipe.weight_decay if decayed else 0.0
            groups.append(Group(parameters=own, learning_rate=rate, weight_decay=decay))
    return Stepper(recipe.optimizer, [g for g in groups if g.parameters], recipe.clip_norm)


def _told(on_epoch: Callable[[Fitted, int, float, float], None], result: Fitted) -> EpochDone:
    def told(epoch: int, loss: float, seconds: float) -> None:
        on_epoch(result, epoch, loss, seconds)

    return told
