"""Kill -9 at every kind of moment of a study on a real pretrained network: it ends as it was asked for."""

import json
import signal
import sqlite3
from collections import Counter
from itertools import groupby
from pathlib import Path

import pytest
from command_run import Strike, Study

from tlsearch.execution.results import read_results
from tlsearch.records import FailureReason, TrialKind, TrialState
from tlsearch.store.reading import StoreReader
from tlsearch.store.store import Store
from tlsearch.work import JobKind
from tlsearch_datasets.celebs_demo import CelebsDemoOptions, load

TRIALS = 14
STUDY = f"""
[study]
name = "killed"
metric = "accuracy"
budget = {{ trials = {TRIALS} }}
seed = 1
[data]
source = "folder"
path = PHOTOS
folds = 2
[[backbones]]
name = "efficientnet_lite0"
image_px = 64
[search]
unfrozen = [0, 1]
heads = ["linear"]
epochs = {{ low = 2, high = 4 }}
[[baselines]]
name = "linear probe"
backbone = "efficientnet_lite0"
learning_rate = 1e-2
epochs = 3
[run]
devices = ["cpu"]
"""


def kill(kind: str, *, stored: bool = False, **fields: int) -> Strike:
    return Strike(signal.SIGKILL, kind, fields, stored)


# In the order in which they come, so that every kill leaves the next moment ahead. Of what is both logged and stored,
# one kill comes between the two and one after them.
KILLS = [
    kill("prepared"),
    kill("prepared", stored=True),
    kill("data_checked"),
    kill("data_checked", stored=True),
    kill("asked"),
    kill("asked", stored=True),
    kill("dispatched"),
    kill("dispatched", stored=True),
    kill("epoch", repeat=0),
    kill("result"),
    kill("told"),
    kill("told", stored=True),
    kill("epoch", repeat=1),
    kill("confirmed"),
    kill("confirmed", stored=True),
    kill("epoch", fold=-1),
    kill("final_fitted"),
    kill("final_fitted", stored=True),
    kill("pictured"),
    kill("pictured", stored=True),
]


@pytest.mark.full
def test_a_study_killed_at_every_moment_runs_each_trial_it_was_asked_for_exactly_once(tmp_path: Path) -> None:
    photos = load(CelebsDemoOptions(pictures=12), tmp_path / "drawn").root
    (tmp_path / "study.toml").write_text(STUDY.replace("PHOTOS", json.dumps(str(photos))))
    environment = {"TLSEARCH_CACHE": str(tmp_path / "cache")}
    study = Study(folder=tmp_path, name="killed", arguments=["study.toml"], environment=environment)
    for strike in KILLS:
        assert study.run_struck(strike) == -signal.SIGKILL, f"{strike}: {study.said}"
        assert study.logged()[-1]["kind"] == strike.kind
        assert study.nothing_is_left_running()
    assert study.run() == 0, study.said
    assert study.nothing_is_left_running()

    with StoreReader.open(study.store_url) as store:
        every_trial_ended_once(store)
        every_lost_attempt_has_one_successor(store)
        the_best_were_confirmed_and_one_was_fitted(store, tmp_path)
        nothing_that_was_on_the_disk_was_run_again(store, tmp_path / "runs" / "killed" / "results")
    connection = sqlite3.connect(tmp_path / "runs" / "killed" / "study.db")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()

    before = study.logged()
    assert study.run() == 0
    assert "is complete" in study.said
    assert study.logged() == before


def every_trial_ended_once(store: Store) -> None:
    trials = store.trials("killed")
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert all(trial.state.ended for trial in trials)
    assert sum(trial.counted for trial in trials) == TRIALS
    assert sum(trial.kind is TrialKind.BASELINE for trial in trials) == 1
    assert not [trial.detail for trial in trials if trial.state is TrialState.FAILED]
    completed = [t.number for t in trials if t.state is TrialState.COMPLETED and t.kind is not TrialKind.DUPLICATE]
    assert sorted(store.predictions("killed")) == completed
    told = Counter(event.data["trial"] for event in store.events("killed", ["told"]))
    assert set(told.values()) == {1}


def every_lost_attempt_has_one_successor(store: Store) -> None:
    attempts = store.attempts("killed")
    lost_in_all = 0
    for _, group in groupby(attempts, key=lambda attempt: attempt.trial):
        *lost, last = list(group)
        assert [attempt.attempt for attempt in [*lost, last]] == list(range(1, len(lost) + 2))
        # STOPPED: it waited for its turn, and is not suspected of anything
        assert all(attempt.reason in (FailureReason.INTERRUPTED, FailureReason.STOPPED) for attempt in lost)
        assert all(attempt.ended is not None for attempt in [*lost, last])
        assert last.reason is None
        lost_in_all += len(lost)
    assert lost_in_all >= 2  # those in flight at "dispatch" and "epoch"
    trained = {trial.number for trial in store.trials("killed") if trial.kind is not TrialKind.DUPLICATE}
    assert {attempt.trial for attempt in attempts} == trained


def the_best_were_confirmed_and_one_was_fitted(store: Store, folder: Path) -> None:
    ranked = [trial for trial in store.trials("killed") if trial.counted and trial.score is not None]
    top = sorted(ranked, key=lambda trial: (-(trial.score or 0.0), trial.number))[:5]
    baselines = [trial for trial in store.trials("killed") if trial.kind is TrialKind.BASELINE]
    confirmed = store.confirmations("killed")
    assert sorted((c.trial, c.repeat) for c in confirmed) == sorted((trial.number, 1) for trial in [*top, *baselines])
    assert all(c.score is not None for c in confirmed)
    chosen = store.events("killed", ["chosen"])[-1].data["trial"]
    fitted = store.events("killed", ["final_fitted"])[-1].data
    assert chosen == fitted["trial"]
    final = json.loads((folder / fitted["folder"] / "final.json").read_text())
    assert final["trial"] == chosen
    assert len(store.events("killed", ["data_checked"])) == 1
    (pictured,) = store.events("killed", ["pictured"])
    assert pictured.data["trial"] == chosen
    assert [event.kind for event in store.events("killed")][-1] == "run_ended"
    assert len(store.events("killed", ["run_ended"])) == 1


def nothing_that_was_on_the_disk_was_run_again(store: Store, results: Path) -> None:
    lines = [result for file in results.glob("*.jsonl") for result in read_results(file)]
    per_trial = Counter(result.trial for result in lines if result.kind is JobKind.TRIALS)
    assert set(per_trial.values()) == {1}
    scores = {result.trial: result.score for result in lines if result.kind is JobKind.TRIALS}
    stored = {t.number: t.score for t in store.trials("killed") if t.kind is not TrialKind.DUPLICATE}
    assert scores == stored
