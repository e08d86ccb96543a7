"""Jobs in this very process."""

from pathlib import Path

import pytest
from fake_workbench import FakeWorkbench, context, job

from tlsearch.execution.inline import InlineExecutor
from tlsearch.execution.results import read_results
from tlsearch.records import FailureReason
from tlsearch.work import JobEnded, RowResult


def test_each_poll_runs_one_job_and_returns_all_of_its_events(tmp_path: Path) -> None:
    executor = InlineExecutor(FakeWorkbench(context()), results=tmp_path)
    executor.submit(job("j1", {}, {"score": float("inf")}))
    executor.submit(job("j2", {}))
    events = executor.poll(0.0)
    told = [event for event in events if isinstance(event, RowResult)]
    assert [result.reason for result in told] == [None, FailureReason.NON_FINITE]
    assert events[-1] == JobEnded(job="j1")
    assert len(read_results(tmp_path / "j1.jsonl")) == 2
    assert executor.poll(0.0)[-1] == JobEnded(job="j2")
    assert executor.poll(0.0) == []


def test_a_fault_of_the_workbench_is_raised_where_it_can_be_debugged() -> None:
    executor = InlineExecutor(FakeWorkbench(context()))
    executor.submit(job("j1", {"does": "leaves"}))
    with pytest.raises(SystemExit):
        executor.poll(0.0)


def test_a_closed_executor_runs_nothing_more() -> None:
    executor = InlineExecutor(FakeWorkbench(context()))
    executor.submit(job("j1", {}))
    executor.close(0.0)
    assert executor.poll(0.0) == []
