"""SearchSpace: what is varied, under which names, and how a choice of values becomes a recipe."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from optuna.trial import Trial

from tlsearch.records import Json
from tlsearch.search.dimensions import Dimension
from tlsearch.search.ranges import build_dimensions
from tlsearch.space import ParamValue
from tlsearch.specs import BackboneSpec, HeadSpec
from tlsearch.study import Imbalance, StudyConfig
from tlsearch.training.recipe import Phase, Recipe, start_of

# What the rows of one job may vary; the second set names a head's own parameters.
ROW_VARIES = frozenset({"epochs", "weight_decay", "label_smoothing", "imbalance"})
ROW_VARIES_IN_HEAD = frozenset({"learning_rate", "dropout", "hidden"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """All dimensions of a study's search, those that others depend on first.

    Args:
        dimensions: Fixed ones too: they are part of every recipe, but no sampler hears of them.
        metric: What the scores mean that a sampler is told.
    """

    dimensions: tuple[Dimension, ...]
    metric: str

    @classmethod
    def build(
        cls,
        config: StudyConfig,
        backbones: Sequence[BackboneSpec],
        heads: Mapping[str, HeadSpec],
        *,
        metric: str,
        imbalance: Sequence[Imbalance] = ("none",),
    ) -> "SearchSpace":
        """Join what the study file says with what the plugins declare.

        Args:
            config: The study.
            backbones: Those whose weights are at hand, in the study's order.
            heads: All that plugins provide, by name.
            metric: Resolved, as in the study file's words.
            imbalance: Likewise: what may be done about classes of unequal size.

        Raises:
            StudyFileError: Unknown heads or parameters, all of them at once. Values are checked where a study file is
                read.
        """
        return cls(dimensions=build_dimensions(config, backbones, heads, imbalance), metric=metric)

    def dimension(self, name: str) -> Dimension:
        """The dimension of that name; KeyError where there is none."""
        for dimension in self.dimensions:
            if dimension.name == name:
                return dimension
        raise KeyError(name)

    @property
    def searched(self) -> frozenset[str]:
        """The names that a sampler chooses values for, in one branch or another."""
        return frozenset(d.name for d in self.dimensions if not d.fixed)

    def suggest(self, trial: Trial) -> dict[str, ParamValue]:
        """Let Optuna's trial choose every searched dimension that counts."""
        chosen: dict[str, ParamValue] = {}
        values: dict[str, ParamValue] = {}
        for dimension in self.dimensions:
            if dimension.when is not None and not dimension.when.holds(values):
                continue
            if dimension.fixed:
                values[dimension.name] = dimension.first
            else:
                values[dimension.name] = chosen[dimension.name] = dimension.suggest(trial)
        return chosen

    def complete(self, params: Mapping[str, ParamValue]) -> dict[str, ParamValue]:
        """The chosen values together with the fixed ones, of all dimensions that count."""
        return {d.name: d.first if d.fixed else params[d.name] for d in self._counting(params)}

    def contains(self, params: Mapping[str, Json]) -> bool:
        """Whether the search could have chosen exactly these values."""
        try:
            expected = [d for d in self._counting(params) if not d.fixed]
        except KeyError:
            return False
        return {d.name for d in expected} == set(params) and all(d.contains(params[d.name]) for d in expected)

    def counting(self, given: Mapping[str, Json]) -> frozenset[str] | None:
        """The names of the searched dimensions that count where these values are given; None where that is open."""
        try:
            return frozenset(d.name for d in self._counting(given) if not d.fixed)
        except KeyError:
            return None

    def shared_part(self, params: Mapping[str, ParamValue]) -> dict[str, ParamValue]:
        """The chosen values that all rows of a job must have in common.

        These are the backbone and its parameters, the head and its layers, the frozen part, the pictures of an
        epoch and a step. Rows may differ in learning rate, weight decay, dropout, smoothing, hidden size, epochs, and
        in what they do about classes of unequal size: each row has its own loss and its own order.
        """
        return {d.name: params[d.name] for d in self._counting(params) if _is_shared(d)}

    def most_shared_parts(self) -> float:
        """How many shared parts there can be, at most, of trials that train heads alone; infinite with a fraction."""
        shared = [d for d in self.dimensions if _is_shared(d) and "unfrozen" not in (d.name, d.when and d.when.on)]
        return math.prod(dimension.count for dimension in shared)

    def job_of(self, params: Mapping[str, ParamValue], recipe: Recipe) -> tuple[object, ...]:
        """Equal for trials that may be rows of one job; those that fine-tune have a job of their own."""
        if recipe.fine_tunes:
            return (recipe.digest(),)
        return tuple(sorted(self.shared_part(params).items()))

    def recipe(self, params: Mapping[str, ParamValue]) -> Recipe:
        """The recipe that these values stand for."""
        values: dict[str, Any] = self.complete(params)
        head_params = self._own(values, "head")
        unfrozen = values["unfrozen"]
        phase = Phase(
            epochs=values["epochs"],
            unfrozen=unfrozen,
            learning_rate=head_params.pop("learning_rate"),
            **({"suffix_lr_scale": values["suffix_lr_scale"]} if unfrozen else {}),
        )
        return Recipe(
            backbone=values["backbone"],
            backbone_params=self._own(values, "backbone"),
            head=values["head"],
            head_params=head_params,
            phases=(phase,),
            augment=values["augment"],
            batch_size=values["batch_size"],
            weight_decay=values["weight_decay"],
            label_smoothing=values["label_smoothing"],
            imbalance=values["imbalance"],
            start=start_of(values["head"], fine_tunes=bool(unfrozen)),
        )

    def params_of(self, recipe: Recipe) -> dict[str, ParamValue] | None:
        """The values that stand for a recipe, or None where it lies outside the space.

        The constant schedule and the missing gradient clip of published recipes are overlooked: they change a
        score less than what is searched.
        """
        if len(recipe.phases) != 1 or recipe.freeze_until is not None or recipe.preprocessing:
            return None
        phase = recipe.phases[0]
        if recipe.optimizer != "adamw" or recipe.start != start_of(recipe.head, fine_tunes=recipe.fine_tunes):
            return None
        said: dict[str, Any] = {
            "backbone": recipe.backbone,
            "head": recipe.head,
            "unfrozen": phase.unfrozen,
            "epochs": phase.epochs,
            "suffix_lr_scale": phase.suffix_lr_scale,
            "batch_size": recipe.batch_size,
            "augment": recipe.augment,
            "weight_decay": recipe.weight_decay,
            "label_smoothing": recipe.label_smoothing,
            "imbalance": recipe.imbalance,
            f"{recipe.head}.learning_rate": phase.learning_rate,
            **{f"{recipe.head}.{key}": value for key, value in recipe.head_params.items()},
            **{f"{recipe.backbone}.{key}": value for key, value in recipe.backbone_params.items()},
        }
        counting = {d.name: d for d in self._counting(said)}
        said = {name: said.get(name, d.default) for name, d in counting.items()} | said
        if not said.keys() - counting.keys() <= {"suffix_lr_scale"}:
            return None
        if not all(d.contains(said[name]) for name, d in counting.items()):
            return None
        return {name: said[name] for name, d in counting.items() if not d.fixed}

    def describe(self) -> dict[str, Json]:
        """Every name with its range as plain JSON: what `digest` is made of."""
        return {"metric": self.metric, **{d.name: d.describe() for d in self.dimensions}}

    def digest(self) -> str:
        """sha256 of all names and ranges. Optuna accepts a changed space silently; by this it can be refused."""
        return hashlib.sha256(json.dumps(self.describe(), sort_keys=True).encode()).hexdigest()

    def _counting(self, params: Mapping[str, Json]) -> Iterable[Dimension]:
        """The dimensions that count for these values, fixed ones included; KeyError where a needed one is missing."""
        values: dict[str, ParamValue] = {}
        for dimension in self.dimensions:
            if dimension.when is not None and not dimension.when.holds(values):
                continue
            if dimension.name in ("backbone", "head", "unfrozen"):  # what others depend on
                values[dimension.name] = dimension.first if dimension.fixed else params[dimension.name]
            yield dimension

    def _own(self, values: Mapping[str, ParamValue], owner: Literal["head", "backbone"]) -> dict[str, Any]:
        """The chosen head's or backbone's own parameters, without their prefix."""
        prefix = f"{values[owner]}."
        return {
            d.name.removeprefix(prefix): values[d.name]
            for d in self.dimensions
            if d.when is not None and d.when.on == owner and d.name in values
        }


def _is_shared(dimension: Dimension) -> bool:
    """Whether all rows of a job must have one value of it, of several."""
    in_head = dimension.when is not None and dimension.when.on == "head"
    own = dimension.name.partition(".")[2] if in_head else dimension.name
    return not dimension.fixed and own not in (ROW_VARIES_IN_HEAD if in_head else ROW_VARIES)
