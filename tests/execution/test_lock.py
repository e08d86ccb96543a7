"""One coordinator a study."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tlsearch.errors import BusyError, StoreError
from tlsearch.execution.lock import StudyLock

COORDINATE = """
import sys
from pathlib import Path
from tlsearch.errors import TlsearchError
from tlsearch.execution.lock import StudyLock
try:
    with StudyLock(Path(sys.argv[1])):
        print("runs", flush=True)
        sys.stdin.read()
except TlsearchError as error:
    print(error.message, flush=True)
    sys.exit(error.exit_code)
"""


@contextmanager
def coordinator(path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", COORDINATE, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("attempt", range(5))
def test_of_two_coordinators_started_together_one_runs(tmp_path: Path, attempt: int) -> None:
    path = tmp_path / "study.lock"
    with coordinator(path) as one, coordinator(path) as other:
        said = {first_line(one): one, first_line(other): other}
        winner = said.pop("runs")
        (complaint, loser), *_ = said.items()
        assert f"process {winner.pid} on {socket.gethostname()}" in complaint
        assert loser.wait(timeout=10) == 75
        assert winner.poll() is None


def test_a_second_coordinator_learns_who_runs_the_study_and_since_when(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "study.lock"
    with StudyLock(path), pytest.raises(BusyError, match=rf"process {os.getpid()} on .* since 20\d\d-") as told:
        StudyLock(path).acquire()
    assert told.value.exit_code == 75
    assert told.value.hint is not None


def test_the_lock_is_free_after_its_holder_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "study.lock"
    with coordinator(path) as holder:
        assert first_line(holder) == "runs"
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=10)
        with StudyLock(path):
            pass


def test_the_lock_can_be_taken_again_after_its_release(tmp_path: Path) -> None:
    signature = tmp_path / "study.lock.holder"
    for _ in range(2):
        with StudyLock(tmp_path / "study.lock"):
            assert json.loads(signature.read_text())["pid"] == os.getpid()
        assert not signature.exists()


def test_a_lock_that_nobody_could_sign_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "study.lock"
    (tmp_path / f"study.lock.holder.{os.getpid()}").mkdir()  # in the way of its own draft
    with pytest.raises(StoreError, match="cannot lock the study"):
        StudyLock(path).acquire()
    (tmp_path / f"study.lock.holder.{os.getpid()}").rmdir()
    with StudyLock(path):
        pass


@pytest.mark.parametrize("folder", ["/proc", "file"])  # the first says that there is no such file, whoever asks
def test_a_place_that_cannot_hold_a_lock_is_named(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot lock the study"):
        StudyLock(tmp_path / folder / "study.lock").acquire()
