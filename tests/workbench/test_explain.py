"""EXPLAIN jobs: the fold models that gave the answers, once more, and where in the pictures these came from."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from engine_world import DEVELOPMENT, choice, do, job, recipe, row
from torch import nn

from tlsearch.model import Network
from tlsearch.records import FailureReason, TrialState
from tlsearch.specs import Backbone, Preprocessing
from tlsearch.training.recipe import Recipe
from tlsearch.work import JobKind, RowResult, WorkerContext
from tlsearch.workbench.bench import StudyBench
from tlsearch.workbench.explain import channel_axis, grad_cam
from tlsearch.workbench.parts import Parts

PLANS = {
    "head alone": recipe(head_params={"dropout": 0.2}, learning_rate=0.1),
    "fine-tuned from a probe": recipe(2, head="mlp", head_params={"hidden": 16}, augment="flip"),
    "fine-tuned from random weights": recipe(1, start="random"),
    "on the map": recipe(1, head="map_head"),
}


def explained(
    context: WorkerContext, plan: Recipe, images: Sequence[int], *, answer: int = 1, **changes: object
) -> RowResult:
    options = {"answers": [[image, answer] for image in images]}
    ((result,), epochs) = do(StudyBench(context), job(row(plan, 5), kind=JobKind.EXPLAIN, options=options, **changes))
    assert epochs == [], "they are on record as the trial's own"
    return result


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_the_fold_models_are_those_that_scored_the_trial(context: WorkerContext, plan: Recipe) -> None:
    folds = np.array(context.folds[0])
    ((scored,), _) = do(StudyBench(context), job(row(plan, 5)))
    result = explained(context, plan, [int(np.flatnonzero(folds == fold)[0]) for fold in (0, 1)])
    assert result.log_probs is not None
    assert scored.log_probs is not None
    assert np.abs(result.log_probs - scored.log_probs).max() <= 1e-4
    assert [one["fold"] for one in result.extras["maps"]] == [0, 1]


def test_only_the_folds_that_hold_the_pictures_are_fitted(context: WorkerContext) -> None:
    folds = np.array(context.folds[0])
    images = np.flatnonzero(folds == 1)[:3].tolist()
    result = explained(context, PLANS["head alone"], images)
    assert result.log_probs is not None
    assert (np.isfinite(result.log_probs).all(axis=1) == (folds == 1)).all()
    assert [(one["image"], one["fold"]) for one in result.extras["maps"]] == [(image, 1) for image in images]


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_a_map_has_the_size_of_the_last_stage_and_goes_from_zero_to_one(context: WorkerContext, plan: Recipe) -> None:
    grids = np.array([one["grid"] for one in explained(context, plan, range(12)).extras["maps"]])
    assert grids.shape == (12, 2, 2)  # 32 px through four stages that halve
    assert grids.min() >= 0
    assert set(grids.max(axis=(1, 2)).tolist()) <= {0.0, 1.0}
    assert grids.max() == 1, "something speaks for the class somewhere"


def test_another_answer_has_another_map(context: WorkerContext) -> None:
    plan = PLANS["fine-tuned from a probe"]
    maps = [explained(context, plan, [0, 1, 2], answer=answer).extras["maps"] for answer in (0, 1)]
    assert maps[0] != maps[1]


def test_a_network_that_sees_the_picture_as_a_whole_has_no_map_and_is_not_fitted(context: WorkerContext) -> None:
    tiny = replace(context, backbones={"small": choice("small", image_px=16)})
    result = explained(tiny, PLANS["head alone"], [0])
    assert result.state is TrialState.COMPLETED
    assert result.extras == {"maps": [], "note": "the last stage of this network sees the picture as a whole"}
    assert result.log_probs is not None
    assert np.isnan(result.log_probs).all()


def test_a_fit_that_fails_is_a_failed_result_with_its_reason(context: WorkerContext) -> None:
    result = explained(context, recipe(optimizer="sgd", clip_norm=None, learning_rate=1e30), [0])
    assert (result.state, result.reason) == (TrialState.FAILED, FailureReason.NON_FINITE)


def test_what_was_fitted_is_put_back(context: WorkerContext) -> None:
    plan = PLANS["fine-tuned from a probe"]
    bench = StudyBench(context)
    options = {"answers": [[image, 0] for image in range(DEVELOPMENT)]}
    ((before,), _) = do(bench, job(row(plan, 5)))
    do(bench, job(row(plan, 5), kind=JobKind.EXPLAIN, options=options))
    ((after,), _) = do(bench, job(row(plan, 5)))
    assert before.log_probs is not None
    assert np.array_equal(before.log_probs, after.log_probs)  # type: ignore[arg-type]


class Quarter(nn.Module):
    """A map `(N, 2, 2, 2)` of a picture: how bright each of its quarters is, in two channels of opposite sign."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = nn.functional.adaptive_avg_pool2d(x.mean(dim=1, keepdim=True), 2)
        return torch.cat([bright, -bright], dim=1)


