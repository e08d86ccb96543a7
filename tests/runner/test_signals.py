"""Stopped by a signal: the right exit code, the command that continues, nobody left behind, and nothing lost."""

import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from command_run import Strike, Study
from runner_world import NETS, write_study

from tlsearch.records import FailureReason, TrialState
from tlsearch.store.reading import StoreReader


@pytest.fixture
def study(tmp_path: Path, photos: Path) -> Study:
    file = write_study(tmp_path, photos)
    arguments = [file.name, "--set", "study.budget.trials=6", "--plugin", str(NETS)]
    return Study(folder=tmp_path, name="tiny", arguments=arguments, environment={"TLSEARCH_CACHE": str(tmp_path / "c")})


@pytest.fixture
def slow_study(study: Study) -> Study:
    """One whose trials take longer than a person waits."""
    slow = ["--set", "search.epochs.high=900000", "--set", "search.epochs.low=800000", "--set", "run.grace=10m"]
    return replace(study, arguments=[*study.arguments, *slow])


@pytest.mark.full
def test_each_signal_stops_the_run_and_the_printed_command_continues_it(study: Study) -> None:
    for signum, moment, exit_code in (
        (signal.SIGINT, {"repeat": 0}, 130),  # in training
        (signal.SIGTERM, {"repeat": 1}, 143),  # in a confirmation
        (signal.SIGHUP, {"fold": -1}, 129),  # in the final fit
    ):
        code = study.run_struck(Strike(signum, "epoch", moment))
        assert code == exit_code
        assert f"stopped by {signum.name}" in study.said
        assert f"continue with: tlsearch run {' '.join(study.arguments)}" in " ".join(study.said.split())
        assert "Traceback" not in study.said
        assert study.nothing_is_left_running()
    assert study.run() == 0, study.said
    with StoreReader.open(study.store_url) as store:
        trials, attempts = store.trials("tiny"), store.attempts("tiny")
    assert sum(trial.counted for trial in trials) == 6
    assert all(trial.state in (TrialState.COMPLETED, TrialState.PRUNED) for trial in trials)
    stopped = 2  # the trial in work, and the one that was asked for meanwhile
    assert Counter(attempt.reason for attempt in attempts) <= Counter({None: 7, FailureReason.STOPPED: stopped})


def test_a_second_signal_waits_for_nothing(slow_study: Study) -> None:
    with slow_study.started() as process:
        lines = slow_study.new_lines(process)
        next(line for line in lines if line["kind"] == "epoch" and line["epoch"] > 20)  # beyond the baseline
        process.send_signal(signal.SIGINT)
        next(line for line in lines if line["kind"] == "run_stopped")
        assert process.poll() is None  # a trial is in work, and may end
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert "stopping" in slow_study.said
    assert "stopped by" not in slow_study.said
    assert slow_study.nothing_is_left_running()


def test_a_trial_that_outlasts_the_grace_time_is_ended_with_it(slow_study: Study) -> None:
    impatient = replace(slow_study, arguments=[*slow_study.arguments, "--set", "run.grace=1s"])
    assert impatient.run_struck(Strike(signal.SIGTERM, "epoch", {"epoch": 21})) == 143
    assert impatient.nothing_is_left_running()


def test_a_study_that_is_refused_leaves_no_worker_and_no_folder(study: Study) -> None:
    refused = replace(study, arguments=[*study.arguments, "--set", "search.epochs.high=none"])
    assert refused.run() == 2
    assert refused.nothing_is_left_running()
    assert not (study.folder / "runs").exists()
