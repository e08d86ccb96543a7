"""A coordinator that is killed leaves nobody behind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from fake_workbench import context, job
from worker_helpers import becomes_true, is_running

from tlsearch.execution.results import read_results, results_file
from tlsearch.records import EpochRecord, FailureReason, TrialState
from tlsearch.work import Job, Progress, RowResult, WorkerContext

COORDINATE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from fake_workbench import context, job
from tlsearch.execution.local import LocalExecutor
folder = Path(sys.argv[1])
executor = LocalExecutor([context(), context()], results=folder, logs=folder, workbench="fake_workbench:open_workbench")
for number in range(2):
    executor.submit(job(f"j{number}", {"does": "forks", "pid_file": str(folder / f"pids{number}"), "then": "hangs"}))
while True:
    executor.poll(1.0)
"""


def test_children_and_grandchildren_of_a_killed_coordinator_are_gone_within_two_seconds(tmp_path: Path) -> None:
    notes = [tmp_path / "pids0", tmp_path / "pids1"]
    command = [sys.executable, "-c", COORDINATE, str(tmp_path), str(Path(__file__).parent)]
    with subprocess.Popen(command) as coordinator:
        try:
            assert becomes_true(lambda: all(note.exists() for note in notes), within_s=60)
            pids = [int(pid) for note in notes for pid in note.read_text().split()]
            assert all(is_running(pid) for pid in pids)
        finally:
            coordinator.send_signal(signal.SIGKILL)
    assert becomes_true(lambda: not any(is_running(pid) for pid in pids), within_s=2)


class Interrupted:
    """A workbench that catches what a trial raises, and writes it down as that trial's failure, as ours does."""

    def run(self, job: Job, emit: Callable[[EpochRecord | RowResult | Progress], None]) -> None:
        (row,) = job.rows
        epoch = EpochRecord(trial=0, attempt=1, repeat=0, fold=0, epoch=0, train_loss=1.0, seconds=0.0)
        try:
            emit(epoch)
        except Exception as error:
            emit(RowResult.of(job, row, TrialState.FAILED, reason=FailureReason.EXCEPTION, detail=repr(error)))


def open_interrupted(_: WorkerContext) -> Interrupted:
    return Interrupted()


def test_a_coordinator_that_is_gone_is_no_failure_of_the_trial_that_was_in_work(tmp_path: Path) -> None:
    orders = [
        {
            "order": "open",
            "context": context().to_json(),
            "results": str(tmp_path),
            "workbench": "test_worker_orphans:open_interrupted",
        },
        {"order": "job", "job": job("j0", {}).to_json()},
    ]
    command = [sys.executable, "-m", "tlsearch.execution.worker"]
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    worker = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=here, start_new_session=True, text=True
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(json.dumps(orders[0]) + "\n")
    worker.stdin.flush()
    assert json.loads(worker.stdout.readline())["event"] == "ready"
    worker.stdout.close()  # nobody listens any more, though the orders' pipe is still open
    worker.stdin.write(json.dumps(orders[1]) + "\n")
    worker.stdin.flush()
    assert worker.wait(timeout=30) == -signal.SIGKILL
    worker.stdin.close()
    assert read_results(results_file(tmp_path, "j0")) == []
