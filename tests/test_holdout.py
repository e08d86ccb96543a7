import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tlsearch.errors import BusyError, TlsearchError
from tlsearch.execution.lock import StudyLock
from tlsearch.final_files import DESCRIPTION, NEEDED
from tlsearch.holdout import open_holdout, recorded_holdout
from tlsearch.records import StudyRecord
from tlsearch.store.reading import StoreReader
from tlsearch.store.store import Store

LABELS = [0, 1, 0, 1, 1, 0, 0, 1]
RIGHT = 6


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    context = {"metric": "accuracy", "holdout_labels": LABELS}
    with Store.open(f"sqlite:///{tmp_path / 'study.db'}") as opened:
        opened.define_study(StudyRecord(name="s", config={}, definition={}, context=context, created="2026-11-22"))
        yield opened


def final_model(folder: Path, digest: str, n: int = len(LABELS)) -> Path:
    """A final model whose first two sealed answers are wrong."""
    folder.mkdir()
    description = dict.fromkeys(NEEDED) | {"digest": digest, "trial": 4}
    (folder / DESCRIPTION).write_text(json.dumps(description))
    answers = np.array(LABELS)
    answers[: len(LABELS) - RIGHT] ^= 1
    log_probs = np.log(np.where(np.eye(2)[answers] == 1, 0.9, 0.1)).astype(np.float32)[:n]
    np.savez(folder / "holdout.npz", index=np.arange(n), log_probs=log_probs)
    return folder


def test_opening_scores_the_sealed_answers_with_an_interval(store: Store, tmp_path: Path) -> None:
    score = open_holdout(store, "s", final_model(tmp_path / "final", "abc"), tmp_path / "lock")
    assert score is not None
    assert (score.n, score.accuracy, score.score, score.final, score.trial) == (8, 0.75, 0.75, "abc", 4)
    assert score.low < 0.75 < score.high


def test_a_second_opening_returns_what_is_recorded_without_reading_the_answers(store: Store, tmp_path: Path) -> None:
    final = final_model(tmp_path / "final", "abc")
    first = open_holdout(store, "s", final, tmp_path / "lock")
    (final / "holdout.npz").unlink()
    assert open_holdout(store, "s", final, tmp_path / "lock") == first
    assert len(store.events("s", ["holdout_opened"])) == 1


def test_a_reader_tells_what_is_recorded(store: Store, tmp_path: Path) -> None:
    final = final_model(tmp_path / "final", "abc")
    first = open_holdout(store, "s", final, tmp_path / "lock")
    with StoreReader.open(f"sqlite:///{tmp_path / 'study.db'}") as reader:
        assert recorded_holdout(reader, "s", "abc") == first


def test_another_final_model_is_another_opening_on_record(store: Store, tmp_path: Path) -> None:
    open_holdout(store, "s", final_model(tmp_path / "a", "abc"), tmp_path / "lock")
    assert recorded_holdout(store, "s", "def") is None
    open_holdout(store, "s", final_model(tmp_path / "b", "def"), tmp_path / "lock")
    assert [event.data["final"] for event in store.events("s", ["holdout_opened"])] == ["abc", "def"]


def test_a_running_coordinator_keeps_it_closed(store: Store, tmp_path: Path) -> None:
    final = final_model(tmp_path / "final", "abc")
    with StudyLock(tmp_path / "lock"), pytest.raises(BusyError):
        open_holdout(store, "s", final, tmp_path / "lock")
    assert store.events("s", ["holdout_opened"]) == []


def test_a_caller_that_holds_the_lock_opens_it(store: Store, tmp_path: Path) -> None:
    final = final_model(tmp_path / "final", "abc")
    with StudyLock(tmp_path / "lock"):
        assert open_holdout(store, "s", final, None) is not None


def test_a_study_that_kept_no_holdout_opens_nothing(store: Store, tmp_path: Path) -> None:
    store.update_study("s", context={"metric": "accuracy", "holdout_labels": []})
    assert open_holdout(store, "s", final_model(tmp_path / "final", "abc"), tmp_path / "lock") is None
    assert store.events("s", ["holdout_opened"]) == []


@pytest.mark.parametrize("fault", ["damaged", "missing", "short"])
def test_sealed_answers_that_cannot_be_used_record_no_opening(store: Store, tmp_path: Path, fault: str) -> None:
    final = final_model(tmp_path / "final", "abc", n=5 if fault == "short" else len(LABELS))
    sealed = final / "holdout.npz"
    if fault == "damaged":
        sealed.write_bytes(sealed.read_bytes()[:100])
    elif fault == "missing":
        sealed.unlink()
    with pytest.raises(TlsearchError, match=r"holdout\.npz"):
        open_holdout(store, "s", final, tmp_path / "lock")
    assert store.events("s", ["holdout_opened"]) == []
