"""Figures that benchmarks hand to one another: whether a goal is met, and what they were made with."""

import json
import subprocess
from pathlib import Path

import pytest

import provenance
from figures import Figure, save, table
from provenance import code


def figure(measured: float | None, unit: str, target: float | None = 3.0, stretch: float | None = 4.0) -> Figure:
    return Figure(row="row", target=target, stretch=stretch, measured=measured, unit=unit)


@pytest.mark.parametrize(
    ("measured", "unit", "said"),
    [(3.5, "times", ["met", "**missed**"]), (3.5, "ms", ["**missed**", "met"]), (3.0, "%", ["met", "met"])],
)
def test_a_unit_says_which_side_of_a_goal_is_better(measured: float, unit: str, said: list[str]) -> None:
    one = figure(measured, unit)
    assert one.line() == f"| row | {measured:.3g} {unit} | 3: {said[0]} | 4: {said[1]} |"
    assert one.missed == (said[0] != "met")


def test_what_was_not_measured_has_missed_nothing() -> None:
    assert figure(None, "times").line() == "| row | not measured | 3 | 4 |"
    assert not figure(None, "times").missed
    assert not figure(1.0, "times", target=None).missed
    assert table([figure(1.0, "times", None, None)]).endswith("| row | 1 times |  |  |")


def test_saved_figures_say_what_they_were_made_with(tmp_path: Path) -> None:
    save([figure(5.0, "times")], tmp_path / "a.json", by="gpu", machine="NVIDIA H200")
    told = json.loads((tmp_path / "a.json").read_text())
    assert (told["by"], told["made"]["machine"]) == ("gpu", "NVIDIA H200")
    assert "torch" in told["made"]["versions"]
    assert Figure(**told["figures"][0]) == figure(5.0, "times")


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


def test_the_code_is_the_same_until_something_that_runs_changes(tmp_path: Path) -> None:
    for name in ("tlsearch", "plugins", "benchmarks/results", "docs"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file.py").write_text("1")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    first = code(tmp_path)
    (tmp_path / "benchmarks" / "results" / "file.py").write_text("2")
    (tmp_path / "docs" / "file.py").write_text("2")
    assert code(tmp_path) == first
    git(tmp_path, "commit", "-qam", "results")
    assert code(tmp_path) == first

    (tmp_path / "plugins" / "file.py").write_text("2")
    second = code(tmp_path)
    (tmp_path / "plugins" / "file.py").write_text("3")
    third = code(tmp_path)
    (tmp_path / "tlsearch" / "new.py").write_text("1")
    assert len({first, second, third, code(tmp_path)}) == 4
    assert second.startswith(f"{first}+")
    git(tmp_path, "commit", "-qam", "code")
    assert code(tmp_path).split("+")[0] != first


def test_benchmarks_of_one_folder_never_measure_the_code_of_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    with pytest.raises(SystemExit, match="this environment has tlsearch in"):
        provenance.Provenance.of_now()
