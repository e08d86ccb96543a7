"""What a head begins from: random weights, a closed form, or a probe that was trained for ten epochs.

Linear probing, then fine-tuning: Kumar et al. 2022, arXiv:2202.10054. A linear layer's probe is the closed form: with
few pictures ten epochs are a few dozen steps, and get nowhere near it.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from tlsearch.features.provider import POOLED
from tlsearch.stats.closed_form import closed_form
from tlsearch.stats.directions import Classifier
from tlsearch.stats.metrics import Floats
from tlsearch.stats.priors import log_priors
from tlsearch.training.fit import Material, fitted, head_state, set_head_state
from tlsearch.training.loop import Fold
from tlsearch.training.order import derive
from tlsearch.training.recipe import Recipe, probe_recipe
from tlsearch.training.stacked_head import can_be_stacked
from tlsearch.workbench.parts import Parts, key_of

MOST_PROBES = 20  # that are kept: of hidden layers of 512 on 1 280 features each takes 3 MB, one a fold and head


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A head fitted on the features of the fully frozen backbone."""

    state: Mapping[str, torch.Tensor]
    seconds: float


class Starts:
    """Finds what heads begin from, once for all that share it.

    Args:
        parts: Of the study.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._probes: dict[str, Probe] = {}
        self._closed_forms: dict[str, Classifier] = {}

    def begin(self, head: nn.Sequential, recipe: Recipe, material: Material, fold: Fold) -> float:
        """Put into a head what its training on a fold begins from; where that is random weights, it has them.

        Args:
            head: Of the recipe, with random weights.
            recipe: Its `start` says what is wanted.
            material: Of the recipe.
            fold: Nothing but its training images is looked at.

        Returns:
            The seconds that a fresh probe took.
        """
        if recipe.start != "probe":
            return 0.0
        layer = only_layer(head)
        if layer is not None and material.pools:
            classifier, seconds = self.closed_form(recipe, fold)
            bias = classifier.bias
            if recipe.imbalance != "none":  # whose answers are those of a world of equally frequent classes
                bias = bias - log_priors(self._parts.true_labels()[fold.train], material.classes)
            _put(layer, classifier.weights, bias)
            return seconds
        if not recipe.fine_tunes:  # ten epochs more are no other start of what is trained in the same way
            return 0.0
        probe, fresh = self.probe(recipe, material, fold)
        set_head_state(head, probe.state)
        return probe.seconds if fresh else 0.0

    def probe(self, recipe: Recipe, material: Material, fold: Fold) -> tuple[Probe, bool]:
        """The probe of a recipe's head on a fold's training images, and whether it was fitted just now.

        The probes that were used last are kept; any other is fitted again, to the same weights.
        """
        key = key_of(
            recipe.backbone,
            recipe.backbone_params,
            recipe.preprocessing,
            recipe.head,
            recipe.head_params,
            fold.repeat,
            fold.fold,
        )
        if key in self._probes:
            self._probes[key] = self._probes.pop(key)  # the last one was used last
            return self._probes[key], False
        began = time.monotonic()
        # initial weights follow from the head alone, so that all trials with this head share the probe
        seed = derive(self._parts.context.seed, "probe", key)
        head = self._parts.head(recipe, seed)
        plan = probe_recipe(recipe, self._parts.head_spec(recipe).learning_rate)
        with fitted(plan, head, material, fold, dropout_seed=seed, on_epoch=lambda *_: None):
            state = head_state(head)
        while len(self._probes) >= MOST_PROBES:
            del self._probes[next(iter(self._probes))]
        self._probes[key] = Probe(state=state, seconds=time.monotonic() - began)
        return self._probes[key], True

    def closed_form(self, recipe: Recipe, fold: Fold) -> tuple[Classifier, float]:
        """The closed-form probe of a recipe's backbone on a fold's training images, and the seconds it took now."""
        key = _seen_in(recipe, fold)
        if key in self._closed_forms:
            return self._closed_forms[key], 0.0
        began = time.monotonic()
        parts = self._parts
        (plain,) = parts.provider(recipe).views(POOLED, "none")
        features = np.asarray(plain, dtype=np.float32)  # mapped values stay where they are
        classes, groups = len(parts.context.classes), parts.groups().tolist()
        found = closed_form(features, parts.true_labels(), classes, fold.train, groups=groups)
        self._closed_forms[key] = found
        return found, time.monotonic() - began

    def keep(self, recipe: Recipe, fold: Fold, found: Classifier) -> None:
        """Keep what `closed_form` would find, where it is known already."""
        self._closed_forms[_seen_in(recipe, fold)] = found


def only_layer(head: nn.Sequential) -> nn.Linear | None:
    """The one linear layer of a head that has no other weights and does nothing else but drop; None of other heads.

    What does more than its class, such as a layer with a hook or with weights that are computed, is another head.
    """
    layers = [layer for layer in head if type(layer) is not nn.Dropout]
    if len(layers) != 1 or len(list(head.parameters())) != 2 or not can_be_stacked(head, batch_size=1):
        return None
    (layer,) = layers
    return layer if type(layer) is nn.Linear else None


def _seen_in(recipe: Recipe, fold: Fold) -> str:
    """A name for what a recipe's frozen backbone sees in a fold."""
    return key_of(recipe.backbone, recipe.backbone_params, recipe.preprocessing, fold.repeat, fold.fold)


@torch.no_grad()
def _put(layer: nn.Linear, weights: Floats, bias: Floats) -> None:
    layer.weight.copy_(torch.from_numpy(weights.T))  # (D, C) -> (C, D)
    layer.bias.copy_(torch.from_numpy(bias))
