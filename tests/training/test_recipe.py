"""A recipe travels as JSON, and equal recipes are known by an equal digest."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tlsearch.space import FloatRange
from tlsearch.training.recipe import Phase, Recipe, probe_recipe

RECIPE = Recipe(
    backbone="small",
    head="mlp",
    head_params={"hidden": [64, 32], "dropout": 0.2},
    phases=(Phase(epochs=3, unfrozen=0), Phase(epochs=5, unfrozen=None, learning_rate=3e-4, suffix_lr_scale=0.5)),
    freeze_until="block_1_bn",
    preprocessing={"mean": [0.5, 0.5, 0.5]},
    clip_norm=None,
)


def test_a_recipe_comes_back_from_json_as_it_was() -> None:
    assert Recipe.from_json(json.loads(json.dumps(RECIPE.to_json()))) == RECIPE


def test_a_digest_survives_json_and_the_order_of_keys() -> None:
    again = Recipe.from_json(dict(reversed(json.loads(json.dumps(RECIPE.to_json())).items())))
    assert again.digest() == RECIPE.digest()


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "large"},
        {"head_params": {"hidden": [32, 64], "dropout": 0.2}},
        {"phases": RECIPE.phases[:1]},
        {"freeze_until": None},
        {"start": "random"},
        {"weight_decay": 2e-4},
    ],
)
def test_whatever_differs_is_another_digest(change: dict[str, Any]) -> None:
    assert replace(RECIPE, **change).digest() != RECIPE.digest()


def test_epochs_are_those_of_all_phases() -> None:
    assert RECIPE.epochs == 8


@pytest.mark.parametrize(
    ("depths", "layer", "fine_tunes"),
    [((0, 0), None, False), ((0, 2), None, True), ((None,), None, True), ((0,), "block_1_bn", True)],
)
def test_a_recipe_fine_tunes_where_any_phase_trains_a_stage(
    depths: tuple[int | None, ...], layer: str | None, fine_tunes: bool
) -> None:
    phases = tuple(Phase(epochs=1, unfrozen=depth) for depth in depths)
    assert replace(RECIPE, phases=phases, freeze_until=layer).fine_tunes is fine_tunes


def test_a_recipe_of_before_imbalance_was_answered_reads_as_plain() -> None:
    old = {key: value for key, value in RECIPE.to_json().items() if key != "imbalance"}
    assert Recipe.from_json(old) == RECIPE
    assert replace(RECIPE, imbalance="class_weights").digest() != RECIPE.digest()


def test_a_probe_is_plain_whatever_its_recipe_does_about_skewed_classes() -> None:
    answered = replace(RECIPE, imbalance="balanced_sampling")
    rates = FloatRange(1e-4, 1e-2, log=True)
    assert probe_recipe(answered, rates) == probe_recipe(RECIPE, rates)
