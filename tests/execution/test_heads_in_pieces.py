"""Heads of a job end group by group: what has ended is on the disk before long, in few writes, and survives a kill."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_workbench import context, head_job
from worker_helpers import ends, events_until_end, results

from tlsearch.execution.local import LocalExecutor
from tlsearch.execution.results import read_results
from tlsearch.records import EpochRecord, FailureReason, TrialState

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the name of an open file is asked of /proc")
AT_ONCE = "fake_workbench:open_that_syncs_at_once"
EVERY_TWO_SECONDS = "fake_workbench:open_that_notes_writes"
ALONE, BESIDE_TWO = {"beside": 1}, {"beside": 3}

MakeExecutor = Callable[..., LocalExecutor]


@pytest.mark.parametrize("row", [ALONE, BESIDE_TWO], ids=["alone", "side by side"])
def test_heads_that_ended_before_their_worker_was_killed_are_on_the_disk_and_told(
    make_executor: MakeExecutor, tmp_path: Path, row: dict[str, Any]
) -> None:
    executor = make_executor(context(models=str(tmp_path / "notes")), workbench=AT_ONCE)
    executor.submit(head_job("j1", row, row, row, {**ALONE, "does": "is killed"}, ALONE))
    events = events_until_end(executor)
    assert [(result.trial, result.state) for result in results(events)] == [(n, TrialState.COMPLETED) for n in range(3)]
    assert [line.trial for line in read_results(tmp_path / "results" / "j1.jsonl")] == [0, 1, 2]
    (end,) = ends(events)
    assert (end.reason, end.blamed) == (FailureReason.KILLED, 3)


@pytest.mark.parametrize(("workbench", "written"), [(EVERY_TWO_SECONDS, [6]), (AT_ONCE, [3, 4, 5, 6])])
def test_heads_that_end_together_are_synced_together(
    make_executor: MakeExecutor, tmp_path: Path, workbench: str, written: list[int]
) -> None:
    notes = tmp_path / "notes"
    executor = make_executor(context(models=str(notes)), workbench=workbench)
    executor.submit(head_job("j1", BESIDE_TWO, BESIDE_TWO, BESIDE_TWO, ALONE, ALONE, ALONE))
    events = events_until_end(executor)
    assert [result.trial for result in results(events)] == list(range(6))
    assert list(map(int, notes.read_text().split())) == written


def test_a_head_that_failed_is_written_with_those_that_learned_beside_it(
    make_executor: MakeExecutor, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    executor = make_executor(context(models=str(notes)), workbench=AT_ONCE)
    executor.submit(head_job("j1", {**BESIDE_TWO, "does": "raises"}, BESIDE_TWO, BESIDE_TWO, ALONE, ALONE))
    told = results(events_until_end(executor))
    assert [result.state for result in told] == [TrialState.FAILED] + [TrialState.COMPLETED] * 4
    assert list(map(int, notes.read_text().split())) == [3, 4, 5]


@pytest.mark.parametrize(("row", "in_work"), [(ALONE, 1), (BESIDE_TWO, 3)], ids=["alone", "side by side"])
def test_closing_lets_the_heads_in_work_end_and_begins_no_others(
    make_executor: MakeExecutor, tmp_path: Path, row: dict[str, Any], in_work: int
) -> None:
    executor = make_executor(context(models=str(tmp_path / "notes")), workbench=EVERY_TWO_SECONDS)
    executor.submit(head_job("j1", *[{**row, "takes": 1.2 / in_work}] * 6))
    while not any(isinstance(event, EpochRecord) for event in executor.poll(1.0)):
        pass
    executor.close(grace_s=20)
    assert [line.trial for line in read_results(tmp_path / "results" / "j1.jsonl")] == list(range(in_work))
