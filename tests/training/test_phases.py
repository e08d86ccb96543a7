"""Recipes of several phases, named layers, and where the pictures enter the network."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from engine_world import recipe
from training_world import changed, fit, fitting, open_parts, state_of

from tlsearch import FloatRange
from tlsearch.errors import UnknownNameError
from tlsearch.training.fit import Fitted
from tlsearch.training.loop import Inputs, NonFiniteError
from tlsearch.training.recipe import Phase, Recipe, probe_recipe
from tlsearch.work import WorkerContext
from tlsearch.workbench.parts import Parts


@pytest.fixture
def parts(context: WorkerContext) -> Parts:
    return open_parts(context)


def phases(*unfrozen: int | None, epochs: int = 2) -> Recipe:
    return recipe(phases=tuple(Phase(epochs=epochs, unfrozen=depth, learning_rate=0.02) for depth in unfrozen))


def entered_at(parts: Parts, plan: Recipe) -> tuple[list[int], int]:
    """The cuts at which a fit asks for pictures, and how many stages were frozen to the end."""
    asked: list[int] = []
    material = parts.material(plan)

    def inputs(frozen: int, augment: str) -> Inputs:
        asked.append(frozen)
        return material.inputs(frozen, augment)

    return asked, fit(parts, plan, material=replace(material, inputs=inputs)).frozen


@pytest.mark.parametrize(
    ("unfrozen", "cuts", "frozen"),
    [
        ((0,), [4], 4),
        ((1,), [3], 3),
        ((None,), [0], 0),
        ((0, 2), [4, 2], 2),
        ((2, 0), [2, 2], 2),  # what was trained is no longer what the cache holds
        ((1, 3, 2), [3, 1, 1], 1),
        ((0, None), [4, 0], 0),
    ],
)
def test_pictures_enter_before_everything_that_was_ever_trained(
    parts: Parts, unfrozen: tuple[int | None, ...], cuts: list[int], frozen: int
) -> None:
    assert entered_at(parts, phases(*unfrozen)) == (cuts, frozen)


@pytest.mark.parametrize(("layer", "frozen"), [("block_2_relu", 2), ("block_2_drop", 3), ("block_0_conv", 0)])
def test_a_named_layer_decides_the_cut(parts: Parts, layer: str, frozen: int) -> None:
    plan = recipe(freeze_until=layer, epochs=1)
    assert plan.fine_tunes
    assert entered_at(parts, plan) == ([frozen], frozen)


def test_an_unknown_layer_is_refused_before_anything_is_trained(parts: Parts) -> None:
    with pytest.raises(UnknownNameError) as caught:
        fit(parts, recipe(freeze_until="block_2_rely"))
    assert "did you mean 'block_2_relu'?" in caught.value.message


def test_a_later_phase_goes_on_where_the_earlier_one_ended(parts: Parts) -> None:
    loaded = parts.loaded(recipe())
    before = state_of(loaded)
    touched: list[list[bool]] = []

    def told(fit: Fitted, epoch: int) -> None:
        touched.append([bool(names) for names in changed(before, state_of(loaded))])

    losses: list[float] = []
    with fitting(parts, phases(0, 1, 3), told=told, losses=losses):
        pass
    head_alone, last_stage, three = [False] * 4, [False] * 3 + [True], [False] + [True] * 3
    assert touched == [head_alone] * 2 + [last_stage] * 2 + [three] * 2
    assert losses[2] < losses[0], "the second phase starts from the head of the first"


def test_a_stage_that_is_frozen_again_keeps_what_it_learned(parts: Parts) -> None:
    loaded = parts.loaded(recipe())
    states = []
    with fitting(parts, phases(2, 0, epochs=1), told=lambda fit, epoch: states.append(state_of(loaded))):
        pass
    assert changed(*states) == [set()] * 4


def test_pictures_are_asked_for_before_any_weight_changes_since_a_pass_may_fill_the_cache(parts: Parts) -> None:
    plan = phases(1, 3)
    material, before = parts.material(plan), state_of(parts.loaded(plan))
    found: list[list[set[str]]] = []

    def inputs(frozen: int, augment: str) -> Inputs:
        found.append(changed(before, state_of(parts.loaded(plan))))
        return material.inputs(frozen, augment)

    fit(parts, plan, material=replace(material, inputs=inputs))
    assert found == [[set()] * 4] * 2


def test_the_last_epoch_counts_whatever_the_ones_before_were(parts: Parts) -> None:
    rows = parts.fold(0, 0).validation
    seen: list[np.ndarray] = []
    plan = recipe(1, schedule="constant", learning_rate=0.2, epochs=5)
    outcome = fit(parts, plan, told=lambda fit, epoch: seen.append(fit.predict(rows)))
    assert len(seen) == 5
    assert np.array_equal(outcome.log_probs, seen[-1])
    assert not np.array_equal(seen[-2], seen[-1])


def test_predicting_along_the_way_does_not_change_the_fit(parts: Parts) -> None:
    plan = recipe(2, head="mlp")
    rows = parts.fold(0, 0).validation
    watched = fit(parts, plan, told=lambda fit, epoch: fit.predict(rows))
    assert fit(parts, plan).equals(watched)


def test_a_diverging_fit_says_in_which_epoch(parts: Parts) -> None:
    plan = recipe(1, optimizer="sgd", clip_norm=None, learning_rate=1e30)
    with pytest.raises(NonFiniteError, match="loss became nan in epoch 1"):
        fit(parts, plan)


def test_weights_that_are_no_numbers_after_the_last_step_are_found_in_the_predictions(parts: Parts) -> None:
    once: dict[str, Any] = {"epochs": 1, "batch_size": 64, "schedule": "constant", "clip_norm": None}
    plan = recipe(head="mlp", optimizer="sgd", learning_rate=1e38, **once)
    with pytest.raises(NonFiniteError, match="not a number"):
        fit(parts, plan)


def test_a_batch_larger_than_the_fold_is_the_whole_fold(parts: Parts) -> None:
    whole = len(parts.fold(0, 0).train)
    assert fit(parts, recipe(batch_size=1000)).equals(fit(parts, recipe(batch_size=whole)))


def test_a_probe_is_the_head_alone_at_the_middle_of_its_rates_on_plain_pictures() -> None:
    plan = recipe(
        2, head="mlp", head_params={"hidden": 64}, augment="light", optimizer="sgd", preprocessing={"resize": "pad"}
    )
    probe = probe_recipe(plan, FloatRange(1e-4, 1e-2, log=True))
    assert not probe.fine_tunes
    assert (probe.head, probe.head_params, probe.preprocessing) == (plan.head, plan.head_params, plan.preprocessing)
    assert (probe.augment, probe.optimizer, probe.epochs, probe.start) == ("none", "adamw", 10, "random")
    assert probe.phases[0].learning_rate == pytest.approx(1e-3)
