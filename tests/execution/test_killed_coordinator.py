"""Kill the coordinator, run the same command again: nothing is lost, nothing is done twice."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import pytest
from mini_coordinator import TRIALS
from worker_helpers import becomes_true

from tlsearch.records import FailureReason, TrialState
from tlsearch.store.reading import StoreReader


@contextmanager
def coordinator(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    script = Path(__file__).parent / "mini_coordinator.py"
    with subprocess.Popen([sys.executable, str(script), str(folder)], env=dict(os.environ)) as process:
        try:
            yield process
        finally:
            process.kill()


def completed(folder: Path) -> int:
    """Trials that are completed by now, as a report would see them."""
    if not (folder / "study.db").exists():
        return 0
    with StoreReader.open(f"sqlite:///{folder / 'study.db'}") as store:
        if store.study("fake") is None:
            return 0
        return sum(trial.state is TrialState.COMPLETED for trial in store.trials("fake"))


def lines_on_disk(folder: Path) -> int:
    return sum(file.read_bytes().count(b"\n") for file in (folder / "results").glob("*.jsonl"))


@pytest.mark.full
def test_a_study_killed_again_and_again_ends_with_each_trial_completed_once(tmp_path: Path) -> None:
    with coordinator(tmp_path) as process:
        assert becomes_true(lambda: lines_on_disk(tmp_path) >= 1, within_s=60)  # before or after it is told
        process.send_signal(signal.SIGKILL)
    for told in (5, 11):
        with coordinator(tmp_path) as process:
            assert becomes_true(lambda told=told: completed(tmp_path) >= told, within_s=60)
            process.send_signal(signal.SIGKILL)
    with coordinator(tmp_path) as process:
        assert process.wait(timeout=60) == 0

    with StoreReader.open(f"sqlite:///{tmp_path / 'study.db'}") as store:
        trials, attempts = store.trials("fake"), store.attempts("fake")
        assert [trial.state for trial in trials] == [TrialState.COMPLETED] * TRIALS
        assert len(store.predictions("fake")) == TRIALS
    for _, group in groupby(attempts, key=lambda attempt: attempt.trial):
        *lost, last = list(group)
        assert [attempt.attempt for attempt in [*lost, last]] == list(range(1, len(lost) + 2))
        assert last.reason is None
        assert last.ended is not None
        assert all(attempt.reason is FailureReason.INTERRUPTED for attempt in lost)
    connection = sqlite3.connect(tmp_path / "study.db")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
