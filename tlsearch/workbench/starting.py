"""What a head begins from: random weights, a closed form, or a probe that was trained for ten epochs.

Linear probing, then fine-tuning: Kumar et al. 2022, arXiv:2202.10054. A linear layer's probe is the closed form: with
few pictures ten epochs are a few dozen steps, and get nowhere near it.
"""

import torch
from torch import nn

from tlsearch.stats.metrics import Floats
from tlsearch.stats.priors import log_priors
from tlsearch.training.fit import Material, set_head_state
from tlsearch.training.loop import Fold
from tlsearch.training.recipe import Recipe
from tlsearch.training.stacked_head import can_be_stacked
from tlsearch.workbench.parts import Parts


def begin(parts: Parts, head: nn.Sequential, recipe: Recipe, material: Material, fold: Fold) -> float:
    """Put into a head what its training on a fold begins from; where that is random weights, it has them.

    Args:
        parts: Of the study.
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
        classifier, seconds = parts.closed_form(recipe, fold)
        bias = classifier.bias
        if recipe.imbalance != "none":  # whose answers are those of a world of equally frequent classes
            bias = bias - log_priors(parts.true_labels()[fold.train], material.classes)
        _put(layer, classifier.weights, bias)
        return seconds
    if not recipe.fine_tunes:  # ten epochs more are no other start of what is trained in the same way
        return 0.0
    probe, fresh = parts.probe(recipe, material, fold)
    set_head_state(head, probe.state)
    return probe.seconds if fresh else 0.0


def only_layer(head: nn.Sequential) -> nn.Linear | None:
    """The one linear layer of a head that has no other weights and does nothing else but drop; None of other heads.

    What does more than its class, such as a layer with a hook or with weights that are computed, is another head.
    """
    layers = [layer for layer in head if type(layer) is not nn.Dropout]
    if len(layers) != 1 or len(list(head.parameters())) != 2 or not can_be_stacked(head, batch_size=1):
        return None
    (layer,) = layers
    return layer if type(layer) is nn.Linear else None


@torch.no_grad()
def _put(layer: nn.Linear, weights: Floats, bias: Floats) -> None:
    layer.weight.copy_(torch.from_numpy(weights.T))  # (D, C) -> (C, D)
    layer.bias.copy_(torch.from_numpy(bias))
