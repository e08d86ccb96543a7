"""Racing: a fine-tuning trial ends after its first fold, or at half of its schedule where there is one part."""

import math
from dataclasses import replace

import pytest
from engine_world import DEVELOPMENT, do, job, recipe, row

from tlsearch.records import EpochRecord, TrialState
from tlsearch.work import RowResult, WorkerContext
from tlsearch.workbench.bench import StudyBench

TUNED = recipe(1, epochs=5)
BEATEN, BEATING = 1.01, 0.01  # what earlier trials reached


@pytest.fixture
def one_part(context: WorkerContext) -> WorkerContext:
    """A study with one validation part of 15 pictures."""
    partition = tuple(0 if index < 15 else -1 for index in range(DEVELOPMENT))
    return replace(context, folds=(partition, partition))


def raced(context: WorkerContext, **changes: object) -> tuple[RowResult, list[EpochRecord]]:
    plan = changes.pop("plan", TUNED)
    ((result,), epochs) = do(StudyBench(context), job(row(plan, **changes)))  # type: ignore[arg-type]
    return result, epochs


def test_a_trial_in_the_worse_half_ends_after_its_first_fold(context: WorkerContext) -> None:
    whole, _ = raced(context)
    result, epochs = raced(context, prune_below=BEATEN)
    assert result.state is TrialState.PRUNED
    assert (result.score, result.log_probs, result.reason) == (None, None, None)
    assert result.fold_scores == whole.fold_scores[:1]
    assert [(e.fold, e.epoch) for e in epochs] == [(0, epoch) for epoch in range(5)]
    assert (
        result.detail == f"{whole.fold_scores[0]:.4f} on the first fold, below the 1.0100 that earlier trials had there"
    )
    assert result.facts == whole.facts


@pytest.mark.parametrize("threshold", [None, BEATING])
def test_a_trial_that_keeps_up_runs_all_folds(context: WorkerContext, threshold: float | None) -> None:
    result, _ = raced(context, prune_below=threshold)
    assert result.state is TrialState.COMPLETED
    assert len(result.fold_scores) == 2


def test_reaching_the_threshold_is_enough(context: WorkerContext) -> None:
    whole, _ = raced(context)
    assert raced(context, prune_below=whole.fold_scores[0])[0].state is TrialState.COMPLETED
    above = math.nextafter(whole.fold_scores[0], 2)
    assert raced(context, prune_below=above)[0].state is TrialState.PRUNED


def test_a_later_fold_never_ends_a_trial(context: WorkerContext) -> None:
    whole, _ = raced(context)
    between = sum(whole.fold_scores) / 2
    assert whole.fold_scores[0] > between > whole.fold_scores[1], "the second fold is the worse one here"
    assert raced(context, prune_below=between)[0].state is TrialState.COMPLETED


def test_heads_alone_are_never_raced(context: WorkerContext) -> None:
    assert raced(context, plan=recipe(), prune_below=BEATEN)[0].state is TrialState.COMPLETED


@pytest.mark.parametrize(("epochs", "half"), [(2, 1), (4, 2), (5, 3)])
def test_with_one_part_a_trial_ends_at_half_of_its_own_schedule(
    one_part: WorkerContext, epochs: int, half: int
) -> None:
    result, told = raced(one_part, plan=recipe(1, epochs=epochs), prune_below=BEATEN)
    assert result.state is TrialState.PRUNED
    assert [e.epoch for e in told] == list(range(half))
    assert result.rung_score is not None
    assert result.fold_scores == ()
    assert "at half of its schedule, below the 1.0100" in result.detail


def test_with_one_part_the_rung_is_kept_and_does_not_change_the_result(one_part: WorkerContext) -> None:
    free, _ = raced(one_part)
    watched, _ = raced(one_part, prune_below=BEATING)
    pruned, _ = raced(one_part, prune_below=BEATEN)
    assert free.rung_score == watched.rung_score == pruned.rung_score
    assert free.log_probs is not None
    assert watched.log_probs is not None
    assert free.log_probs.tobytes() == watched.log_probs.tobytes()
    assert free.fold_scores == watched.fold_scores == (free.score,)


def test_a_schedule_of_one_epoch_has_no_half(one_part: WorkerContext) -> None:
    result, _ = raced(one_part, plan=recipe(1, epochs=1), prune_below=BEATEN)
    assert (result.state, result.rung_score) == (TrialState.COMPLETED, None)


def test_with_several_folds_there_is_no_rung(context: WorkerContext) -> None:
    assert raced(context)[0].rung_score is None


def test_a_pruned_trial_leaves_nothing_for_the_next(context: WorkerContext) -> None:
    bench = StudyBench(context)
    do(bench, job(row(TUNED, prune_below=BEATEN)))
    ((after,), _) = do(bench, job(row(TUNED)))
    alone, _ = raced(context)
    assert after.log_probs is not None
    assert alone.log_probs is not None
    assert after.log_probs.tobytes() == alone.log_probs.tobytes()
