"""What heads begin from: a linear one from the closed form of its own fold, in whatever way it is trained."""

from pathlib import Path

import numpy as np
import pytest
import torch
from engine_world import DEVELOPMENT, LABELS, context_of, do, job, recipe, row
from torch import nn

from tlsearch.data.pixels import PixelStore
from tlsearch.features.provider import POOLED
from tlsearch.host import PluginHost
from tlsearch.training.recipe import Recipe
from tlsearch.work import WorkerContext
from tlsearch.workbench.bench import StudyBench
from tlsearch.workbench.parts import Parts
from tlsearch.workbench.starting import Starts, only_layer

STILL = {"learning_rate": 1e-9, "epochs": 1}  # what it begins from is what it ends with
TRUTH = np.array(LABELS[:DEVELOPMENT])


def open_parts(context: WorkerContext) -> Parts:
    return Parts(context, PluginHost.load(files=[Path(file) for file in context.plugins]))


def said(context: WorkerContext, plan: Recipe) -> np.ndarray:
    ((result,), _) = do(StudyBench(context), job(row(plan)))
    assert result.log_probs is not None
    return result.log_probs


def expected(context: WorkerContext, plan: Recipe) -> np.ndarray:
    """The closed form's answers about pictures of each fold, by the fit on the others."""
    parts = open_parts(context)
    (features,) = parts.provider(plan).views(POOLED, "none")
    answers = np.empty((DEVELOPMENT, len(context.classes)))
    for fold in parts.folds(0):
        classifier, _ = Starts(parts).closed_form(plan, fold)
        answers[fold.validation] = classifier.log_probs(np.asarray(features)[fold.validation])
    return answers


@pytest.mark.parametrize("unfrozen", [0, 1], ids=["alone", "fine-tuned"])
def test_a_linear_head_begins_from_the_closed_form_of_each_fold(context: WorkerContext, unfrozen: int) -> None:
    plan = recipe(unfrozen, start="probe", **STILL)
    np.testing.assert_allclose(said(context, plan), expected(context, plan), atol=1e-3)


def test_from_random_weights_it_says_something_else(context: WorkerContext) -> None:
    plan = recipe(start="random", **STILL)
    assert np.abs(said(context, plan) - expected(context, plan)).max() > 0.1


def test_where_classes_are_made_to_count_alike_their_frequencies_are_taken_out(
    drawn: PixelStore, tmp_path: Path
) -> None:
    labels = tuple(0 if label == 1 and index > 20 else label for index, label in enumerate(LABELS))
    context = context_of(drawn, tmp_path, labels=labels)
    plain, alike = (
        said(context, recipe(start="probe", imbalance=imbalance, **STILL)) for imbalance in ("none", "class_weights")
    )
    assert (alike - plain)[:, 1].mean() > (alike - plain)[:, 0].mean() + 0.2


def test_a_head_with_a_hidden_layer_is_left_as_it_is_where_it_is_trained_alone(context: WorkerContext) -> None:
    parts = open_parts(context)
    plan = recipe(head="mlp", head_params={"hidden": 16}, start="probe")
    head = parts.head(plan, seed=3)
    before = [weight.detach().clone() for weight in head.parameters()]
    assert Starts(parts).begin(head, plan, parts.material(plan), parts.fold(0, 0)) == 0.0
    assert all(np.array_equal(one, other.detach()) for one, other in zip(before, head.parameters(), strict=True))


def test_a_closed_form_never_sees_validation_labels_and_is_found_once(context: WorkerContext) -> None:
    parts = open_parts(context)
    starts = Starts(parts)
    first, seconds = starts.closed_form(recipe(), parts.fold(0, 0))
    again, nothing = starts.closed_form(recipe(1, head_params={"dropout": 0.5}), parts.fold(0, 0))
    assert again is first
    assert seconds > 0 == nothing


class Doubled(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    "layer", [Doubled(4, 3), nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), nn.Linear(4, 3, bias=False)]
)
def test_a_layer_that_does_something_else_with_its_weights_has_no_closed_form(layer: nn.Linear) -> None:
    assert only_layer(nn.Sequential(layer)) is None
    plain = nn.Linear(4, 3)
    assert only_layer(nn.Sequential(nn.Dropout(0.2), plain)) is plain
