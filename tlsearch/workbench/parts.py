"""What the jobs of a study share: loaded backbones, their cached features, and probes."""

import hashlib
import inspect
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tlsearch.data.pixels import PixelStore
from tlsearch.errors import DataError
from tlsearch.features.cache import FeatureCache
from tlsearch.features.pictures import Pictures
from tlsearch.features.provider import PIXELS, POOLED, Engine, FeatureProvider, Progress
from tlsearch.host import PluginHost
from tlsearch.model import (
    LoadedBackbone,
    Network,
    StageCosts,
    build_backbone,
    build_head,
    measure_facts,
    measure_stages,
)
from tlsearch.records import ModelFacts
from tlsearch.specs import HeadSpec, Preprocessing
from tlsearch.stats.closed_form import MOST, closed_form
from tlsearch.stats.directions import Classifier
from tlsearch.stats.thinning import thinned
from tlsearch.training.fit import Material, fitted, head_state
from tlsearch.training.loop import Fold, Inputs
from tlsearch.training.order import derive
from tlsearch.training.recipe import Recipe, probe_recipe
from tlsearch.work import WorkerContext

ALL_DATA = -1  # the fold of a fit on every development image


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A head fitted on the features of the fully frozen backbone."""

    state: Mapping[str, torch.Tensor]
    seconds: float


class Parts:
    """Loads what recipes ask for, once, and keeps it.

    Args:
        context: Of the study.
        host: With its plugins.

    Raises:
        DataError: Where the decoded pictures are not those of the study.
    """

    def __init__(self, context: WorkerContext, host: PluginHost) -> None:
        self.context = context
        self.host = host
        self.device = torch.device(context.device)
        self.store = PixelStore.open(Path(context.pixels))
        if self.store.digest != context.pixels_digest:
            raise DataError("the decoded pictures changed while the study ran", hint="start the study again")
        labels = torch.tensor(context.labels)
        self.labels = labels[torch.tensor(context.development)].to(self.device)
        cache = FeatureCache(Path(context.cache) / "features", max_bytes=context.cache_bytes)
        self._engine = Engine(
            cache=cache,
            prefixes=Path(context.cache) / "prefixes",
            device=self.device,
            threads=context.threads,
            deterministic=context.deterministic,
        )
        self._backbones: dict[str, LoadedBackbone] = {}
        self._providers: dict[str, FeatureProvider] = {}
        self._probes: dict[str, Probe] = {}
        self._closed_forms: dict[str, Classifier] = {}
        self._facts: dict[str, ModelFacts] = {}
        self._stages: dict[str, StageCosts] = {}

    def head_spec(self, recipe: Recipe) -> HeadSpec:
        """The spec of a recipe's head."""
        return self.host.head(recipe.head)

    def loaded(self, recipe: Recipe) -> LoadedBackbone:
        """A recipe's backbone, pristine."""
        key = _key(recipe.backbone, recipe.backbone_params)
        if key not in self._backbones:
            choice = self.context.backbones[recipe.backbone]
            loaded = build_backbone(
                self.host.backbone(choice.name),
                params={**choice.params, **recipe.backbone_params},
                image_px=choice.image_px,
                variant=choice.variant,
                weights=Path(choice.path) if choice.path else None,
                seed=derive(self.context.seed, "backbone"),
            )
            for module in (*loaded.backbone.stages, loaded.backbone.pool):
                module.to(self.device)
                if loaded.spec.framework == "torch":  # Keras keeps its kernels in an order of its own
                    module.to(memory_format=torch.channels_last)
            self._backbones[key] = loaded
        return self._backbones[key]

    def preprocessing(self, recipe: Recipe) -> Preprocessing:
        """What a recipe's pictures go through: the weights' own, with what the recipe overrides."""
        choice = self.context.backbones[recipe.backbone]
        return Preprocessing().changed(choice.preprocessing).changed(recipe.preprocessing)

    def pictures(self, recipe: Recipe, indices: tuple[int, ...]) -> Pictures:
        """Some pictures of the study as a recipe's backbone wants them."""
        return Pictures(
            store=self.store,
            indices=indices,
            preprocessing=self.preprocessing(recipe),
            image_px=self.context.backbones[recipe.backbone].image_px,
            seed=self.context.seed,
            views=self.context.views,
            threads=self.context.threads,
        )

    def provider(self, recipe: Recipe, cut: int | None = None) -> FeatureProvider:
        """The cached features of the development images under a recipe's backbone.

        Args:
            recipe: Names the backbone and its preprocessing.
            cut: The frozen stages that are asked for. One that the study does not search, such as a baseline's, gets
                passes of its own.
        """
        loaded = self.loaded(recipe)
        stages = len(loaded.backbone.stages)
        cuts = {max(0, stages - unfrozen) for unfrozen in self.context.unfrozen}
        if cut is not None and cut not in {0, stages, *cuts}:
            cuts = {cut}
        maps = self.head_spec(recipe).input == "map"
        key = _key(recipe.backbone, recipe.backbone_params, recipe.preprocessing, sorted(cuts), maps)
        if key not in self._providers:
            choice = self.context.backbones[recipe.backbone]
            self._providers[key] = FeatureProvider(
                loaded=loaded,
                weights={
                    "backbone": choice.name,
                    "code": _code_digest(loaded.spec.build),
                    "params": {**choice.params, **recipe.backbone_params},
                    "variant": choice.variant,
                    "digest": choice.digest,
                },
                preprocessing=self.preprocessing(recipe),
                pictures=self.pictures(recipe, self.context.development),
                cuts=sorted(cuts),
                maps=maps,
                augments=self.context.augments,
                engine=self._engine,
            )
        return self._providers[key]

    def material(self, recipe: Recipe, progress: Progress | None = None) -> Material:
        """What fits of a recipe stand on."""
        loaded = self.loaded(recipe)
        pools = self.head_spec(recipe).input == "features"
        stages = len(loaded.backbone.stages)

        def inputs(frozen: int, augment: str) -> Inputs:
            output = (POOLED if pools else stages) if frozen == stages else (frozen or PIXELS)
            return Inputs(views=self.provider(recipe, frozen).views(output, augment, progress))

        return Material(
            loaded=loaded,
            normalise=self.network(recipe, nn.Sequential()).normalise,
            pools=pools,
            channels_last=loaded.spec.framework == "torch",
            inputs=inputs,
            labels=self.labels,
            classes=len(self.context.classes),
            device=self.device,
        )

    def network(self, recipe: Recipe, head: nn.Sequential) -> Network:
        """A recipe's backbone and a head, joined; the backbone is shared, not copied."""
        pools = self.head_spec(recipe).input == "features"
        return Network(self.preprocessing(recipe), self.loaded(recipe).backbone, head, pools=pools).to(self.device)

    def head(self, recipe: Recipe, seed: int) -> nn.Sequential:
        """A recipe's head with random weights that the seed decides."""
        return build_head(
            self.head_spec(recipe),
            params=recipe.head_params,
            feature_dim=self.loaded(recipe).backbone.feature_dim,
            classes=len(self.context.classes),
            seed=seed,
        )

    def fold(self, repeat: int, fold: int) -> Fold:
        """Which development images one fit trains on, and which it is scored on."""
        everything = np.arange(len(self.context.development), dtype=np.int64)
        if fold == ALL_DATA:
            train, validation = everything, everything[:0]
        else:
            partition = np.asarray(self.context.folds[repeat])
            train, validation = everything[partition != fold], everything[partition == fold]
        return Fold(train=train, validation=validation, seed=self.context.seed, repeat=repeat, fold=fold)

    def folds(self, repeat: int) -> list[Fold]:
        """All folds of a repeat."""
        return [self.fold(repeat, fold) for fold in range(max(self.context.folds[repeat]) + 1)]

    def probe(self, recipe: Recipe, material: Material, fold: Fold) -> tuple[Probe, bool]:
        """The probe of a recipe's head on a fold's training images, and whether it was fitted just now."""
        key = _key(
            recipe.backbone,
            recipe.backbone_params,
            recipe.preprocessing,
            recipe.head,
            recipe.head_params,
            fold.repeat,
            fold.fold,
        )
        if key in self._probes:
            return self._probes[key], False
        began = time.monotonic()
        # initial weights follow from the head alone, so that all trials with this head share the probe
        seed = derive(self.context.seed, "probe", key)
        head = self.head(recipe, seed)
        plan = probe_recipe(recipe, self.head_spec(recipe).learning_rate)
        with fitted(plan, head, material, fold, dropout_seed=seed, on_epoch=lambda *_: None):
            state = head_state(head)
        self._probes[key] = Probe(state=state, seconds=time.monotonic() - began)
        return self._probes[key], True

    def closed_form(self, recipe: Recipe, fold: Fold) -> tuple[Classifier, float]:
        """The closed-form probe of a recipe's backbone on a fold's training images, and the seconds it took now."""
        key = _key(recipe.backbone, recipe.backbone_params, recipe.preprocessing, fold.repeat, fold.fold)
        if key in self._closed_forms:
            return self._closed_forms[key], 0.0
        began = time.monotonic()
        (plain,) = self.provider(recipe).views(POOLED, "none")
        rows = fold.train[thinned(self.true_labels()[fold.train], MOST)]  # no others are read
        labels, groups = self.true_labels()[rows], self.groups()[rows].tolist()
        features = np.asarray(plain[rows], dtype=np.float32)
        found = closed_form(features, labels, len(self.context.classes), groups=groups)
        self._closed_forms[key] = found
        return found, time.monotonic() - began

    def keep_closed_form(self, recipe: Recipe, fold: Fold, found: Classifier) -> None:
        """Keep what `closed_form` would find, where it is known already."""
        key = _key(recipe.backbone, recipe.backbone_params, recipe.preprocessing, fold.repeat, fold.fold)
        self._closed_forms[key] = found

    def facts(self, recipe: Recipe, head: nn.Sequential, frozen: int) -> ModelFacts:
        """What a recipe's network costs, with so many stages frozen."""
        key = _key(recipe.backbone, recipe.backbone_params, recipe.head, recipe.head_params, frozen)
        if key not in self._facts:
            network, stages = self.network(recipe, head), self._stage_costs(recipe, head)
            self._facts[key] = measure_facts(network, self.loaded(recipe), frozen=frozen, stages=stages)
        return self._facts[key]

    def _stage_costs(self, recipe: Recipe, head: nn.Sequential) -> StageCosts:
        key = _key(recipe.backbone, recipe.backbone_params)
        if key not in self._stages:
            px = self.context.backbones[recipe.backbone].image_px
            self._stages[key] = measure_stages(self.network(recipe, head), px)
        return self._stages[key]

    def groups(self) -> NDArray[np.int64]:
        """A number for each development image, in order, equal for images that belong together."""
        alone = range(len(self.context.development))
        return np.asarray(self.context.groups or alone, dtype=np.int64)

    def true_labels(self) -> NDArray[np.int64]:
        """Of the development images, in order."""
        return np.asarray(self.context.labels, dtype=np.int64)[list(self.context.development)]


def _code_digest(build: Callable[..., Any]) -> str:
    """sha256 of the file that builds a backbone: an author changes it while name and weights stay.

    Of a file in a package, of all files of that package and below: it may build with what its neighbours say.
    """
    code = inspect.unwrap(build.func if isinstance(build, partial) else build)
    file = Path(inspect.getfile(code))
    module = inspect.getmodule(code)
    files = sorted(file.parent.rglob("*.py")) if module is not None and module.__package__ else [file]
    digest = hashlib.sha256()
    for source in files:
        content = source.read_bytes()
        digest.update(json.dumps([str(source.relative_to(file.parent)), len(content)]).encode())
        digest.update(content)
    return digest.hexdigest()


def _key(*parts: Any) -> str:
    return json.dumps([dict(p) if isinstance(p, Mapping) else p for p in parts], sort_keys=True)
