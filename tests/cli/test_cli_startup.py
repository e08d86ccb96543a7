"""What a command loads before it does anything: nobody waits for a framework that is not used."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import tlsearch
from tlsearch.cli.app import COMMANDS
from tlsearch.hookspecs import hookimpl
from tlsearch.params import Params
from tlsearch.records import StudyRecord
from tlsearch.store.store import Store
from written_study import WrittenStudy

FRAMEWORKS = ("torch", "torchvision", "keras", "tensorflow", "onnx", "onnxruntime")
LIBRARIES = (*FRAMEWORKS, "optuna", "sqlalchemy", "numpy", "sklearn", "PIL")
CONTEXT = {
    "classes": ["ann", "bob"],
    "metric": "accuracy",
    "labels": [0, 1],
    "files": ["ann/0.png", "bob/0.png"],
    "n_development": 2,
    "n_holdout": 0,
    "folds": 2,
    "notes": [],
    "left_out": [],
    "findings": {},
    "backbones": {},
}
NO_WORKER = "from tlsearch.execution.pool import WorkerPool; WorkerPool.start_first = None\n"  # it would load torch
STUDY = StudyRecord(
    name="mine",
    config={"study": {"budget": {"trials": 60}}},
    definition={},
    context=CONTEXT,
    created="2026-11-22T17:00:00+00:00",
)


def loaded_by(code: str, names: Sequence[str], folder: Path) -> list[str]:
    """Which of the named packages are in memory after some code ran in a process of its own."""
    program = (
        "import atexit, json, sys\n"
        f"atexit.register(lambda: print(json.dumps([n for n in {list(names)} if n in sys.modules]), file=sys.stderr))\n"
        f"{code}\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    found: list[str] = json.loads(done.stderr.splitlines()[-1])
    return found


def test_importing_tlsearch_loads_no_framework_and_no_library_of_the_engine(tmp_path: Path) -> None:
    assert loaded_by("import tlsearch", LIBRARIES, tmp_path) == []


def test_help_loads_little_more_than_the_parser_of_the_command_line(tmp_path: Path) -> None:
    code = "from tlsearch.cli import main; main(['--help'])"
    assert loaded_by(code, (*LIBRARIES, "pydantic", "pluggy", "rich.console"), tmp_path) == []


def test_every_name_of_the_authors_api_is_there_though_none_is_loaded_before_it_is_asked_for() -> None:
    assert [name for name in tlsearch.__all__ if not hasattr(tlsearch, name)] == []
    assert tlsearch.Params is Params
    assert tlsearch.hookimpl is hookimpl
    with pytest.raises(AttributeError, match="no attribute 'Parms'"):
        _ = tlsearch.Parms


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_loads_no_framework_and_nothing_that_searches_or_writes(command: str, tmp_path: Path) -> None:
    code = f"from tlsearch.cli import main; main(['{command}', '--help'])"
    assert loaded_by(code, (*FRAMEWORKS, "optuna", "sqlalchemy"), tmp_path) == []


def test_plugins_are_listed_without_a_framework(tmp_path: Path) -> None:
    assert loaded_by("from tlsearch.cli import main; main(['plugins', 'list'])", FRAMEWORKS, tmp_path) == []


def test_a_report_in_a_terminal_loads_what_it_counts_and_draws_with_alone(tmp_path: Path) -> None:
    WrittenStudy(name="mine", trials=12, images=30, classes=3).write(tmp_path / "runs" / "mine")
    heavy = (*FRAMEWORKS, "optuna", "sqlalchemy", "sklearn", "scipy", "PIL", "plotly", "jinja2", "pluggy", "filelock")
    for more in ([], ["--json"]):
        code = f"from tlsearch.cli import main; assert main({['report', 'mine', *more]}) == 0"
        assert loaded_by(code, heavy, tmp_path) == []


def test_a_study_without_a_completed_trial_is_told_without_a_framework(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "mine"
    run.mkdir(parents=True)
    with Store.open(f"sqlite:///{run / 'study.db'}") as store:
        store.define_study(STUDY)
    code = "from tlsearch.cli import main; assert main(['report', 'mine']) == 1"  # nothing has completed
    assert loaded_by(code, (*FRAMEWORKS, "optuna", "sklearn"), tmp_path) == []


def test_a_study_that_is_not_there_is_told_before_a_framework_is_loaded(tmp_path: Path) -> None:
    for arguments in (["run", "mine.toml"], ["export-best", "mine", "--to", "bundle"], ["predict", "bundle", "x.jpg"]):
        code = f"from tlsearch.cli import main; assert main({arguments}) not in (0, 70)"
        assert loaded_by(f"{NO_WORKER}{code}", FRAMEWORKS, tmp_path) == []
