import json
from pathlib import Path

import pytest

from tlsearch.cli import main

HEAD = """
from tlsearch import FloatRange, HeadSpec, Params, hookimpl

@hookimpl
def tlsearch_heads():
    return [HeadSpec(name="cat[/]", params=Params, build=print, learning_rate=FloatRange(1e-3, 1e-1, log=True))]

@hookimpl
def tlsearch_trial_finished(trial):
    pass
"""


def test_the_list_tells_what_a_person_chooses_by(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "list"]) == 0
    shown = capsys.readouterr().out
    (row,) = (line for line in shown.splitlines() if line.startswith("resnet18"))
    assert row.split()[:4] == ["resnet18", "torch", "11.2", "M"]
    assert "BSD-3-Clause" in row
    assert "tlsearch 0.1.0" in row


@pytest.mark.parametrize("columns", ["40", "60", "100", "200"])
def test_backbone_names_stay_whole_at_every_width(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert main(["plugins", "list"]) == 0
    shown = capsys.readouterr().out
    assert "mobilenet_v2_keras" in shown
    assert max(map(len, shown.splitlines())) <= int(columns)


def test_programs_read_the_list_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.py"
    path.write_text(HEAD)
    assert main(["plugins", "list", "--json", "--plugin", str(path)]) == 0
    plugins = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)["plugins"]}
    assert plugins["mine"]["provides"] == [{"kind": "head", "name": "cat[/]"}]
    assert plugins["mine"]["observes"] == ["tlsearch_trial_finished"]
    resnets = {spec["name"]: spec for spec in plugins["resnet"]["provides"]}
    assert resnets["resnet18"]["framework"] == "torch"
    assert resnets["resnet18"]["parameters"] > 11_000_000
    assert resnets["resnet18"]["weights"][0]["trained_on"]


def test_names_are_shown_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.py"
    path.write_text(HEAD)
    assert main(["plugins", "list", "--plugin", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "cat[/]" in shown
    assert "observer" in shown


def test_disabled_plugins_are_listed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TLSEARCH_LOAD_PLUGINS", "linear")
    assert main(["plugins", "list"]) == 0
    shown = capsys.readouterr().out
    assert "disabled: plugin 'resnet'" in shown
    assert "11.2 M" not in shown
