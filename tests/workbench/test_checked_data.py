"""CHECK jobs: labels exchanged on purpose are found through the workbench, and all of it travels as JSON."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from engine_world import DEVELOPMENT, LABELS, context_of, do, job, recipe, row

from tlsearch.data.pixels import PixelStore
from tlsearch.execution.codec import checked
from tlsearch.records import FailureReason, TrialState
from tlsearch.stats.labels import suspicion_order
from tlsearch.work import Job, JobKind, RowResult, WorkerContext
from tlsearch.workbench import datacheck
from tlsearch.workbench.bench import StudyBench

ALONE = list(range(DEVELOPMENT))


def check(context: WorkerContext, *backbones: str, groups: list[int] | None = None) -> RowResult:
    rows = [row(recipe(backbone=name), trial=-1) for name in backbones or ("small",)]
    asked = job(*rows, kind=JobKind.CHECK, options={"groups": groups or ALONE})
    ((result,), epochs) = do(StudyBench(context), Job.from_json(json.loads(json.dumps(asked.to_json()))))
    assert not epochs
    return result


def exchanged(context: WorkerContext, *pictures: int) -> WorkerContext:
    labels = np.array(context.labels)
    labels[list(pictures)] = (labels[list(pictures)] + 1) % 3
    return replace(context, labels=tuple(labels.tolist()))


def test_exchanged_labels_stand_among_the_first_with_what_they_look_like(context: WorkerContext) -> None:
    wrong = (4, 20, 33)
    result = checked(check(exchanged(context, *wrong)))
    assert result.state is TrialState.COMPLETED
    assert result.log_probs is not None
    labels = np.array(exchanged(context, *wrong).labels)[:DEVELOPMENT]
    fifth = suspicion_order(result.log_probs, labels)[: DEVELOPMENT // 5]  # this network is right on 80 % of all
    assert set(wrong) <= set(fifth.tolist())
    suspects = result.extras["suspects"]
    found = [one for one in suspects if one["image"] in wrong]
    assert found
    for one in found:
        assert (one["label"], one["suggested"]) == (labels[one["image"]], LABELS[one["image"]])
        assert 0 <= one["probability"] < one["sure"] <= 1


def test_the_learning_curve_has_a_score_an_interval_and_recalls_for_each_share(context: WorkerContext) -> None:
    extras = json.loads(json.dumps(check(context).extras))
    curve = extras["learning"]
    assert extras["images"] == DEVELOPMENT
    assert curve["shares"] == [0.25, 0.5, 0.75, 1.0]
    assert curve["images"] == sorted(curve["images"])
    assert curve["images"][-1] == DEVELOPMENT * 4 // 5
    assert [len(recall) for recall in curve["recalls"]] == [4, 4, 4]
    for low, score, high in zip(curve["low"], curve["score"], curve["high"], strict=True):
        assert low <= score <= high
    assert curve["rise"][0] <= curve["score"][3] - curve["score"][1] <= curve["rise"][1]


def test_the_holdout_is_not_looked_at(context: WorkerContext) -> None:
    held_out = range(DEVELOPMENT, len(LABELS))
    assert check(exchanged(context, *held_out)).extras == check(context).extras


def test_several_networks_are_averaged(drawn: PixelStore, tmp_path: Path) -> None:
    both = context_of(drawn, tmp_path, backbones=("small", "small_hungry"))
    one, other = (check(both, name).log_probs for name in ("small", "small_hungry"))
    together = check(both, "small", "small_hungry").log_probs
    assert one is not None
    assert other is not None
    assert together is not None
    assert np.allclose(np.exp(together), (np.exp(one) + np.exp(other)) / 2, atol=1e-6)


def test_pictures_that_belong_together_do_not_vouch_for_each_other(context: WorkerContext) -> None:
    threes = [number // 9 for number in range(DEVELOPMENT)]
    alone, grouped = check(context).log_probs, check(context, groups=threes).log_probs
    assert alone is not None
    assert grouped is not None
    assert not np.allclose(alone, grouped)


def test_data_of_one_group_fail_with_the_reason(context: WorkerContext) -> None:
    result = check(context, groups=[0] * DEVELOPMENT)
    assert result.state is TrialState.FAILED
    assert result.reason is FailureReason.EXCEPTION
    assert "all pictures belong together" in result.detail


def test_mirror_images_that_are_at_hand_are_looked_at_as_well(context: WorkerContext) -> None:
    plain = check(replace(context, augments=("none",))).log_probs
    mirrored = check(context).log_probs
    assert plain is not None
    assert mirrored is not None
    assert not np.array_equal(plain, mirrored)


def test_more_doubted_labels_than_are_named_are_counted(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = exchanged(context, 4, 20, 33, 41)
    plain = check(study).extras
    assert plain["suspected"] == len(plain["suspects"]) > 1
    monkeypatch.setattr(datacheck, "MOST_SUSPECTS", 1)
    capped = check(study).extras
    assert capped["suspected"] == plain["suspected"]
    assert capped["suspects"] == plain["suspects"][:1]


def test_many_pictures_are_checked_in_parts_and_the_curve_says_of_how_many_it_was_made(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = check(context)
    assert whole.extras["learning"]["tried"] == DEVELOPMENT
    monkeypatch.setattr(datacheck, "BLOCK", DEVELOPMENT // 3)
    monkeypatch.setattr(datacheck, "FEW", 2)
    thirds = check(context)
    assert thirds.extras["learning"]["tried"] == DEVELOPMENT // 3
    assert thirds.extras["images"] == DEVELOPMENT
    assert thirds.log_probs is not None
    assert whole.log_probs is not None
    assert not np.isnan(thirds.log_probs).any()
    assert not np.allclose(thirds.log_probs, whole.log_probs)


def test_parts_are_alike_and_hold_every_picture_and_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datacheck, "BLOCK", 100)
    labels = np.repeat([0, 1, 2], [240, 142, 18])
    blocks = datacheck.blocks_of(labels, np.arange(400) // 2, seed=3, classes=3)
    assert len(blocks) == 4
    assert set(np.concatenate(blocks).tolist()) == set(range(400))
    rare = set(range(382, 400))
    for block in blocks:
        assert rare <= set(block.tolist())
        assert np.abs(np.bincount(labels[block]) - [60, 35.5, 18]).max() <= 1


@pytest.mark.parametrize(
    ("classes", "most"),
    [(2, 20_000), (200, 20_000), (201, 19_900), (400, 10_000), (1_000, 10_000), (5_000, 20_000)],
)
def test_of_more_classes_parts_have_fewer_pictures_as_far_as_they_know_each_class_by_ten(
    classes: int, most: int
) -> None:
    labels = np.arange(60_000) % classes
    blocks = datacheck.blocks_of(labels, np.arange(60_000), seed=3, classes=classes)
    assert len(blocks) == math.ceil(60_000 / most)
    assert set(np.concatenate(blocks).tolist()) == set(range(60_000))
    for block in blocks:
        assert len(block) <= 1.5 * most
        assert np.bincount(labels[block], minlength=classes).min() >= min(
            datacheck.FEW, 60_000 // classes // len(blocks)
        )


def test_parts_stay_small_where_no_class_has_many_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datacheck, "BLOCK", 100)
    labels = np.repeat(np.arange(45), [4, 6, *[10] * 43])
    blocks = datacheck.blocks_of(labels, np.arange(440), seed=3, classes=45)
    assert set(np.concatenate(blocks).tolist()) == set(range(440))
    for block in blocks:
        assert set(range(10)) <= set(block.tolist()), "the rarest two"
        assert len(block) <= 140


@pytest.mark.parametrize(
    "groups",
    [[number % 3 for number in range(DEVELOPMENT)], [0] * (DEVELOPMENT - 2) + [1, 2]],
    ids=["three groups", "one group of nearly all"],
)
def test_a_few_large_groups_are_checked_in_parts_as_well(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch, groups: list[int]
) -> None:
    monkeypatch.setattr(datacheck, "BLOCK", DEVELOPMENT // 4)
    monkeypatch.setattr(datacheck, "FEW", 2)
    result = check(context, groups=groups)
    assert result.state is TrialState.COMPLETED, result.detail
    assert result.log_probs is not None
    assert np.isfinite(result.log_probs).all()
    assert result.extras["learning"]["tried"] < DEVELOPMENT // 2
