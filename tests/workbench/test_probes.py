"""Probes: fitted once for all trials that share them, on a fold's training pictures alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from engine_world import LABELS, do, job, recipe, row

from tlsearch.host import PluginHost
from tlsearch.training.recipe import Recipe
from tlsearch.work import WorkerContext
from tlsearch.workbench import starting
from tlsearch.workbench.bench import StudyBench
from tlsearch.workbench.parts import Parts
from tlsearch.workbench.starting import Probe, Starts

Opened = tuple[Parts, Starts]
TUNED = recipe(2, head="mlp", head_params={"hidden": 16})


def opened(context: WorkerContext) -> Opened:
    parts = Parts(context, PluginHost.load(files=[Path(file) for file in context.plugins]))
    return parts, Starts(parts)


def probe_of(study: Opened, plan: Recipe, *, fold: int = 0, repeat: int = 0) -> tuple[Probe, bool]:
    parts, starts = study
    return starts.probe(plan, parts.material(plan), parts.fold(repeat, fold))


def same(one: Probe, other: Probe) -> bool:
    return all(torch.equal(value, other.state[name]) for name, value in one.state.items())


def permuted(context: WorkerContext, fold: int) -> WorkerContext:
    """The same study with the labels of one fold's validation pictures exchanged."""
    labels = np.array(LABELS)
    rows = np.flatnonzero(np.array(context.folds[0]) == fold)
    labels[rows] = (labels[rows] + 1) % 3
    return replace(context, labels=tuple(labels.tolist()))


def test_a_probe_never_sees_validation_labels(context: WorkerContext) -> None:
    true, exchanged = opened(context), opened(permuted(context, fold=0))
    assert same(probe_of(true, TUNED)[0], probe_of(exchanged, TUNED)[0])
    assert not same(probe_of(true, TUNED, fold=1)[0], probe_of(exchanged, TUNED, fold=1)[0]), "it learns from the rest"


@pytest.mark.parametrize("plan", [TUNED, recipe()], ids=["fine-tuned", "head alone"])
def test_fold_models_are_equal_whatever_the_validation_labels_say(context: WorkerContext, plan: Recipe) -> None:
    rows = np.array(context.folds[0]) == 0
    predictions = []
    for study in (context, permuted(context, fold=0)):
        ((result,), _) = do(StudyBench(study), job(row(plan)))
        assert result.log_probs is not None
        predictions.append(result.log_probs)
    true, exchanged = predictions
    assert true[rows].tobytes() == exchanged[rows].tobytes()
    assert true[~rows].tobytes() != exchanged[~rows].tobytes()


def test_trials_with_the_same_head_share_a_probe_whatever_else_they_vary(context: WorkerContext) -> None:
    study = opened(context)
    first, fresh = probe_of(study, TUNED)
    others = [
        recipe(1, head="mlp", head_params={"hidden": 16}, learning_rate=0.1, augment="flip", batch_size=4, epochs=9)
    ]
    again = [probe_of(study, other) for other in others]
    assert fresh
    assert again == [(first, False)]


@pytest.mark.parametrize(
    ("plan", "fold", "repeat"),
    [
        (TUNED, 1, 0),
        (TUNED, 0, 1),
        (recipe(2, head="mlp", head_params={"hidden": 8}), 0, 0),
        (recipe(2), 0, 0),
        (recipe(2, head="mlp", head_params={"hidden": 16}, preprocessing={"resize": "squash"}), 0, 0),
    ],
    ids=["fold", "repeat", "head's size", "head", "preprocessing"],
)
def test_another_head_fold_or_picture_has_a_probe_of_its_own(
    context: WorkerContext, plan: Recipe, fold: int, repeat: int
) -> None:
    study = opened(context)
    first, _ = probe_of(study, TUNED)
    other, fresh = probe_of(study, plan, fold=fold, repeat=repeat)
    assert fresh
    assert other.state.keys() != first.state.keys() or any(
        value.shape != first.state[name].shape or not torch.equal(value, first.state[name])
        for name, value in other.state.items()
    )


def test_only_the_probes_used_last_are_kept_and_another_is_the_same_when_it_is_fitted_again(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "MOST_PROBES", 2)
    study = opened(context)
    first, second = probe_of(study, TUNED)[0], probe_of(study, TUNED, fold=1)[0]
    assert probe_of(study, TUNED) == (first, False)
    _, fresh = probe_of(study, recipe(2, head="mlp", head_params={"hidden": 8}))
    assert fresh
    assert probe_of(study, TUNED) == (first, False), "it was used later than the second"
    again, fresh = probe_of(study, TUNED, fold=1)
    assert fresh
    assert same(again, second)


def test_a_probe_is_the_same_in_whatever_order_trials_ask_for_it(context: WorkerContext) -> None:
    one, other = opened(context), opened(context)
    probe_of(other, recipe(1))
    probe_of(other, TUNED, fold=1)
    assert same(probe_of(one, TUNED)[0], probe_of(other, TUNED)[0])


def test_only_the_trial_that_fits_a_probe_pays_for_it(context: WorkerContext) -> None:
    bench = StudyBench(context)
    costs = []
    for trial in range(2):
        ((result,), _) = do(bench, job(row(TUNED, trial)))
        costs.append(result.probe_seconds)
        assert result.seconds > 0
    assert costs[0] > 0
    assert costs[1] == 0


def test_fine_tuning_starts_from_the_probe_unless_the_recipe_says_otherwise(context: WorkerContext) -> None:
    bench = StudyBench(context)
    plan = recipe(1, learning_rate=1e-9, epochs=1)  # so that what it starts from is what it ends with
    first_losses = []
    for start in ("probe", "random"):
        ((result,), epochs) = do(bench, job(row(replace(plan, start=start))))
        first_losses.append(epochs[0].train_loss)
        assert (result.probe_seconds > 0) == (start == "probe")
    assert first_losses[0] < first_losses[1] - 0.1
