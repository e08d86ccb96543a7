"""`tlsearch diff` on stored studies: how its sides are named, what it prints, and what it refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from diff_world import CLASSES, World, answers

from tlsearch.cli import main

TRUTH = tuple(CLASSES[i % 3] for i in range(120))
WEAK = answers(TRUTH, CLASSES, {i: CLASSES[(i + 1) % 3] for i in range(30)})


@pytest.fixture(autouse=True)
def two_studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`old`, whose best is weak, and `new`, whose trial 1 is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TLSEARCH_STORE_URL", raising=False)
    World(name="old", trials=[WEAK]).stored(tmp_path / "runs" / "old")
    World(name="new", trials=[answers(TRUTH, CLASSES), WEAK]).stored(tmp_path / "runs" / "new")
    (tmp_path / "old.toml").write_text('[study]\nname = "old"\n', encoding="utf-8")


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main(["diff", *arguments, "--json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("old", ["old", "old.toml", "runs/old", "old:0", "old.toml:0", "runs/old:0"])
def test_a_side_is_a_file_a_name_a_folder_or_one_of_its_trials(old: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, old, "new")
    assert (found["a"]["study"], found["a"]["trial"]) == ("old", 0)  # type: ignore[index]
    assert (found["b"]["study"], found["b"]["trial"]) == ("new", 0)  # type: ignore[index]
    assert found["difference"]["verdict"] == "worse"  # type: ignore[index]


def test_two_trials_of_one_study_can_be_compared_by_any_metric(capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, "new:1", "new:0", "--metric", "macro_f1")
    assert found["metric"] == "macro_f1"
    assert found["difference"]["value"] == pytest.approx(-0.25)  # type: ignore[index]
    assert len(found["b_right"]) == 30  # type: ignore[arg-type]


def test_a_person_gets_the_answer_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "old", "new"]) == 0
    shown = capsys.readouterr().out
    assert "B is better than A by 25.0 points (95 % sure: +" in shown
    assert "on 120 pictures" in shown


@pytest.mark.parametrize(
    ("sides", "said"),
    [
        (("old", "gone"), "study 'gone' has no run"),
        (("old", "new:9"), "study 'new' has no trial 9: they are 0 to 1"),
        (("new:0", "new"), "A and B are one trial"),
        (("old", "few"), "'old' and 'few' share 60 pictures: at least 100"),
        (("old", "others"), "their classes differ"),
        (("old", "older"), "run before tlsearch stored"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(
    sides: tuple[str, str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = [f"sha-{i}" if i < 60 else f"new-{i}" for i in range(120)]
    World(name="few", pictures=pictures).stored(tmp_path / "runs" / "few")
    World(name="older", with_hashes=False).stored(tmp_path / "runs" / "older")
    names = ("ada", "bruno", "dana")
    truth = [names[i % 3] for i in range(120)]
    World(name="others", classes=names, truth=truth, trials=[answers(truth, names)]).stored(tmp_path / "runs/others")
    assert main(["diff", *sides]) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err
    assert shown.out == ""


def test_it_loads_no_framework_and_leaves_a_read_only_folder_as_it_is(tmp_path: Path) -> None:
    program = (
        "import sys; from tlsearch.cli import main; code = main(['diff', 'old', 'new'])\n"
        "assert not {'torch', 'keras', 'optuna', 'sklearn'} & set(sys.modules)\n"
        "sys.exit(code)"
    )
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("study.db")}
    environment = {**os.environ, "COLUMNS": "60"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before
