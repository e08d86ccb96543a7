"""The benchmark of memory: what it draws, what it sees of a process and its children, and what it tells of a run."""

import subprocess
import sys
from pathlib import Path

import pytest

from memory import CLASSES, OUTSIDE, Measured, Phase, Watch, draw_pictures, figures, measured, table

HOLDS = """
import subprocess, sys
held = bytearray(150 << 20)
subprocess.run([sys.executable, "-c", "import time; held = bytearray(60 << 20); time.sleep(1.0)"], check=True)
"""


def run_of(images: int, megabytes: float) -> Measured:
    search = Phase(
        name="search", seconds=12.0, peaks={"coordinator": 100.0, "worker": megabytes, "together": 100.0 + megabytes}
    )
    outside = Phase(name=OUTSIDE, seconds=3.0, peaks={"coordinator": 120.0})
    return Measured(images=images, seconds=15.0, phases=(search, outside))


def test_pictures_are_of_ten_classes_and_no_two_alike(tmp_path: Path) -> None:
    draw_pictures(tmp_path / "drawn", 40)
    files = sorted((tmp_path / "drawn").glob("*/*.jpg"))
    assert len(files) == 40
    assert len({file.parent for file in files}) == CLASSES
    assert len({file.read_bytes() for file in files}) == 40


def test_a_process_and_what_it_starts_are_seen_apart() -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDS]) as process:
        watch = Watch(process)
        assert watch.until_it_ends() == 0
    roles = ("coordinator", "worker", "together")
    most = {role: max(s.megabytes for s in watch.samples if s.role == role) for role in roles}
    assert 150 < most["coordinator"] < 200
    assert 60 < most["worker"] < 110
    assert 210 < most["together"] < 310


def test_runs_stand_side_by_side_and_growth_is_told() -> None:
    runs = [run_of(100, 500.0), run_of(1000, 600.0)]
    said = table(runs)
    assert "| search | 12.0 | 100 | 500 | 12.0 | 100 | 600 |" in said
    assert f"| {OUTSIDE} | 3.0 | 120 |  | 3.0 | 120 |  |" in said
    assert "| **whole run, peaks** | 15 | 120 | 500 | 15 | 120 | 600 |" in said
    by_row = {figure.row: figure.measured for figure in figures(runs)}
    assert by_row["private memory of the worker, 1000 images of 64 px"] == 600
    assert by_row["private memory of all processes, 1000 images of 64 px"] == 700
    assert by_row["private memory of the worker, 1000 images against 100"] == pytest.approx(1.2)


@pytest.mark.full
def test_a_whole_run_is_measured_phase_by_phase(tmp_path: Path) -> None:
    found = measured(120, trials=2, folder=tmp_path)
    assert [phase.name for phase in found.phases][-1] == OUTSIDE
    assert {"data", "features", "data check", "search", "final fit"} <= {phase.name for phase in found.phases}
    assert sum(phase.seconds for phase in found.phases) == pytest.approx(found.seconds)
    assert found.peak("worker") > found.peak("coordinator") > 20
