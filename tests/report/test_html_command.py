"""`tlsearch report --html`: where the page is written, and what is never written over."""

import subprocess
import sys
from pathlib import Path

import pytest
from page_world import PageStudy

from tlsearch.cli import main
from tlsearch.records import StudyRecord, TrialKind, TrialRecord, TrialState
from tlsearch.store.store import Store
from tlsearch.training.recipe import Phase, Recipe
from tlsearch.work import JobKind, RowResult


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a finished study."""
    folder = tmp_path_factory.mktemp("stored")
    PageStudy().write(folder)
    return folder / "study.db"


@pytest.fixture
def run(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of its run, below a folder in which commands are given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TLSEARCH_STORE_URL", raising=False)
    folder = Path("runs/pets")
    folder.mkdir(parents=True)
    (folder / "study.db").write_bytes(stored.read_bytes())
    return folder


def test_the_page_lies_in_the_runs_folder_and_its_path_is_printed(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "pets", "--html"]) == 0
    assert capsys.readouterr().out == "runs/pets/report.html\n"
    assert (run / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [path.name for path in run.iterdir() if path.name.startswith(".")] == []


def test_an_earlier_report_is_replaced(run: Path) -> None:
    assert main(["report", "--html"]) == 0
    first = (run / "report.html").stat().st_ino
    assert main(["report", "--html"]) == 0
    assert (run / "report.html").stat().st_ino != first


def test_to_names_another_file(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--html", "--to", "mine.html"]) == 0
    assert capsys.readouterr().out == "mine.html\n"
    assert Path("mine.html").is_file()
    assert not (run / "report.html").exists()


@pytest.mark.parametrize("content", ["", "<!doctype html><p>my homepage", "tlsearch report"])
def test_what_is_no_report_is_left_as_it_is(run: Path, content: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.html").write_text(content, encoding="utf-8")
    assert main(["report", "--html", "--to", "mine.html"]) == 2
    assert "mine.html exists and is no report of tlsearch" in capsys.readouterr().err
    assert Path("mine.html").read_text(encoding="utf-8") == content


def test_a_link_is_not_followed(run: Path) -> None:
    assert main(["report", "--html", "--to", "real.html"]) == 0
    Path("link.html").symlink_to("real.html")
    assert main(["report", "--html", "--to", "link.html"]) == 2


def test_a_missing_folder_is_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--html", "--to", "nowhere/mine.html"]) == 2
    assert "there is no folder nowhere" in capsys.readouterr().err


def test_a_place_that_may_not_be_written_is_refused_with_the_option_that_names_another(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "--html", "--to", "/sys/report.html"]) == 2  # not even the superuser writes there
    said = capsys.readouterr().err
    assert "/sys/report.html cannot be written: " in said
    assert "name another file with --to" in said


@pytest.mark.parametrize("arguments", [["--html", "--json"], ["--to", "x.html"]])
def test_options_that_contradict_each_other_are_refused(run: Path, arguments: list[str]) -> None:
    assert main(["report", *arguments]) == 2
    assert not Path("x.html").exists()


def test_where_nothing_completed_the_page_is_written_and_the_exit_code_says_so(run: Path) -> None:
    study = PageStudy(name="begun")
    folder = Path("runs/begun")
    folder.mkdir()
    with Store.open(f"sqlite:///{folder / 'study.db'}") as store:
        record: StudyRecord = study._record()
        store.define_study(record)
    assert main(["report", "begun", "--html"]) == 1
    assert (folder / "report.html").is_file()


def test_a_study_whose_baseline_alone_completed_has_a_best_and_is_no_failure(run: Path) -> None:
    study = PageStudy(name="begun")
    folder = Path("runs/begun")
    folder.mkdir()
    baseline = TrialRecord(
        number=0,
        kind=TrialKind.BASELINE,
        name="frozen probe",
        state=TrialState.WAITING,
        params={},
        recipe=Recipe(backbone=study.backbone, head="linear", phases=(Phase(epochs=1),)).to_json(),
    )
    with Store.open(f"sqlite:///{folder / 'study.db'}") as store:
        store.define_study(study._record())
        store.add_trials("begun", [baseline])
        store.start_attempts("begun", "j", [(0, 1)])
        ended = RowResult(
            job="j",
            kind=JobKind.TRIALS,
            trial=0,
            attempt=1,
            state=TrialState.COMPLETED,
            score=0.5,
            log_probs=study.predictions(0),
        )
        store.record("begun", [ended])
    assert main(["report", "begun", "--json"]) == 0


def test_the_page_is_written_without_torch_and_optuna(run: Path) -> None:
    code = (
        "import sys; from tlsearch.cli import main; assert main(['report', '--html']) == 0;"
        "print([name for name in ('torch', 'optuna', 'keras') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.splitlines()[-1] == "[]"
