"""Frozen means frozen, in both frameworks: weights and statistics; and what a fit trained is put back."""

import pytest
import torch
from engine_world import recipe
from training_world import changed, fit, fitting, open_parts, state_of, weight_names

from tlsearch.training.fit import Fitted
from tlsearch.training.loop import NonFiniteError, PrunedError
from tlsearch.training.recipe import Phase
from tlsearch.work import WorkerContext
from tlsearch.workbench.parts import Parts


@pytest.fixture
def parts(context: WorkerContext) -> Parts:
    return open_parts(context)


@pytest.mark.parametrize("name", ["small", "mobilenet_v2", "mobilenet_v2_keras"])
def test_fine_tuning_changes_the_suffix_weights_alone_and_puts_them_back(
    name: str, parts: Parts, mobilenets: Parts
) -> None:
    study = parts if name == "small" else mobilenets
    plan = recipe(2, backbone=name, epochs=1, batch_size=16, learning_rate=0.05)
    loaded = study.loaded(plan)
    before, weights = state_of(loaded), weight_names(loaded)
    with fitting(study, plan) as result:
        during = state_of(loaded)
        assert result.frozen == len(before) - 2
    assert changed(before, during) == [set()] * (len(before) - 2) + weights[-2:], "every weight, and no statistics"
    assert changed(before, state_of(loaded)) == [set()] * len(before)


def test_a_fit_of_the_head_alone_changes_nothing_of_the_backbone(parts: Parts) -> None:
    loaded = parts.loaded(recipe())
    before = state_of(loaded)
    with fitting(parts, recipe(learning_rate=0.1)):
        assert changed(before, state_of(loaded)) == [set()] * 4


def test_nothing_is_left_trainable_or_in_training_mode(parts: Parts) -> None:
    loaded = parts.loaded(recipe())
    with fitting(parts, recipe(None)) as result:
        assert not any(module.training for stage in loaded.backbone.stages for module in stage.modules())
        assert not result.head.training
    assert not any(p.requires_grad for stage in loaded.backbone.stages for p in stage.parameters())


@pytest.mark.parametrize("why", ["diverged", "pruned"])
def test_a_fit_that_ends_early_puts_the_weights_back_too(parts: Parts, why: str) -> None:
    loaded = parts.loaded(recipe())
    before = state_of(loaded)
    seen = []

    def told(fit: Fitted, epoch: int) -> None:
        seen.append(changed(before, state_of(loaded))[3])
        if why == "pruned" and epoch == 1:
            raise PrunedError(0.25)

    plan = recipe(1, epochs=3)
    if why == "diverged":
        away = Phase(epochs=3, unfrozen=1, learning_rate=1e30)
        plan = recipe(1, optimizer="sgd", clip_norm=None, phases=(*recipe(1, epochs=2).phases, away))
    with pytest.raises(PrunedError if why == "pruned" else NonFiniteError), fitting(parts, plan, told=told):
        pass
    assert len(seen) == 2
    assert all(seen), "it had trained by then"
    assert changed(before, state_of(loaded)) == [set()] * 4
    assert not any(p.requires_grad for stage in loaded.backbone.stages for p in stage.parameters())


def test_one_fit_after_another_gives_what_each_gives_alone(context: WorkerContext, parts: Parts) -> None:
    plan = recipe(2)
    first = fit(parts, plan)
    fit(parts, recipe(None, learning_rate=0.1))
    assert fit(parts, plan).equals(first)
    assert fit(open_parts(context), plan).equals(first)


def test_a_fit_does_not_depend_on_the_global_generator(parts: Parts) -> None:
    plan = recipe(1, head="mlp")  # its dropout draws
    first = fit(parts, plan)
    torch.manual_seed(12345)
    torch.rand(7)
    assert fit(parts, plan).equals(first)