class ChannelsLast(nn.Module):
    """What Keras does: `(N, D, h, w)` to `(N, h, w, D)`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1)


class MeanOfPlaces(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(1, 2))


def network_that_counts_light(*, channels_last: bool) -> Network:
    """Class 0 is dark, class 1 bright: the logit of class 1 is the picture's mean brightness."""
    head = nn.Sequential(nn.Linear(2, 2, bias=False))
    nn.init.constant_(head[0].weight, 0.0)
    with torch.no_grad():
        head[0].weight[1, 0] = 1.0
        head[0].weight[0, 1] = 1.0
    stages = [Quarter(), *([ChannelsLast()] if channels_last else [])]
    pool = MeanOfPlaces() if channels_last else nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    rules = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return Network(rules, Backbone(stages=stages, pool=pool, feature_dim=2), head).eval()


@pytest.mark.parametrize(("channels_last", "axis"), [(False, 1), (True, 3)])
def test_the_evidence_lies_where_the_picture_is_bright(channels_last: bool, axis: int) -> None:
    pixels = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    pixels[0, :4, 4:] = 200  # top right
    pixels[1, 4:, :4] = 200  # bottom left
    pixels[1, 4:, 4:] = 100  # and half as bright beside it
    bright = grad_cam(network_that_counts_light(channels_last=channels_last), pixels, np.array([1, 1]), axis)
    assert np.allclose(bright, [[[0, 1], [0, 0]], [[0, 0], [1, 0.5]]], atol=1e-6)
    dark = grad_cam(network_that_counts_light(channels_last=channels_last), pixels, np.array([0, 0]), axis)
    assert not dark.any(), "no place speaks for it more than for nothing"


def test_channels_are_told_from_places_and_tokens_are_no_map() -> None:
    assert channel_axis((1, 16, 2, 3), 16) == 1
    assert channel_axis((1, 2, 3, 16), 16) == 3
    assert channel_axis((1, 197, 768), 768) is None
    assert channel_axis((1, 16, 2, 2), 8) is None


@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v2_keras"])
def test_both_frameworks_are_mapped(mobilenets: Parts, name: str) -> None:
    plan = recipe(backbone=name)
    loaded = mobilenets.loaded(plan)
    network = mobilenets.network(plan, mobilenets.head(plan, 0)).eval()
    pixels = np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3)).astype(np.uint8)
    with torch.no_grad():
        values = network.normalise(torch.from_numpy(pixels))
        for stage in loaded.backbone.stages:
            values = stage(values)
    axis = channel_axis(tuple(values.shape), loaded.backbone.feature_dim)
    assert axis == (3 if loaded.spec.framework == "keras" else 1)
    assert grad_cam(network, pixels, np.array([0, 1]), axis).shape == (2, 1, 1)  # 32 px, halved five times
