import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from final_model import CLASSES, SMALL_NET

from tlsearch.cli import main
from tlsearch.cli.studies import find_study
from tlsearch.errors import NothingCompletedError, TlsearchError, UnknownNameError
from tlsearch.execution.lock import StudyLock
from tlsearch.export.facts import StudyFacts, study_facts
from tlsearch.paths import run_folder
from tlsearch.records import FailureReason, StudyRecord, TrialKind, TrialRecord, TrialState
from tlsearch.store.reading import StoreReader
from tlsearch.store.store import Store

ESTIMATE = {
    "score": 0.5,
    "low": 0.3,
    "high": 0.8,
    "naive_score": 0.6,
    "naive_low": 0.4,
    "naive_high": 0.9,
    "optimism": 0.1,
    "n": 8,
    "candidates": 12,
}
WON = TrialRecord(number=3, kind=TrialKind.SEARCH, state=TrialState.COMPLETED, params={}, recipe={}, score=0.4)
FAILED = replace(WON, state=TrialState.FAILED, score=None, reason=FailureReason.OUT_OF_MEMORY, detail="12 GB wanted")


def keep(
    facts: StudyFacts,
    events: list[tuple[str, Mapping[str, object]]],
    trials: tuple[TrialRecord, ...] = (WON,),
    source: str = "folder",
) -> str:
    """Store a study as a run leaves it; returns the store's URL."""
    folder = run_folder(facts.name)
    folder.mkdir(parents=True)
    context = {
        "classes": list(CLASSES),
        "metric": facts.metric,
        "root": str(facts.root),
        "source": source,
        "files": list(facts.development),
        "labels": list(facts.development_labels),
        "holdout_files": list(facts.holdout),
        "holdout_labels": list(facts.holdout_labels),
        "notes": list(facts.notes),
        "license": facts.license,
    }
    url = f"sqlite:///{folder / 'study.db'}"
    with Store.open(url) as store:
        record = StudyRecord(name=facts.name, config={}, definition={}, context=context, created="2026-11-22")
        store.define_study(record)
        store.add_trials(facts.name, trials)
        for kind, data in events:
            store.add_event(facts.name, kind, data)
    return url


def ended(facts: StudyFacts) -> list[tuple[str, Mapping[str, object]]]:
    return [
        ("chosen", {"trial": 3, "estimate": ESTIMATE, "handicap": 0.1}),
        ("final_fitted", {"trial": 3, "folder": str(facts.final)}),
    ]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TLSEARCH_STORE_URL", raising=False)
    return tmp_path


def test_export_best_writes_a_bundle_opens_the_holdout_once_and_predict_reads_it(
    here: Path, facts: StudyFacts, capsys: pytest.CaptureFixture[str]
) -> None:
    url = keep(facts, ended(facts))
    command = ["export-best", "--to", "bundle", "--plugin", str(SMALL_NET), "--format", "onnx,safetensors"]
    assert main(command) == 0
    shown = capsys.readouterr()
    assert "wrote bundle" in shown.out
    assert "these are drawings" in shown.out
    assert "of 4 pictures right" in shown.out
    assert "checking model.onnx on 4 holdout pictures" in shown.err
    assert main([*command, "--force"]) == 0
    with StoreReader.open(url) as store:
        assert len(store.events(facts.name, ["holdout_opened"])) == 1
    capsys.readouterr()

    pictures = [str(facts.root / name) for name in facts.holdout]
    assert main(["predict", "bundle", *pictures, "--json", "--top", "2"]) == 0
    items = json.loads(capsys.readouterr().out)
    assert [item["image"] for item in items] == pictures
    assert all(len(item["top"]) == 2 for item in items)


def test_a_disagreement_ends_with_exit_code_5_and_a_closed_holdout(
    here: Path, own_facts: StudyFacts, capsys: pytest.CaptureFixture[str]
) -> None:
    swapped = replace(own_facts, development=own_facts.development[::-1])
    url = keep(swapped, ended(swapped))
    assert main(["export-best", "--to", "bundle", "--plugin", str(SMALL_NET), "--format", "onnx"]) == 5
    assert "does not give the final model's answers" in capsys.readouterr().err
    assert not (here / "bundle").exists()
    with StoreReader.open(url) as store:
        assert store.events(swapped.name, ["holdout_opened"]) == []


def test_a_place_among_the_pictures_is_refused_before_a_framework_is_loaded(here: Path, facts: StudyFacts) -> None:
    keep(facts, ended(facts))
    command = ["export-best", "--to", str(facts.root / "bundle")]
    code = f"import sys; from tlsearch.cli import main; print(main({command}), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=True)
    assert "lies in the folder of the pictures" in done.stderr
    assert done.stdout.split() == ["2", "False"]


@pytest.mark.parametrize(("source", "walked"), [("folder", True), ("table", False), ("of a plugin", True)])
def test_only_a_listing_is_known_to_take_no_other_file_for_a_picture(
    here: Path, facts: StudyFacts, source: str, walked: bool
) -> None:
    with StoreReader.open(keep(facts, ended(facts), source=source)) as store:
        assert study_facts(store, facts.name).walked is walked


