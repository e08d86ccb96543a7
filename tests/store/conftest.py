"""Stores with a study in them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tlsearch.records import StudyRecord, TrialKind, TrialRecord, TrialState
from tlsearch.store.store import Store
from tlsearch.work import JobKind, RowResult

STUDY = StudyRecord(
    name="celebs",
    config={"search": {"epochs": {"low": 2, "high": 20}}},
    definition={"space": "abc"},
    context={"classes": ["ann", "bob", "cem"]},
    created="2026-11-01T12:00:00+00:00",
)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'study.db'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as opened:
        opened.define_study(STUDY)
        yield opened


@pytest.fixture
def make_trials() -> Callable[[int], list[TrialRecord]]:
    """Waiting trials, numbered from 0."""

    def make(count: int) -> list[TrialRecord]:
        return [
            TrialRecord(
                number=number,
                kind=TrialKind.SEARCH,
                state=TrialState.WAITING,
                params={"head": "mlp", "mlp.hidden": 64, "learning_rate": 1e-3},
                recipe={"backbone": "fake"},
            )
            for number in range(count)
        ]

    return make


@pytest.fixture
def make_result() -> Callable[..., RowResult]:
    """A completed result of (trial, attempt) in job "j1"; any field may be given otherwise."""

    def make(trial: int, attempt: int = 1, **changes: Any) -> RowResult:
        drawn = np.random.default_rng([trial + 1, attempt]).normal(size=(6, 3)).astype(np.float32)
        values: dict[str, Any] = {
            "job": "j1", "kind": JobKind.TRIALS, "state": TrialState.COMPLETED, "score": 0.75,
            "fold_scores": (0.5, 1.0), "log_probs": drawn, "seconds": 1.5,
        }  # fmt: skip
        return RowResult(trial=trial, attempt=attempt, **{**values, **changes})

    return make
