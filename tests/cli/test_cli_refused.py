"""A run that is refused leaves nothing behind that a later run, or a report, would stumble over."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tlsearch.cli import main
from tlsearch.store.store import Store

NOWHERE = ("--set", "data.path=nowhere")  # refused once the store is there
STUDY = """
[study]
name = "refused"
[data]
source = "folder"
path = "photos"
[[backbones]]
name = "efficientnet_lite0"
weights = "random"
image_px = 32
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TLSEARCH_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for number in range(20):
        folder = Path("photos", "left" if number % 2 else "right")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    Path("refused.toml").write_text(STUDY)
    return tmp_path


def test_a_device_that_is_not_there_is_refused_before_anything_is_made(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", "refused.toml", "--set", 'run.devices=["cuda:63"]']) == 2
    assert "cuda:63" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_a_run_among_the_photos_is_refused_before_anything_is_made(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("photos")
    for path in (".", str(here / "photos")):
        assert main(["run", "../refused.toml", "--set", f"data.path={path}"]) == 2
        assert f"cd {here}" in capsys.readouterr().err
    assert sorted(entry.name for entry in Path().iterdir()) == ["left", "right"]


def test_runs_that_cannot_be_written_are_a_fault_of_the_store(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs").write_text("a file")
    assert main(["run", "refused.toml"]) == 3
    assert "cannot write runs/refused: Not a directory" in capsys.readouterr().err


@pytest.mark.parametrize("part", ["", "datasets", "pixels"])
def test_a_cache_that_cannot_be_written_is_a_fault_of_the_store(
    here: Path, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if part:
        (here / "cache").mkdir()
    (here / "cache" / part).write_text("a file")
    assert main(["run", "refused.toml"]) == 3
    told = capsys.readouterr().err
    assert str(here / "cache" / part) in told
    assert "writable" in told


@pytest.mark.parametrize("name", ["2", 'a "b"', "é\U0001f600"])
def test_a_study_that_is_refused_leaves_no_folder_whatever_its_name(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "refused.toml", "--new-study", name, *NOWHERE]) == 2
    assert "nowhere" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_a_study_that_is_refused_leaves_the_runs_that_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/other").mkdir(parents=True)
    assert main(["run", "refused.toml", *NOWHERE]) == 2
    assert sorted(path.name for path in Path("runs").iterdir()) == ["other"]


def test_a_folder_that_was_there_before_a_study_is_refused_stays(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/refused").mkdir(parents=True)
    Path("runs/refused/notes.txt").write_text("mine")
    assert main(["run", "refused.toml", *NOWHERE]) == 2
    assert Path("runs/refused/notes.txt").read_text() == "mine"


def test_a_study_that_is_refused_in_a_store_elsewhere_leaves_no_folder(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "refused.toml", "--store", f"sqlite:///{here / 'all.db'}", *NOWHERE]) == 2
    assert not Path("runs").exists()


def test_what_a_fault_of_the_cache_leaves_is_taken_up_by_the_next_run(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "cache").write_text("a file")
    assert main(["run", "refused.toml"]) == 3
    (here / "cache").unlink()
    assert main(["run", "refused.toml", *NOWHERE]) == 2
    assert "nowhere" in capsys.readouterr().err


@pytest.fixture
def ended_early() -> None:
    """The store of a run that ended before its study was stored, as one that was killed leaves it."""
    Path("runs/refused").mkdir(parents=True)
    Store.open("sqlite:///runs/refused/study.db").close()


@pytest.mark.usefixtures("ended_early")
def test_a_run_without_a_store_is_not_proposed_in_its_own_place(capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/refuse").mkdir()
    assert main(["report", "refuse"]) == 2
    assert "did you mean 'refused'?" in capsys.readouterr().err
    Path("runs/refused/study.db").unlink()
    assert main(["report", "refused"]) == 2
    assert "did you mean" not in capsys.readouterr().err


@pytest.mark.usefixtures("ended_early")
def test_a_report_of_a_run_that_ended_early_says_that_it_never_began(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report"]) == 2
    told = capsys.readouterr().err
    assert "runs/refused holds no study: its run ended before it began" in told
    assert "tlsearch run STUDY.toml" in told
