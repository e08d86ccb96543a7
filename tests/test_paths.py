import os
from pathlib import Path

import pytest

from tlsearch.paths import cache_root, newest_run, run_folder


def test_a_run_folder_stays_directly_under_runs() -> None:
    for name in ("celebs", "../../x", "/etc", "a/b", "..", "\x00"):
        assert run_folder(name).parent == Path("runs")


def test_the_cache_can_be_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TLSEARCH_CACHE", str(tmp_path))
    assert cache_root() == tmp_path
    monkeypatch.delenv("TLSEARCH_CACHE")
    assert cache_root().name == "tlsearch"


def test_the_newest_run_is_the_one_written_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert newest_run() is None
    for name, age in (("a", 10), ("b", 30), ("c", 20)):
        folder = run_folder(name)
        folder.mkdir(parents=True)
        (folder / "study.db").touch()
        os.utime(folder / "study.db", (1_000_000 - age, 1_000_000 - age))
    assert newest_run() == Path("runs/a")
    (run_folder("b") / "study.db-wal").touch()
    assert newest_run() == Path("runs/b")
    (run_folder("d")).mkdir()  # a folder without a database is no run
    assert newest_run() == Path("runs/b")
