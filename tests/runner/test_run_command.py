"""`tlsearch run` from its file to its exit code, in this process, with real workers."""

import json
import os
import shlex
from pathlib import Path

import pytest
from runner_world import NETS, write_study

from tlsearch.cli import main
from tlsearch.execution.lock import StudyLock
from tlsearch.records import TrialState
from tlsearch.store.reading import StoreReader


@pytest.fixture(autouse=True)
def here(tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TLSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TLSEARCH_OFFLINE", "1")
    write_study(tmp_path, photos)
    return tmp_path


def run(*overrides: str, more: tuple[str, ...] = ()) -> int:
    options = [part for override in overrides for part in ("--set", override)]
    return main(["run", "tiny.toml", "--plugin", str(NETS), *options, *more])


def test_a_study_is_run_and_told_then_it_is_complete_and_a_changed_one_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("study.budget.trials=3") == 0
    first = capsys.readouterr().out
    assert "nothing is left to run" not in first
    assert "a plain probe" in first
    assert run("study.budget.trials=3") == 0
    assert "study 'tiny' is complete: nothing is left to run, and nothing was repeated" in capsys.readouterr().out
    assert run("study.budget.trials=3", "study.seed=9") == 2
    refused = capsys.readouterr().err
    assert "study 'tiny' is stored with another definition: study.seed was 3, is 9" in refused
    assert "--new-study NAME" in refused


def test_the_command_that_is_printed_at_the_end_finds_the_same_store_and_plugins(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{here / 'my store.db'}"
    assert run("study.budget.trials=1", more=("--store", url, "--new-study", "2")) == 0
    (printed,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("next: tlsearch ")]
    command = shlex.split(printed)[2:]
    assert command == ["export-best", "2", "--store", url, "--plugin", str(NETS), "--to", "DIR"]
    assert main([*command, "--format", "safetensors"]) == 0
    (printed,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("wrote ")]
    assert printed == "wrote DIR"


def test_a_study_that_another_process_runs_is_left_alone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with StudyLock(here / "runs" / "tiny" / "tiny.lock"):
        assert run() == 75
    told = capsys.readouterr().err
    assert f"process {os.getpid()} on " in told
    assert "runs this study since" in told


def test_a_store_elsewhere_is_locked_there_so_that_two_folders_share_no_study(
    here: Path, monkeypatch: pytest.MonkeyPatch, photos: Path
) -> None:
    other = here / "other"
    other.mkdir()
    with StudyLock(here / "tiny.lock"):
        monkeypatch.chdir(other)
        write_study(other, photos)
        assert run(more=("--store", f"sqlite:///{here / 'shared.db'}")) == 75


def test_a_study_under_a_new_name_whose_trials_fail_from_the_start_stops_itself(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run('search.heads=["failing"]', "baselines=[]", more=("--new-study", "other")) == 4
    assert [path.parent.name for path in Path("runs").glob("*/study.db")] == ["other"]
    told = capsys.readouterr().err
    assert "5 of 5 trials failed; the last one: exception: ZeroDivisionError: this head never fits" in told
    assert "hint:" in told
    assert "Traceback" not in told


@pytest.mark.full
def test_a_backbone_that_kills_its_worker_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = NETS.read_text().replace("        from torch import nn\n", "        import os; os._exit(7)\n", 1)
    (here / "deadly.py").write_text(text)
    assert main(["run", "tiny.toml", "--plugin", "deadly.py"]) == 2
    told = capsys.readouterr().err
    assert "backbone 'tiny_a' cannot be used: the worker exited with code 7" in told


@pytest.mark.full
def test_a_trial_that_kills_its_worker_fails_alone(here: Path) -> None:
    body = 'raise ZeroDivisionError("this head never fits")'
    (here / "deadly.py").write_text(NETS.read_text().replace(body, "import os; os._exit(7)"))
    study = Path("tiny.toml")
    heads = json.dumps(["linear", "failing"])
    study.write_text(study.read_text().replace('heads = ["linear"]', f"heads = {heads}"))
    assert main(["run", "tiny.toml", "--plugin", "deadly.py", "--set", "study.budget.trials=3"]) == 0
    with StoreReader.open("sqlite:///runs/tiny/study.db") as store:
        trials, attempts = store.trials("tiny"), store.attempts("tiny")
    (failed,) = [trial for trial in trials if trial.state is TrialState.FAILED]
    assert failed.reason == "exited"
    assert [a.attempt for a in attempts if a.trial == failed.number] == [1, 2, 3]
    assert sum(trial.state is TrialState.COMPLETED for trial in trials) == 3  # the baseline, and each network's first
