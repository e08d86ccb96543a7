"""`tlsearch data check`: what a person and a program are told of some pictures, and with which exit code."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tlsearch.cli import main

NETS = Path(__file__).parents[1] / "runner" / "tiny_nets.py"
STUDY = """
[study]
name = "looked at"
[data]
path = "photos"
[[backbones]]
name = "tiny_a"
weights = "random"
"""


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TLSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TLSEARCH_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "60")
    rng = np.random.default_rng(0)
    for name, colour in (("dark", 50), ("light", 190)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(8):
            noise = rng.integers(-40, 40, size=(40, 48, 3)) + colour
            Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def thinned(photos: Path) -> None:
    """Leave one picture in a class, which is too few to learn from."""
    for picture in sorted((photos / "light").iterdir())[1:]:
        picture.unlink()


def test_faults_of_a_folder_end_with_5_and_all_of_them_are_told(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    thinned(photos)
    shutil.copy(photos / "light" / "0.png", photos / "dark" / "light.png")
    (photos / "dark" / "broken.jpg").write_bytes(b"no picture")
    assert main(["data", "check", "photos"]) == 5
    text = capsys.readouterr().out
    words = " ".join(text.split())
    assert "3 faults keep a study from running" in words
    assert "broken.jpg" in words
    assert "dark/light.png (dark) = light/0.png (light)" in words
    assert " photos " in text.splitlines()[0], "the folder as it was given, not from the root of the disk"
    assert str(photos) not in text
    assert max(map(len, text.splitlines())) <= 60


@pytest.mark.full
def test_a_study_file_is_looked_at_with_its_own_networks_and_nothing_is_left_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "looked.toml").write_text(STUDY, encoding="utf-8")
    before = {path.name for path in tmp_path.iterdir()}
    assert main(["data", "check", "looked.toml", "--json", "--plugin", str(NETS)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["classes"] == {"dark": 8, "light": 8}
    assert told["faults"] == []
    assert told["data_check"]["network"] == "tiny_a"
    assert told["data_check"]["images"] == 16
    assert len(told["data_check"]["learning"]["score"]) == 4
    assert {path.name for path in tmp_path.iterdir()} - before <= {"cache"}


@pytest.mark.parametrize(
    ("place", "says"),
    [("phots", "phots is no folder, and study 'phots' has no run"), ("empty", "has no sub-folders")],
)
def test_nothing_to_look_at_ends_with_2(
    tmp_path: Path, place: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert main(["data", "check", place]) == 2
    assert says in " ".join(capsys.readouterr().err.split())


def test_a_table_is_checked_by_a_study_file_and_it_is_said_how(capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos.csv").write_text("path,label\n", encoding="utf-8")
    assert main(["data", "check", "photos.csv"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "photos.csv is no folder and no study file" in said
    assert 'data.source = "table" and data.path = "photos.csv"' in said


STRUCK = """
import os, signal
from collections.abc import Sequence
from pathlib import Path
from tlsearch import Dataset, DatasetSpec, Params, hookimpl

def load(options: Params, cache_dir: Path) -> Dataset:
    os.kill(os.getpid(), signal.SIGNAL)
    raise AssertionError("the signal ended it")

@hookimpl
def tlsearch_datasets() -> Sequence[DatasetSpec]:
    return [DatasetSpec(name="struck", options=Params, load=load)]
"""


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_ends_it_as_it_ends_a_run(name: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    Path("struck.py").write_text(STRUCK.replace("SIGNAL", name), encoding="utf-8")
    Path("struck.toml").write_text('[study]\nname = "struck"\n[data]\nsource = "struck"\n', encoding="utf-8")
    before = signal.getsignal(signal.SIGINT)
    assert main(["data", "check", "struck.toml", "--plugin", "struck.py"]) == code
    said = " ".join(capsys.readouterr().err.split())
    assert f"stopped by {name}" in said
    assert "look again with: tlsearch data check struck.toml --plugin struck.py" in said
    assert signal.getsignal(signal.SIGINT) is before


def test_its_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", "--help"]) == 0
    assert "exit code 5" in " ".join(capsys.readouterr().out.split())
