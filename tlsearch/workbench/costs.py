"""What recipes' networks cost, each measured once: parameters, sizes, and the work of a pass."""

from torch import nn

from tlsearch.model import StageCosts, measure_facts, measure_stages
from tlsearch.records import ModelFacts
from tlsearch.training.recipe import Recipe
from tlsearch.workbench.parts import Parts, key_of


class Costs:
    """Measures networks, and remembers it.

    Args:
        parts: Of the study.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._facts: dict[str, ModelFacts] = {}
        self._stages: dict[str, StageCosts] = {}

    def facts(self, recipe: Recipe, head: nn.Sequential, frozen: int) -> ModelFacts:
        """Of a recipe's network with so many stages frozen."""
        key = key_of(recipe.backbone, recipe.backbone_params, recipe.head, recipe.head_params, frozen)
        if key not in self._facts:
            network, stages = self._parts.network(recipe, head), self._stage_costs(recipe, head)
            self._facts[key] = measure_facts(network, self._parts.loaded(recipe), frozen=frozen, stages=stages)
        return self._facts[key]

    def _stage_costs(self, recipe: Recipe, head: nn.Sequential) -> StageCosts:
        key = key_of(recipe.backbone, recipe.backbone_params)
        if key not in self._stages:
            px = self._parts.context.backbones[recipe.backbone].image_px
            self._stages[key] = measure_stages(self._parts.network(recipe, head), px)
        return self._stages[key]
