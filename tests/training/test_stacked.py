"""A head on several folds side by side learns on each what it learns there alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tlsearch import Backbone
from tlsearch.model import LoadedBackbone
from tlsearch.training import heads
from tlsearch.training.fit import Material, fitted
from tlsearch.training.heads import HeadRow, fit_heads
from tlsearch.training.loop import Fold, Inputs, NonFiniteError
from tlsearch.training.recipe import Phase, Recipe
from tlsearch.training.stacked import folds_in_step
from tlsearch.training.stacked_head import can_be_stacked

IMAGES, WIDTH, CLASSES, FOLDS = 43, 12, 3, 5
DROPOUT_SEED = 4
RNG = np.random.default_rng(3)
LABELS = torch.from_numpy(np.minimum(RNG.integers(0, 5, IMAGES), CLASSES - 1))  # the last class is the largest
VIEWS = [RNG.normal(size=(IMAGES, WIDTH)).astype(np.float32) for _ in range(2)]
# of 43 images 34 or 35 are trained on: batches of 8 leave 2 or 3 for the last one
PARTS = [np.arange(first, IMAGES, FOLDS) for first in range(FOLDS)]
FOLD_LIST = [
    Fold(train=np.setdiff1d(np.arange(IMAGES), part), validation=part, seed=7, repeat=0, fold=number)
    for number, part in enumerate(PARTS)
]
Build = Callable[[], nn.Sequential]


def material(views: int = 1) -> Material:
    """Features that stand behind a backbone without stages."""
    backbone = Backbone(stages=(), pool=nn.Identity(), feature_dim=WIDTH)
    return Material(
        loaded=LoadedBackbone(spec=None, backbone=backbone, weights=()),  # type: ignore[arg-type]
        normalise=nn.Identity(),
        pools=True,
        channels_last=False,
        inputs=lambda frozen, augment: Inputs(views=VIEWS[:views]),
        labels=LABELS,
        classes=CLASSES,
        device=torch.device("cpu"),
    )


def linear() -> nn.Sequential:
    return nn.Sequential(nn.Dropout(0.2), nn.Linear(WIDTH, CLASSES))


def deep() -> nn.Sequential:
    first, second = nn.Linear(WIDTH, 9), nn.Linear(9, 6)
    return nn.Sequential(first, nn.ReLU(), nn.Dropout(0.5), second, nn.GELU(), nn.Dropout(0.1), nn.Linear(6, CLASSES))


def normalised() -> nn.Sequential:
    plain, bare = nn.BatchNorm1d(WIDTH), nn.BatchNorm1d(9, affine=False, momentum=0.3)
    hidden = nn.Linear(WIDTH, 9, bias=False)
    # ReLU between both: a shift that the next normalisation takes out again has nothing but rounding for a gradient
    return nn.Sequential(plain, nn.ReLU(inplace=True), hidden, nn.ReLU(), bare, nn.Linear(9, CLASSES))


def twice_the_same() -> nn.Sequential:
    shared = nn.Linear(WIDTH, WIDTH)
    return nn.Sequential(shared, nn.ReLU(), shared, nn.ReLU(), nn.Linear(WIDTH, CLASSES))


def unknown_layer() -> nn.Sequential:
    return nn.Sequential(nn.Linear(WIDTH, 9), nn.Tanh(), nn.Linear(9, CLASSES))


def seeded(build: Build) -> Build:
    def built() -> nn.Sequential:
        torch.manual_seed(1)
        return build()

    return built


def recipe(**changes: Any) -> Recipe:
    values = {"backbone": "none", "head": "any", "batch_size": 8, "phases": (Phase(epochs=4, learning_rate=0.03),)}
    return Recipe(**{**values, **changes})


@dataclass
class Told:
    """What was told of epochs, by fold."""

    losses: dict[int, list[float]] = field(default_factory=dict)

    def __call__(self, fold: Fold, epoch: int, loss: float, seconds: float) -> None:
        assert epoch == len(self.losses.setdefault(fold.fold, [])), "epochs are counted over all phases"
        self.losses[fold.fold].append(loss)


def together(
    build: Build, plan: Recipe, stuff: Material, folds: Sequence[Fold] = FOLD_LIST
) -> tuple[list[np.ndarray], Told]:
    told = Told()
    row = HeadRow(recipe=plan, head=seeded(build), dropout_seed=DROPOUT_SEED, on_epoch=told)
    ((_, outcome),) = fit_heads([row], stuff, folds)
    if isinstance(outcome.answers, Exception):
        raise outcome.answers
    return outcome.answers, told


def alone(build: Build, plan: Recipe, stuff: Material, fold: Fold) -> tuple[np.ndarray, list[float]]:
    losses: list[float] = []
    head = seeded(build)()
    with fitted(
        plan, head, stuff, fold, dropout_seed=DROPOUT_SEED, on_epoch=lambda fit, epoch, loss, s: losses.append(loss)
    ) as fit:
        return fit.predict(fold.validation), losses


def assert_each_fold_as_alone(build: Build, plan: Recipe, stuff: Material, folds: Sequence[Fold] = FOLD_LIST) -> None:
    answers, told = together(build, plan, stuff, folds)
    for fold, found in zip(folds, answers, strict=True):
        expected, losses = alone(build, plan, stuff, fold)
        np.testing.assert_allclose(np.exp(found), np.exp(expected), rtol=1e-5)
        assert told.losses[fold.fold] == pytest.approx(losses, rel=1e-5)


@pytest.mark.parametrize("build", [linear, deep, normalised, twice_the_same])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "rmsprop"])
def test_every_head_learns_what_it_learns_alone(build: Build, optimizer: str) -> None:
    assert can_be_stacked(build(), batch_size=8)
    # two epochs: RMSprop's first steps are long, and what is left of rounding doubles with each
    phases = (Phase(epochs=2, learning_rate=0.03),)
    assert_each_fold_as_alone(build, recipe(optimizer=optimizer, phases=phases), material())


@pytest.mark.parametrize(
    "changes",
    [
        {"imbalance": "class_weights", "label_smoothing": 0.1},
        {"imbalance": "logit_adjustment"},
        {"imbalance": "balanced_sampling"},
        {"label_smoothing": 0.2, "weight_decay": 0.3},
        {"clip_norm": None},
        {"clip_norm": 0.05},
        {"schedule": "constant"},
        {"batch_size": 1},
        {"batch_size": 1000},
        {"phases": (Phase(epochs=2, learning_rate=0.1), Phase(epochs=3, learning_rate=0.01))},
    ],
    ids=" ".join,
)
def test_every_key_of_a_recipe_counts_for_each_fold(changes: dict[str, Any]) -> None:
    assert_each_fold_as_alone(deep, recipe(**changes), material())


@pytest.mark.parametrize("build", [deep, normalised, twice_the_same])
@pytest.mark.parametrize("clip_norm", [None, 0.05])
def test_a_head_on_the_one_part_that_is_scored_learns_what_autograd_teaches_it(
    build: Build, clip_norm: float | None
) -> None:
    plan = recipe(clip_norm=clip_norm, phases=(Phase(epochs=2, learning_rate=0.03),))
    assert_each_fold_as_alone(build, plan, material(), FOLD_LIST[:1])


def test_pictures_are_shown_in_their_views() -> None:
    assert_each_fold_as_alone(linear, recipe(augment="flip"), material(views=2))


def test_folds_that_take_another_number_of_steps_are_apart_and_in_their_place() -> None:
    # 35 images in batches of 11 leave 2 for a fourth step; of 34 the one left over joins the third
    assert folds_in_step(FOLD_LIST, 11) == [[0, 1, 2], [3, 4]]
    assert folds_in_step(FOLD_LIST, 8) == [[0, 1, 2, 3, 4]]
    assert_each_fold_as_alone(deep, recipe(batch_size=11), material())


def test_a_head_with_a_layer_that_is_not_known_is_trained_fold_by_fold() -> None:
    assert not can_be_stacked(unknown_layer(), batch_size=8)
    assert_each_fold_as_alone(unknown_layer, recipe(), material())


def hooked() -> nn.Sequential:
    head = linear()
    head[1].register_forward_hook(lambda layer, given, out: 2 * out)
    return head


def reparametrised() -> nn.Sequential:
    return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(WIDTH, CLASSES)))


class Doubled(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    "build",
    [
        hooked,
        reparametrised,
        lambda: nn.Sequential(Doubled(WIDTH, CLASSES)),
        lambda: nn.Sequential(nn.BatchNorm1d(WIDTH, momentum=None), nn.Linear(WIDTH, CLASSES)),
        lambda: nn.Sequential(nn.BatchNorm1d(WIDTH, track_running_stats=False), nn.Linear(WIDTH, CLASSES)),
    ],
    ids=["a hook", "a parametrisation", "a class of its own", "a mean over all batches", "no statistics"],
)
def test_what_does_more_than_its_class_is_never_stacked_and_still_counts(build: Build) -> None:
    assert not can_be_stacked(build(), batch_size=8)
    assert_each_fold_as_alone(build, recipe(), material())


def test_a_fold_that_diverges_ends_the_row_with_its_epoch() -> None:
    plan = recipe(optimizer="sgd", clip_norm=None, phases=(Phase(epochs=2, learning_rate=1e30),))
    with pytest.raises(NonFiniteError, match="the training loss became nan in epoch 1"):
        together(deep, plan, material())


def test_what_does_not_fit_together_is_trained_fold_by_fold() -> None:
    asked: list[int] = []

    def inputs(frozen: int, augment: str) -> Inputs:
        asked.append(frozen)
        if len(asked) == 1:
            raise torch.OutOfMemoryError("the stack is too large")
        return Inputs(views=VIEWS[:1])

    stuff = replace(material(), inputs=inputs)
    answers, _ = together(deep, recipe(phases=(Phase(epochs=2, learning_rate=0.03),)), stuff)
    assert len(asked) == 1 + FOLDS
    assert [len(one) for one in answers] == [len(fold.validation) for fold in FOLD_LIST]


def test_a_stack_larger_than_a_worker_can_spare_is_trained_fold_by_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def inputs(frozen: int, augment: str) -> Inputs:
        asked.append(frozen)
        return Inputs(views=VIEWS[:1])

    stuff = replace(material(), inputs=inputs)
    plan = recipe(phases=(Phase(epochs=1, learning_rate=0.03),))
    together(linear, plan, stuff)
    weights = FOLDS * (WIDTH + 1) * CLASSES
    monkeypatch.setattr(heads, "STACKED_AT_MOST", weights - 1)
    together(linear, plan, stuff)
    assert len(asked) == 1 + FOLDS
