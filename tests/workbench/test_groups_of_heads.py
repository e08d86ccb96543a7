"""Jobs of heads alone end group by group; what befalls heads that learn side by side befalls no others."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import pytest
import torch
from engine_world import do, job, recipe, row

from tlsearch.errors import StoreError
from tlsearch.records import EpochRecord, TrialState
from tlsearch.training import heads
from tlsearch.training.stacked import StackedRow, fit_stacked
from tlsearch.work import Job, Progress, RowResult, WorkerContext
from tlsearch.workbench.bench import StudyBench
from tlsearch.workbench.scoring import DeviceLostError


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
    results = [(event.trial, event.state) for event in events if isinstance(event, RowResult)]
    assert results == [(0, TrialState.COMPLETED)]


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
    results, epochs = do(StudyBench(context), three_heads())
    assert [(result.trial, result.state) for result in results] == [(n, TrialState.COMPLETED) for n in range(3)]
    assert [result.score for result in results] == [result.score for result in together]
    assert [result.side_by_side for result in results] == [1, 1, 1]
    assert len({(e.trial, e.fold, e.epoch) for e in epochs}) == len(epochs) == 3 * 2 * 4
