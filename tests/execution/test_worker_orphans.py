"""A coordinator that is killed leaves nobody behind."""

import signal
import subprocess
import sys
from pathlib import Path

from worker_helpers import becomes_true, is_running

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
