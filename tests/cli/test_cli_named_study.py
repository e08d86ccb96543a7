"""A study file that a report is asked of: only its name and its store are read, and what is wrong with them is told."""

from pathlib import Path

import pytest

from tlsearch.cli import main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TLSEARCH_STORE_URL", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[data]\npath = 'photos'\n", "mine.toml: study.name: a text in quotes is required"),
        ("[study]\nname = 2024\n", "mine.toml: study.name: a text in quotes is required"),
        ("study = 'mine'\n", "mine.toml: study.name: a text in quotes is required"),
        ("[study]\nname = mine\n", "mine.toml:2:8: not TOML"),
        (None, "mine.toml: there is no such file"),
    ],
    ids=["no name", "a number", "no table", "no quotes", "no file"],
)
def test_a_file_that_names_no_study_is_refused_with_its_place(
    text: str | None, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        Path("mine.toml").write_text(text, encoding="utf-8")
    assert main(["report", "mine.toml"]) == 2
    assert told in capsys.readouterr().err


def test_faults_elsewhere_in_the_file_keep_nobody_from_its_report(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.toml").write_text("[study]\nname = 'mine'\n[search]\nepohcs = 3\n", encoding="utf-8")
    assert main(["report", "mine.toml"]) == 2
    assert "study 'mine' has no run in runs/mine" in capsys.readouterr().err