def test_export_while_a_run_writes_the_study_ends_with_exit_code_75(here: Path, facts: StudyFacts) -> None:
    keep(facts, ended(facts))
    with StudyLock(find_study(None).lock):
        assert main(["export-best", "--to", "b", "--plugin", str(SMALL_NET), "--format", "safetensors"]) == 75
    assert not (here / "b").exists()


def test_a_study_in_which_nothing_completed_tells_why_with_exit_code_1(
    here: Path, facts: StudyFacts, capsys: pytest.CaptureFixture[str]
) -> None:
    url = keep(facts, [], trials=(FAILED, replace(FAILED, number=4)))
    with StoreReader.open(url) as store, pytest.raises(NothingCompletedError):
        study_facts(store, facts.name)
    assert main(["export-best", "--to", "bundle"]) == 1
    assert "2 out_of_memory; the first: 12 GB wanted" in capsys.readouterr().err


def test_a_final_model_of_another_winner_is_not_exported(here: Path, facts: StudyFacts) -> None:
    url = keep(facts, [*ended(facts), ("chosen", {"trial": 5, "estimate": {}})])
    with Store.open(url) as store:
        with pytest.raises(TlsearchError, match="no final model yet"):
            study_facts(store, facts.name)
        store.add_event(facts.name, "final_fitted", {"trial": 5, "folder": "elsewhere"})
        store.add_event(facts.name, "chosen", {"trial": 3, "estimate": {}})
        assert study_facts(store, facts.name).final == facts.final  # it won again, and keeps its fit


def test_trials_after_the_choice_make_a_model_outdated(here: Path, facts: StudyFacts) -> None:
    url = keep(facts, ended(facts))
    with Store.open(url) as store:
        assert not study_facts(store, facts.name).outdated
        store.add_event(facts.name, "told", {})
        assert study_facts(store, facts.name).outdated


def test_a_study_is_found_by_file_name_newest_run_or_store(
    here: Path, facts: StudyFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = keep(facts, ended(facts))
    (here / "x.toml").write_text(f"[study]\nname = '{facts.name}'\n")
    for named in ("x.toml", facts.name, run_folder(facts.name).name, None):
        assert find_study(named).name == facts.name
        assert find_study(named, url).name == facts.name
    monkeypatch.setenv("TLSEARCH_STORE_URL", url)
    (here / "runs").rename(here / "elsewhere")
    (here / "x.toml").write_text(
        f"[study]\nname = '{facts.name}'\n[run]\nstore = '{url.replace('runs', 'elsewhere')}'\n"
    )
    monkeypatch.delenv("TLSEARCH_STORE_URL")
    assert find_study("x.toml").name == facts.name
    moved = url.replace("runs", "elsewhere")
    assert find_study(None, moved).store == moved


@pytest.mark.parametrize("named", ["nowhere", None, "../../etc"])
def test_a_study_that_is_nowhere_is_refused(here: Path, named: str | None) -> None:
    with pytest.raises(UnknownNameError):
        find_study(named)


def test_predict_shows_a_table_and_names_what_it_cannot_read(
    here: Path, bundle: Path, facts: StudyFacts, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "words.png").write_text("no picture")
    readable = facts.root / facts.development[0]
    assert main(["predict", str(bundle), "words.png", str(readable)]) == 2
    shown = capsys.readouterr()
    assert any(name in shown.out for name in CLASSES)  # shown as it is, markup and all
    assert "words.png cannot be read as a picture" in shown.err


def test_predict_refuses_a_bundle_that_was_changed(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bundle / "extra.py").write_text("")
    assert main(["predict", str(bundle), "x.png"]) == 2
    assert "'extra.py' is not part of the bundle" in capsys.readouterr().err


def test_predict_refuses_a_bundle_without_a_network(
    export: object, facts: StudyFacts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(export)
    export(facts, tmp_path / "weights")
    assert main(["predict", str(tmp_path / "weights"), "x.png"]) == 2
    assert "--format onnx" in capsys.readouterr().err


def test_predict_loads_no_torch(bundle: Path, facts: StudyFacts) -> None:
    code = "import sys; from tlsearch.cli import main; main(sys.argv[1:]); print('torch' in sys.modules)"
    command = [sys.executable, "-c", code, "predict", str(bundle), str(facts.root / facts.development[0])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_a_floor_that_is_not_kept_goes_with_the_model(here: Path, facts: StudyFacts) -> None:
    floor = {"floor": "min_recall.few", "wanted": 0.9, "reached": 1.0, "again": 0.0, "holds": True}
    chosen = {"trial": 3, "estimate": ESTIMATE, "floors": [floor]}
    url = keep(facts, [("final_fitted", {"trial": 3, "folder": str(facts.final)}), ("chosen", chosen)])
    with StoreReader.open(url) as store:
        *_, note = study_facts(store, facts.name).notes
    assert (
        note
        == "The floor min_recall.few = 0.9 was kept while searching, and not with other folds and seeds: 0.00 there."
    )
