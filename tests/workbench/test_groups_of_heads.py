"""Jobs of heads alone end group by group; what befalls heads that learn side by side befalls no others."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_world import do, job, recipe, row

from tlsearch.errors import StoreError
from tlsearch.execution import results
from tlsearch.execution.local import LocalExecutor
from tlsearch.records import EpochRecord, FailureReason, TrialState
from tlsearch.training import heads
from tlsearch.training.stacked import StackedRow, fit_stacked
from tlsearch.work import Job, JobEnded, Progress, RowResult, WorkerContext, WorkerEvent
from tlsearch.workbench.bench import StudyBench
from tlsearch.workbench.scoring import DeviceLostError


def open_that_syncs_at_once(context: WorkerContext) -> StudyBench:
    """For worker processes."""
    results.SYNC_S = 0.0
    return StudyBench(context)


def stack_that_raises(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on heads that learn side by side meet an error, and one alone learns as ever."""

    def fit(rows: Sequence[StackedRow], *args: Any, **given: Any) -> Any:
        if len(rows) > 1:
            raise error
        return fit_stacked(rows, *args, **given)

    monkeypatch.setattr(heads, "fit_stacked", fit)


def three_heads() -> Job:
    linear = recipe(head_params={"dropout": 0.2}, learning_rate=0.1)
    plans = [
        recipe(head="mlp", head_params={"hidden": 4}, start="random"),
        linear,
        replace(linear, label_smoothing=0.1),
    ]
    return job(*(row(plan, trial) for trial, plan in enumerate(plans)))


def events_until_end(executor: LocalExecutor) -> list[WorkerEvent]:
    events: list[WorkerEvent] = []
    while not any(isinstance(event, JobEnded) for event in events):
        events += executor.poll(1.0)
    return events


def test_a_head_is_told_before_the_next_ones_are_trained(context: WorkerContext) -> None:
    events: list[EpochRecord | RowResult | Progress] = []
    StudyBench(context).run(three_heads(), events.append)
    told = [event for event in events if not isinstance(event, Progress)]
    kinds = [(kind.__name__, {event.trial for event in some}) for kind, some in groupby(told, key=type)]
    assert kinds == [("EpochRecord", {0}), ("RowResult", {0}), ("EpochRecord", {1, 2}), ("RowResult", {1, 2})]


def test_a_device_that_is_lost_under_several_rows_is_no_ones_fault(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack_that_raises(torch.AcceleratorError("CUDA error: device-side assert triggered"), monkeypatch)
    events: list[EpochRecord | RowResult | Progress] = []
    with pytest.raises(DeviceLostError, match="AcceleratorError: CUDA error: device-side assert triggered") as lost:
        StudyBench(context).run(three_heads(), events.append)
    assert lost.value.result is None
    told = [(event.trial, event.state) for event in events if isinstance(event, RowResult)]
    assert told == [(0, TrialState.COMPLETED)]


def test_a_disk_that_is_full_under_several_rows_fails_none(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack_that_raises(StoreError("cannot write"), monkeypatch)
    events: list[EpochRecord | RowResult | Progress] = []
    with pytest.raises(StoreError, match="cannot write"):
        StudyBench(context).run(three_heads(), events.append)
    assert [event.trial for event in events if isinstance(event, RowResult)] == [0]


def test_where_rows_cannot_learn_side_by_side_each_has_its_own_result_and_time(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, _ = do(StudyBench(context), three_heads())
    assert [result.side_by_side for result in together] == [1, 2, 2]
    stack_that_raises(RuntimeError("no such kernel"), monkeypatch)
    apart, epochs = do(StudyBench(context), three_heads())
    assert [(result.trial, result.state) for result in apart] == [(n, TrialState.COMPLETED) for n in range(3)]
    assert [result.score for result in apart] == [result.score for result in together]
    assert [result.side_by_side for result in apart] == [1, 1, 1]
    assert len({(e.trial, e.fold, e.epoch) for e in epochs}) == len(epochs) == 3 * 2 * 4


def test_a_head_that_diverges_beside_others_says_with_how_many_it_shared_its_time(context: WorkerContext) -> None:
    wild = recipe(start="random", optimizer="sgd", clip_norm=None, learning_rate=1e30)
    told, _ = do(StudyBench(context), job(row(wild), row(replace(wild, label_smoothing=0.1), 1), row(recipe(), 2)))
    assert [(result.state, result.side_by_side) for result in told] == [
        (TrialState.FAILED, 2),
        (TrialState.FAILED, 2),
        (TrialState.COMPLETED, 1),
    ]


def test_heads_that_learned_before_one_killed_their_worker_are_kept_and_the_next_job_works(
    context: WorkerContext, tmp_path: Path
) -> None:
    deadly = row(recipe(head="deadly", start="random"), 3)
    opens = "test_groups_of_heads:open_that_syncs_at_once"
    with LocalExecutor([context], results=tmp_path / "results", logs=tmp_path / "logs", workbench=opens) as executor:
        executor.submit(job(*three_heads().rows, deadly, row(recipe(head="mlp"), 4)))
        events = events_until_end(executor)
        executor.submit(replace(job(row(recipe(), 5)), id="another"))
        again = events_until_end(executor)
    assert [event.trial for event in events if isinstance(event, RowResult)] == [0, 1, 2]
    assert [line.trial for line in results.read_results(tmp_path / "results" / "job.jsonl")] == [0, 1, 2]
    assert isinstance(end := events[-1], JobEnded)
    assert (end.job, end.reason) == ("job", FailureReason.KILLED)
    assert [event.trial for event in again if isinstance(event, RowResult)] == [5]
