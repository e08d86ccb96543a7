"""A run that is refused leaves nothing behind that a later run, or a report, would stumble over."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tlsearch.cli import main

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


def test_a_name_of_digits_is_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("2", 'a "b"', "é\U0001f600"):
        assert main(["run", "refused.toml", "--new-study", name, *NOWHERE]) == 2
        assert "nowhere" in capsys.readouterr().err
    assert len(list(Path("runs").iterdir())) == 3


def test_a_run_without_a_store_is_not_proposed_in_its_own_place(capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", "refused.toml", *NOWHERE])
    Path("runs/refuse").mkdir()
    capsys.readouterr()
    assert main(["report", "refuse"]) == 2
    assert "did you mean 'refused'?" in capsys.readouterr().err
    Path("runs/refused/study.db").unlink()
    assert main(["report", "refused"]) == 2
    assert "did you mean" not in capsys.readouterr().err


def test_a_report_of_a_refused_run_says_that_it_never_began(capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", "refused.toml", *NOWHERE])
    capsys.readouterr()
    assert main(["report"]) == 2
    told = capsys.readouterr().err
    assert "runs/refused holds no study: its run ended before it began" in told
    assert "tlsearch run STUDY.toml" in told
