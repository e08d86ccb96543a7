"""A trial from the cache against the same trial written plainly: whole pictures, torch.optim, no cache (C2)."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from engine_world import DEVELOPMENT, PLUGIN, RULES, SEED, context_of, do, job, recipe, row
from torch import nn

from tlsearch.data.pixels import PixelStore
from tlsearch.data.views import make_view, view_count
from tlsearch.host import PluginHost
from tlsearch.model import build_backbone
from tlsearch.training.order import derive, epoch_order, rate_scale, view_of
from tlsearch.training.recipe import Phase, Recipe
from tlsearch.work import WorkerContext
from tlsearch.workbench.bench import StudyBench

KEY = 5  # the trial's seed


class PlainTrial:
    """One fold of a trial, from pixels."""

    def __init__(self, context: WorkerContext, store: PixelStore, plan: Recipe) -> None:
        host = PluginHost.load(files=[PLUGIN])
        spec, head = host.backbone(plan.backbone), host.head(plan.head)
        loaded = build_backbone(spec, params={}, image_px=32, variant="", weights=None, seed=derive(SEED, "backbone"))
        self.stages, self.pool = nn.ModuleList(loaded.backbone.stages), loaded.backbone.pool
        self.weights = loaded.weights
        torch.manual_seed(derive(SEED, "init", KEY, 0))
        self.head = head.build(head.params(**plan.head_params), loaded.backbone.feature_dim, 3)
        self.store, self.plan = store, plan
        self.labels = torch.tensor(context.labels)
        self.folds = np.asarray(context.folds[0])

    def pictures(self, rows: np.ndarray, views: np.ndarray) -> torch.Tensor:
        squares = [
            make_view(
                self.store[i],
                RULES,
                32,
                augment=self.plan.augment if view else "none",
                view=int(view),
                seed=SEED,
                image_hash=self.store.hashes[i],
            )
            for i, view in zip(rows, views, strict=True)
        ]
        x = torch.from_numpy(np.stack(squares)).float() / 255  # (n, 32, 32, 3)
        return ((x - torch.tensor(RULES.mean)) / torch.tensor(RULES.std)).permute(0, 3, 1, 2)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        for stage in self.stages:
            x = stage(x)
        y: torch.Tensor = self.head(self.pool(x))
        return y

    def optimizer(self, phase: Phase) -> torch.optim.Optimizer:
        """Neither biases nor normalisation are decayed: what has one dimension."""
        self.stages.requires_grad_(False)
        depth = len(self.stages) if phase.unfrozen is None else phase.unfrozen
        suffix = [weight for stage in self.weights[len(self.stages) - depth :] for weight in stage]
        groups: list[dict[str, Any]] = []
        for parameters, rate in (
            (list(self.head.parameters()), phase.learning_rate),
            (suffix, phase.learning_rate * phase.suffix_lr_scale),
        ):
            for parameter in parameters:
                parameter.requires_grad_(True)
                decay = self.plan.weight_decay if parameter.ndim > 1 else 0.0
                groups.append({"params": [parameter], "lr": rate, "peak": rate, "weight_decay": decay})
        if self.plan.optimizer == "sgd":
            return torch.optim.SGD(groups, momentum=0.9)
        return torch.optim.AdamW(groups)

    def epochs(self, fold: int) -> Iterator[float]:
        """Train, and tell the mean loss of each epoch."""
        train = np.flatnonzero(self.folds != fold)
        views_each = view_count(self.plan.augment, 3)
        torch.manual_seed(derive(SEED, "dropout", 0))
        first = 0
        for phase in self.plan.phases:
            optimizer = self.optimizer(phase)
            size, step = self.plan.batch_size, 0
            steps = phase.epochs * -(-len(train) // size)
            for epoch in range(first, first + phase.epochs):
                order = epoch_order(train, seed=SEED, repeat=0, fold=fold, epoch=epoch)
                views = view_of(DEVELOPMENT, seed=SEED, views=views_each, epoch=epoch)
                losses = []
                for start in range(0, len(order), size):
                    rows = order[start : start + size]
                    scale = rate_scale(step, steps, self.plan.schedule)
                    losses += [self.step(optimizer, rows, views[rows], scale)] * len(rows)
                    step += 1
                yield float(np.mean(losses))
            first += phase.epochs

    def step(self, optimizer: torch.optim.Optimizer, rows: np.ndarray, views: np.ndarray, scale: float) -> float:
        self.stages.eval()  # a suffix keeps the statistics that it came with
        self.head.train()
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * scale
        loss = F.cross_entropy(
            self.logits(self.pictures(rows, views)), self.labels[rows], label_smoothing=self.plan.label_smoothing
        )
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        trained = [p for group in optimizer.param_groups for p in group["params"]]
        if self.plan.clip_norm is not None:
            nn.utils.clip_grad_norm_(trained, self.plan.clip_norm)
        optimizer.step()
        return loss.item()

    @torch.no_grad()
    def predictions(self, fold: int) -> np.ndarray:
        rows = np.flatnonzero(self.folds == fold)
        self.head.eval()
        plain = np.zeros(len(rows), dtype=np.int64)
        return torch.log_softmax(self.logits(self.pictures(rows, plain)), dim=1).numpy()


RECIPES = {
    "head alone, dropout": recipe(head_params={"dropout": 0.2}, weight_decay=0.1, label_smoothing=0.1),
    "head alone, mirrored": recipe(head="mlp", head_params={"hidden": 16}, augment="flip", learning_rate=0.003),
    "two stages": recipe(2, weight_decay=0.3, batch_size=7),
    "two stages, cropped and coloured": recipe(2, augment="light", label_smoothing=0.1),
    "everything from pixels": recipe(None, optimizer="sgd", schedule="constant", clip_norm=None, learning_rate=0.003),
    "first the head, then more": recipe(
        phases=(
            Phase(epochs=2, unfrozen=0, learning_rate=0.02),
            Phase(epochs=3, unfrozen=3, learning_rate=0.01, suffix_lr_scale=0.5),
            Phase(epochs=2, unfrozen=1, learning_rate=0.01),
        ),
        augment="flip",
    ),
}
ON_MOBILENET = [
    pytest.param(name, depth, augment, id=f"{name}, {depth} unfrozen, {augment}", marks=marks)
    for name, depth, augment, marks in (
        ("mobilenet_v2", 1, "light", ()),
        ("mobilenet_v2", 4, "none", ()),
        ("mobilenet_v2_keras", 2, "flip", ()),
        ("mobilenet_v2_keras", 1, "light", pytest.mark.full),
        ("mobilenet_v2_keras", 4, "none", pytest.mark.full),
    )
]


def check(context: WorkerContext, store: PixelStore, plan: Recipe) -> None:
    """Epoch losses within 1e-3, predictions within what C2 allows; fresh heads, as `start = "random"` says."""
    plan = replace(plan, start="random")
    ((result,), epochs) = do(StudyBench(context), job(row(plan, seed_key=KEY)))
    assert result.log_probs is not None, result.detail
    different = 0
    for fold in (0, 1):
        plain = PlainTrial(context, store, plan)
        told = [epoch.train_loss for epoch in epochs if epoch.fold == fold]
        losses = list(plain.epochs(fold))
        assert told == pytest.approx(losses, rel=1e-3)
        expected = plain.predictions(fold)
        ours = result.log_probs[plain.folds == fold]
        different += int((ours.argmax(axis=1) != expected.argmax(axis=1)).sum())
        assert np.allclose(np.exp(ours), np.exp(expected), atol=2e-3)
    assert different <= 0.002 * DEVELOPMENT


@pytest.mark.parametrize("plan", RECIPES.values(), ids=RECIPES)
def test_a_trial_from_the_cache_is_the_trial_that_a_plain_loop_trains(
    context: WorkerContext, drawn: PixelStore, plan: Recipe
) -> None:
    check(context, drawn, plan)


@pytest.mark.parametrize(("name", "depth", "augment"), ON_MOBILENET)
def test_so_it_is_with_mobilenet_in_both_frameworks(
    drawn: PixelStore, tmp_path: Path, name: str, depth: int, augment: str
) -> None:
    short = {"epochs": 2, "batch_size": 16, "optimizer": "sgd", "learning_rate": 0.01}
    plan = recipe(depth, backbone=name, augment=augment, **short)
    check(context_of(drawn, tmp_path, backbones=[name]), drawn, plan)


def test_so_it_is_with_features_from_onnx_runtime(context: WorkerContext, drawn: PixelStore) -> None:
    check(context, drawn, RECIPES["two stages"])
    (decision,) = Path(context.cache).glob("prefixes/*.runtime")
    decision.write_text("onnxruntime")
    before = set(Path(context.cache).glob("features/*.bin"))
    check(context, drawn, RECIPES["two stages"])
    assert set(Path(context.cache).glob("features/*.bin")) > before, "the features are new"
    assert list(Path(context.cache).glob("prefixes/*.prefix"))
