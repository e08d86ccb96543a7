"""Worker processes that do their work, and what comes of those that don't."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_workbench import context, head_job, job
from worker_helpers import becomes_true, ends, events_until_end, is_running, results

from tlsearch.errors import TlsearchError
from tlsearch.execution.local import LocalExecutor
from tlsearch.execution.results import read_results
from tlsearch.records import EpochRecord, FailureReason, TrialState
from tlsearch.work import JobEnded

MakeExecutor = Callable[..., LocalExecutor]


def test_a_job_tells_its_epochs_and_results_and_then_its_end(executor: LocalExecutor, tmp_path: Path) -> None:
    executor.submit(job("j1", {"score": 0.25}, {"score": 0.5}))
    events = events_until_end(executor)
    assert [type(event).__name__ for event in events] == ["EpochRecord", "RowResult"] * 2 + ["JobEnded"]
    assert events[-1] == JobEnded(job="j1")
    assert [result.score for result in results(events)] == [0.25, 0.5]
    written = read_results(tmp_path / "results" / "j1.jsonl")
    for line, told in zip(written, results(events), strict=True):
        np.testing.assert_array_equal(line.log_probs, told.log_probs)


def test_a_warm_worker_takes_the_next_job_at_once(executor: LocalExecutor) -> None:
    executor.submit(job("warm-up", {}))
    events_until_end(executor)
    began = time.monotonic()
    for number in range(5):
        executor.submit(job(f"j{number}", {}))
    assert len(results(events_until_end(executor, jobs=5))) == 5
    assert time.monotonic() - began < 5  # five cold starts take longer


def test_two_workers_share_the_jobs(make_executor: MakeExecutor, tmp_path: Path) -> None:
    executor = make_executor(context(), context())
    assert executor.capacity == 2
    for number in range(6):
        executor.submit(job(f"j{number}", {}, {}))
    told = events_until_end(executor, jobs=6)
    assert {end.job for end in ends(told)} == {f"j{number}" for number in range(6)}
    assert len(results(told)) == 12
    assert len(list((tmp_path / "logs").glob("worker-*.log"))) == 2


def test_poll_waits_no_longer_than_it_may(executor: LocalExecutor) -> None:
    began = time.monotonic()
    assert executor.poll(0.1) == []
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("does", "reason", "says"),
    [
        ("leaves", FailureReason.EXITED, "exited with code 3"),
        ("leaves at once", FailureReason.EXITED, "exited with code 0"),
        ("segfaults", FailureReason.CRASHED, "SIGSEGV); its last words: Fatal Python error: Segmentation fault"),
        ("is killed", FailureReason.KILLED, "SIGKILL"),
        ("hangs", FailureReason.TIMEOUT, "no result within 1 s"),
        ("breaks the workbench", FailureReason.EXCEPTION, "BrokenWorkbenchError: the device is gone"),
    ],
)
def test_a_worker_that_dies_says_why_and_the_next_job_works(
    executor: LocalExecutor, does: str, reason: FailureReason, says: str
) -> None:
    executor.submit(job("bad", {}, {"does": does}, {}, timeout_s=1.0))
    events = events_until_end(executor)
    (end,) = ends(events)
    assert (end.job, end.reason, end.blamed) == ("bad", reason, 1)
    assert says in end.detail
    assert "\n" not in end.detail
    assert [result.trial for result in results(events)] == [0]
    executor.submit(job("good", {}))
    assert events_until_end(executor)[-1] == JobEnded(job="good")


def test_rows_that_end_together_share_the_time_of_all_of_them(executor: LocalExecutor) -> None:
    executor.submit(head_job("slow", *[{"takes": 0.6}] * 4, timeout_s=1.0))
    events = events_until_end(executor)
    assert events[-1] == JobEnded(job="slow")
    assert [result.state for result in results(events)] == [TrialState.COMPLETED] * 4
    executor.submit(head_job("endless", {"more_epochs": 1000}, {}, timeout_s=0.5))
    (end,) = ends(events_until_end(executor))
    assert (end.reason, end.detail) == (FailureReason.TIMEOUT, "no result within 1 s")


def test_rows_that_end_together_are_stuck_when_they_tell_nothing_for_the_time_of_one(executor: LocalExecutor) -> None:
    executor.submit(head_job("stuck", *[{}] * 100, {"does": "hangs"}, {}, timeout_s=1.0))
    (end,) = ends(events_until_end(executor))
    assert (end.reason, end.blamed) == (FailureReason.TIMEOUT, None)
    assert end.detail == "neither an epoch nor a result within 1 s"


def test_a_pass_over_the_pictures_is_on_no_rows_clock(executor: LocalExecutor) -> None:
    executor.submit(job("first", {"passes": 20}, timeout_s=1.0))
    events = events_until_end(executor)
    assert events[-1] == JobEnded(job="first")
    assert [result.state for result in results(events)] == [TrialState.COMPLETED]
    executor.submit(job("stuck", {"passes": 1, "does": "hangs"}, timeout_s=0.5))
    assert ends(events_until_end(executor))[0].reason is FailureReason.TIMEOUT


def test_a_worker_that_lost_its_device_is_replaced_and_only_the_row_in_work_failed(executor: LocalExecutor) -> None:
    executor.submit(job("bad", {}, {"does": "loses the device"}, {}))
    events = events_until_end(executor)
    assert [(r.trial, r.state) for r in results(events)] == [(0, TrialState.COMPLETED), (1, TrialState.FAILED)]
    (end,) = ends(events)
    assert (end.reason, end.detail) == (FailureReason.EXCEPTION, "DeviceGoneError: device-side assert")
    executor.submit(job("good", {}))
    assert events_until_end(executor)[-1] == JobEnded(job="good")


def test_a_disk_that_fills_up_under_a_worker_stops_the_study_and_no_row_failed(
    executor: LocalExecutor, tmp_path: Path
) -> None:
    executor.submit(job("j1", {}, {"does": "meets a full disk"}))
    with pytest.raises(TlsearchError, match="cannot write the cache") as told:
        events_until_end(executor)
    assert (told.value.exit_code, told.value.hint) == (3, "make room")
    assert [result.trial for result in read_results(tmp_path / "results" / "j1.jsonl")] == [0]


@pytest.mark.parametrize("does", ["prints", "prints nonsense"])
def test_what_a_row_prints_never_meets_the_results(executor: LocalExecutor, tmp_path: Path, does: str) -> None:
    executor.submit(job("loud", {"does": does}, {}))
    events = events_until_end(executor)
    assert events[-1] == JobEnded(job="loud")
    assert [result.state for result in results(events)] == [TrialState.COMPLETED] * 2
    executor.close()
    logs = list((tmp_path / "logs").iterdir())
    assert 0 < sum(log.stat().st_size for log in logs) < 3_000_000


def test_a_row_that_raises_fails_alone(executor: LocalExecutor) -> None:
    executor.submit(job("j1", {"does": "raises"}, {}))
    first, second = results(events_until_end(executor))
    assert (first.state, first.reason, first.detail) == (TrialState.FAILED, FailureReason.EXCEPTION, "a bad trial")
    assert second.state is TrialState.COMPLETED


def test_a_score_that_is_not_finite_fails_before_it_is_written(executor: LocalExecutor, tmp_path: Path) -> None:
    executor.submit(job("j1", {"score": float("nan")}))
    (told,) = results(events_until_end(executor))
    assert (told.state, told.reason) == (TrialState.FAILED, FailureReason.NON_FINITE)
    assert read_results(tmp_path / "results" / "j1.jsonl") == [told]


@pytest.mark.parametrize("then", ["is killed", "hangs"])
def test_a_grandchild_goes_with_its_worker(executor: LocalExecutor, tmp_path: Path, then: str) -> None:
    note = tmp_path / "pids"
    executor.submit(job("j1", {"does": "forks", "pid_file": str(note), "then": then}, timeout_s=1.0))
    assert ends(events_until_end(executor))[0].reason in (FailureReason.KILLED, FailureReason.TIMEOUT)
    worker, grandchild = map(int, note.read_text().split())
    assert becomes_true(lambda: not is_running(worker) and not is_running(grandchild), within_s=2)


def test_seven_of_sixteen_lines_are_told_when_the_worker_dies(executor: LocalExecutor, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{}] * 7 + [{"does": "is killed"}] + [{}] * 8
    executor.submit(job("j1", *rows))
    events = events_until_end(executor)
    assert [result.trial for result in results(events)] == list(range(7))
    assert [result.trial for result in read_results(tmp_path / "results" / "j1.jsonl")] == list(range(7))
    assert ends(events)[0].blamed == 7


def test_closing_lets_the_row_in_work_end_and_starts_no_other(executor: LocalExecutor, tmp_path: Path) -> None:
    executor.submit(job("j1", *[{}] * 200))
    while not results(list(executor.poll(1.0))):
        pass
    began = time.monotonic()
    executor.close(grace_s=20)
    assert time.monotonic() - began < 10
    assert 1 <= len(read_results(tmp_path / "results" / "j1.jsonl")) < 200


def test_closing_loses_no_result_of_rows_that_end_together(executor: LocalExecutor, tmp_path: Path) -> None:
    executor.submit(head_job("j1", *[{}] * 8))
    while not any(isinstance(event, EpochRecord) for event in executor.poll(1.0)):
        pass
    executor.close(grace_s=20)
    assert [result.trial for result in read_results(tmp_path / "results" / "j1.jsonl")] == list(range(8))


def test_closing_waits_no_longer_than_the_grace(executor: LocalExecutor, tmp_path: Path) -> None:
    note = tmp_path / "pids"
    executor.submit(job("j1", {"does": "forks", "pid_file": str(note), "then": "hangs"}))
    while not any(isinstance(event, EpochRecord) for event in executor.poll(1.0)):
        pass
    assert becomes_true(note.exists, within_s=10)
    began = time.monotonic()
    executor.close(grace_s=0.3)
    assert time.monotonic() - began < 3
    assert becomes_true(lambda: not any(is_running(int(pid)) for pid in note.read_text().split()), within_s=2)


def test_another_version_of_a_plugin_is_refused_before_the_workbench_is_opened(make_executor: MakeExecutor) -> None:
    other = context(versions={"numpy": "0.0.1", "no-such-plugin": "1.0"})
    executor = make_executor(other, workbench="fake_workbench:open_never")
    executor.submit(job("j1", {}))
    began = time.monotonic()
    with pytest.raises(TlsearchError, match=r"numpy is .* here and 0\.0\.1 .*no-such-plugin is none here") as told:
        events_until_end(executor)
    assert time.monotonic() - began < 5
    assert told.value.exit_code == 2


def test_another_dataset_is_refused_in_its_own_words(make_executor: MakeExecutor) -> None:
    executor = make_executor(workbench="fake_workbench:open_on_changed_data")
    with pytest.raises(TlsearchError, match="the pictures changed") as told:
        events_until_end(executor)
    assert told.value.hint == "start another study"


@pytest.mark.parametrize(
    ("workbench", "says"),
    [
        ("fake_workbench:open_broken", "a worker cannot start: RuntimeError: no such kernel"),
        ("fake_workbench:open_never", "a worker cannot start: no result within 1.5 s"),
        ("no_such_module:open_workbench", "a worker cannot start: ModuleNotFoundError"),
    ],
)
def test_a_workbench_that_cannot_be_opened_stops_the_study(
    make_executor: MakeExecutor, workbench: str, says: str
) -> None:
    executor = make_executor(workbench=workbench, start_timeout_s=1.5 if "never" in workbench else 60)
    with pytest.raises(TlsearchError, match=says) as told:
        events_until_end(executor)
    assert told.value.hint is not None
    assert "worker-0.log" in told.value.hint


def test_a_worker_starts_with_the_backend_and_the_import_path_of_its_coordinator(executor: LocalExecutor) -> None:
    executor.submit(job("j1", {"does": "tells its surroundings"}))
    (told,) = results(events_until_end(executor))
    assert told.detail == f"torch 1 {sys.executable}"
