"""What the jobs of a study share: its pictures, loaded backbones, and their cached features."""

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
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
from tlsearch.model import LoadedBackbone, Network, build_backbone, build_head
from tlsearch.specs import HeadSpec, Preprocessing
from tlsearch.training.fit import Material
from tlsearch.training.loop import Fold, Inputs
from tlsearch.training.order import derive
from tlsearch.training.recipe import Recipe
from tlsearch.work import WorkerContext

ALL_DATA = -1  # the fold of a fit on every development image


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

    def head_spec(self, recipe: Recipe) -> HeadSpec:
        """The spec of a recipe's head."""
        return self.host.head(recipe.head)

    def loaded(self, recipe: Recipe) -> LoadedBackbone:
        """A recipe's backbone, pristine."""
        key = key_of(recipe.backbone, recipe.backbone_params)
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
        key = key_of(recipe.backbone, recipe.backbone_params, recipe.preprocessing, sorted(cuts), maps)
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

    def groups(self) -> NDArray[np.int64]:
        """A number for each development image, in order, equal for images that belong together."""
        alone = range(len(self.context.development))
        return np.asarray(self.context.groups or alone, dtype=np.int64)

    def true_labels(self) -> NDArray[np.int64]:
        """Of the development images, in order."""
        return np.asarray(self.context.labels, dtype=np.int64)[list(self.context.development)]


def key_of(*parts: Any) -> str:
    """One text for what decides a part, equal for equal values whatever the order of their keys."""
    return json.dumps([dict(p) if isinstance(p, Mapping) else p for p in parts], sort_keys=True)


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
