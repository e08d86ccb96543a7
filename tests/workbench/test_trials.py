"""TRIALS and CONFIRM jobs: every row's result is its own, the same every time, and out of fold."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine_world import DEVELOPMENT, LABELS, context_of, do, job, recipe, result_of, row

from tlsearch.data.pixels import PixelStore
from tlsearch.errors import DataError
from tlsearch.records import EpochRecord, FailureReason, TrialState
from tlsearch.stats import score
from tlsearch.training.recipe import Recipe
from tlsearch.work import JobKind, Progress, RowResult, WorkerContext
from tlsearch.workbench.bench import StudyBench
from tlsearch.workbench.scoring import DeviceLostError

HEAD, TUNED = recipe(head_params={"dropout": 0.2}, learning_rate=0.1), recipe(2, head="mlp", head_params={"hidden": 16})
DIVERGES = recipe(optimizer="sgd", clip_norm=None, learning_rate=1e30)
TRUTH = np.array(LABELS[:DEVELOPMENT])
both = pytest.mark.parametrize("plan", [HEAD, TUNED], ids=["head alone", "fine-tuned"])


def said(result: RowResult) -> tuple[object, ...]:
    """All of a result but the time that it took."""
    log_probs = None if result.log_probs is None else result.log_probs.tobytes()
    return result.state, result.score, result.fold_scores, result.rung_score, log_probs, result.facts


@both
def test_a_trial_is_scored_on_predictions_of_fits_that_never_saw_the_picture(
    context: WorkerContext, plan: Recipe
) -> None:
    ((result,), epochs) = do(StudyBench(context), job(row(plan, 3)))
    assert (result.state, result.trial, result.attempt, result.repeat) == (TrialState.COMPLETED, 3, 1, 0)
    assert result.log_probs is not None
    assert np.allclose(np.exp(result.log_probs).sum(axis=1), 1, atol=1e-5)
    assert result.score == score("accuracy", result.log_probs, TRUTH)
    folds = np.array(context.folds[0])
    assert result.fold_scores == tuple(
        score("accuracy", result.log_probs[folds == fold], TRUTH[folds == fold]) for fold in (0, 1)
    )
    assert sorted((e.fold, e.epoch) for e in epochs) == [(fold, epoch) for fold in (0, 1) for epoch in range(4)]
    assert all(np.isfinite(e.train_loss) and e.seconds > 0 for e in epochs)
    assert result.score > 0.5, "the drawings can be told apart, or these tests show little"


def test_a_picture_that_is_only_ever_trained_on_has_no_prediction(context: WorkerContext) -> None:
    parts = tuple(-1 if index < 15 else 0 for index in range(DEVELOPMENT))
    result = result_of(replace(context, folds=(parts,)), HEAD)
    assert result.log_probs is not None
    assert np.isnan(result.log_probs[:15]).all()
    assert np.isfinite(result.log_probs[15:]).all()
    assert result.score == score("accuracy", result.log_probs[15:], TRUTH[15:])
    assert len(result.fold_scores) == 1


@both
def test_the_same_job_twice_gives_the_same_numbers(context: WorkerContext, plan: Recipe) -> None:
    bench = StudyBench(context)
    ((first,), told), ((second,), told_again) = do(bench, job(row(plan))), do(bench, job(row(plan)))
    assert said(first) == said(second)
    assert [e.train_loss for e in told] == [e.train_loss for e in told_again]


@both
def test_a_miss_gives_the_result_that_a_hit_gives(context: WorkerContext, plan: Recipe) -> None:
    computed, opened = result_of(context, plan), result_of(context, plan)
    elsewhere = result_of(replace(context, cache=context.cache + "-of-its-own"), plan)
    assert said(computed) == said(opened) == said(elsewhere)


@pytest.mark.parametrize("depth", [0, 2])
def test_a_row_does_not_depend_on_its_neighbours(context: WorkerContext, depth: int) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"learning_rate": 0.05},
        {"optimizer": "sgd", "clip_norm": None, "learning_rate": 1e30},
        {"epochs": 2},
    ]
    rows = [row(recipe(depth, head_params={"dropout": 0.2}, **change), trial) for trial, change in enumerate(changes)]
    told, _ = do(StudyBench(context), job(*rows))
    results = sorted(told, key=lambda result: result.trial)  # heads come group by group
    assert [result.state is TrialState.FAILED for result in results] == [False, False, True, False]
    for alone, among in zip(rows, results, strict=True):
        ((result,), _) = do(StudyBench(context), job(alone))
        assert (result.state, result.score, result.fold_scores) == (among.state, among.score, among.fold_scores)
        if result.log_probs is not None:  # heads in one product of matrices are rounded as the product is laid out
            assert among.log_probs is not None
            np.testing.assert_allclose(result.log_probs, among.log_probs, rtol=1e-4)


def test_initial_weights_follow_from_the_row_and_nothing_else_does(context: WorkerContext) -> None:
    plan = replace(HEAD, start="random")
    same = result_of(context, plan, trial=8, seed_key=0)
    other = result_of(context, plan, trial=0, seed_key=1)
    first = result_of(context, plan, trial=0, seed_key=0)
    assert said(first) == said(same)
    assert said(first) != said(other)


@both
def test_a_confirmation_has_other_folds_and_other_seeds(context: WorkerContext, plan: Recipe) -> None:
    bench = StudyBench(replace(context, folds=(*context.folds, context.folds[0])))
    told: dict[int, list[EpochRecord]] = {}
    results = {}
    for repeat in range(3):
        kind = JobKind.CONFIRM if repeat else JobKind.TRIALS
        ((results[repeat],), told[repeat]) = do(bench, job(row(plan), kind=kind, repeat=repeat))
    assert [results[repeat].repeat for repeat in range(3)] == [0, 1, 2]
    assert {e.repeat for e in told[1]} == {1}
    assert [len(results[repeat].fold_scores) for repeat in range(3)] == [2, 3, 2], "as its partition has"
    assert said(results[0])[4] != said(results[2])[4], "the same folds in another repeat: other seeds and order"


def test_facts_tell_depth_and_cost(context: WorkerContext) -> None:
    facts = result_of(context, TUNED).facts
    assert facts is not None
    assert (facts.stages, facts.unfrozen, facts.cut) == (4, 2, "block_1_drop")
    assert 0 < facts.trained_parameters < facts.parameters
    head = result_of(context, HEAD).facts
    assert head is not None
    assert (head.unfrozen, head.trained_parameters) == (0, 16 * 3 + 3)


def test_a_head_that_asks_for_the_map_is_trained_frozen_and_fine_tuned(context: WorkerContext) -> None:
    bench = StudyBench(context)
    for depth in (0, 1):
        plan = recipe(depth, head="map_head", learning_rate=0.1)
        ((plain,), _) = do(bench, job(row(recipe(depth, learning_rate=0.1))))
        ((result,), _) = do(bench, job(row(plan)))
        assert result.state is TrialState.COMPLETED, result.detail
        assert result.score is not None
        assert result.score > 0.5
        assert said(result) != said(plain)


@pytest.mark.parametrize("depth", [0, 2])
def test_a_diverging_row_fails_with_its_reason(context: WorkerContext, depth: int) -> None:
    plan = recipe(depth, start="random", optimizer="sgd", clip_norm=None, learning_rate=1e30)
    result = result_of(context, plan)
    assert (result.state, result.reason) == (TrialState.FAILED, FailureReason.NON_FINITE)
    assert "loss became nan in epoch 1" in result.detail
    assert (result.score, result.log_probs, result.fold_scores) == (None, None, ())


def test_short_memory_for_gradients_changes_pieces_and_not_the_result(drawn: PixelStore, tmp_path: Path) -> None:
    context = context_of(drawn, tmp_path, backbones=("small", "small_hungry"))
    bench = StudyBench(context)
    results = []
    for name in ("small", "small_hungry"):
        plan = recipe(2, backbone=name, batch_size=22, start="random")
        ((result,), _) = do(bench, job(row(plan)))
        assert result.state is TrialState.COMPLETED, result.detail
        results.append(result)
    plenty, short = results
    assert plenty.log_probs is not None
    assert short.log_probs is not None
    assert np.allclose(np.exp(short.log_probs), np.exp(plenty.log_probs), atol=1e-3)


def test_where_no_picture_fits_the_row_fails_and_the_next_one_runs(drawn: PixelStore, tmp_path: Path) -> None:
    bench = StudyBench(context_of(drawn, tmp_path, backbones=("small", "small_starving")))
    ((result,), _) = do(bench, job(row(recipe(2, backbone="small_starving"))))
    assert (result.state, result.reason) == (TrialState.FAILED, FailureReason.OUT_OF_MEMORY)
    assert result.detail == "OutOfMemoryError: no memory for 1 pictures"
    ((result,), _) = do(bench, job(row(recipe(2))))
    assert result.state is TrialState.COMPLETED


@pytest.mark.parametrize("depth", [0, 1])
def test_a_backbone_that_cannot_be_cached_fails_every_row_with_the_reason(
    drawn: PixelStore, tmp_path: Path, depth: int
) -> None:
    plan = recipe(depth, backbone="small_mixing")
    results, _ = do(StudyBench(context_of(drawn, tmp_path, backbones=["small_mixing"])), job(row(plan), row(plan, 1)))
    assert [(r.trial, r.state, r.reason) for r in results] == [
        (trial, TrialState.FAILED, FailureReason.EXCEPTION) for trial in (0, 1)
    ]
    assert all("mixes the pictures of a batch" in result.detail for result in results)


@pytest.mark.parametrize("depth", [0, 2])
@pytest.mark.parametrize(
    ("head", "says"),
    [
        ("unbuildable", "ZeroDivisionError: this head cannot be built"),
        ("never_alone", "ValueError: one picture is too few"),
    ],
)
def test_a_head_that_cannot_be_built_or_measured_fails_its_own_row_alone(
    context: WorkerContext, depth: int, head: str, says: str
) -> None:
    rows = [row(recipe(depth, head=name, start="random"), trial) for trial, name in enumerate(("linear", head, "mlp"))]
    results, _ = do(StudyBench(context), job(*rows))
    assert [result.state for result in results] == [TrialState.COMPLETED, TrialState.FAILED, TrialState.COMPLETED]
    assert (results[1].reason, results[1].detail) == (FailureReason.EXCEPTION, says)


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (recipe(head="faulty"), [0, 2, 1]),  # the others had learned side by side before it
        (recipe(2, backbone="small_faulty", start="random"), [0, 1]),
    ],
    ids=["head alone", "fine-tuned"],
)
def test_a_row_that_loses_the_device_fails_and_nothing_more_is_computed_there(
    drawn: PixelStore, tmp_path: Path, plan: Recipe, told: list[int]
) -> None:
    bench = StudyBench(context_of(drawn, tmp_path, backbones=("small", "small_faulty")))
    events: list[EpochRecord | RowResult | Progress] = []
    depth = 2 if plan.fine_tunes else 0
    rows = row(recipe(depth, start="random")), row(plan, 1), row(recipe(depth, start="random"), 2)
    with pytest.raises(DeviceLostError, match="device-side assert"):
        bench.run(job(*rows), events.append)
    results = [event for event in events if isinstance(event, RowResult)]
    assert [result.trial for result in results] == told
    assert (results[-1].state, results[-1].reason) == (TrialState.FAILED, FailureReason.EXCEPTION)
    assert results[-1].detail == "AcceleratorError: CUDA error: device-side assert triggered"


def test_a_pass_that_a_trial_has_to_wait_for_is_told(context: WorkerContext) -> None:
    events: list[EpochRecord | RowResult | Progress] = []
    StudyBench(context).run(job(row(recipe(None, epochs=1))), events.append)  # trains from the pixels on
    kinds = [type(event).__name__ for event in events]
    assert kinds == ["Progress"] * kinds.count("Progress") + ["EpochRecord"] * 2 + ["RowResult"]
    *_, done, over = (event for event in events if isinstance(event, Progress))
    assert done == Progress(text="small", done=DEVELOPMENT, total=DEVELOPMENT)
    assert over.text == ""


def test_single_precision_is_kept_whole_on_every_gpu(context: WorkerContext) -> None:
    StudyBench(context)
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32
    assert "tf32" not in (torch.backends.cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision)


def test_pictures_that_changed_since_the_study_began_are_refused(context: WorkerContext) -> None:
    with pytest.raises(DataError, match="changed while the study ran"):
        StudyBench(replace(context, pixels_digest="another"))


def test_equal_bits_are_asked_of_torch_where_the_study_does(context: WorkerContext) -> None:
    try:
        StudyBench(replace(context, deterministic=True))
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(mode=False)
