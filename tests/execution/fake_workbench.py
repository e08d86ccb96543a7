"""A workbench of real processes and 20 ms trials: what a row does is told by its head parameters."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tlsearch.errors import DataError
from tlsearch.records import EpochRecord, FailureReason, TrialState
from tlsearch.training.recipe import Phase, Recipe
from tlsearch.work import Job, JobKind, Progress, Row, RowResult, WorkerContext

Emit = Callable[[EpochRecord | RowResult | Progress], None]


class BrokenWorkbenchError(Exception):
    """No fault of a row."""


class FakeWorkbench:
    """Trains nothing, for 20 ms a row."""

    def __init__(self, context: WorkerContext) -> None:
        self._classes = len(context.classes)
        self._images = len(context.development)

    def run(self, job: Job, emit: Emit) -> None:
        for row in job.rows:
            emit(EpochRecord(
                trial=row.trial, attempt=row.attempt, repeat=job.repeat, fold=0, epoch=0, train_loss=0.5, seconds=0.01
            ))  # fmt: skip
            time.sleep(0.02)
            try:
                note = misbehave(row.recipe.head_params)
            except BrokenWorkbenchError:
                raise
            except Exception as error:
                emit(self._result(job, row, state=TrialState.FAILED, reason=FailureReason.EXCEPTION, detail=str(error)))
                continue
            score = row.recipe.head_params.get("score", 0.5)
            log_probs = self._log_probs(row)
            emit(self._result(job, row, state=TrialState.COMPLETED, score=score, log_probs=log_probs, detail=note))

    def _result(self, job: Job, row: Row, **rest: Any) -> RowResult:
        return RowResult(
            job=job.id, kind=job.kind, trial=row.trial, attempt=row.attempt, repeat=job.repeat, seconds=0.02, **rest
        )

    def _log_probs(self, row: Row) -> np.ndarray:
        return np.random.default_rng(row.trial).normal(size=(self._images, self._classes)).astype(np.float32)


def open_workbench(context: WorkerContext) -> FakeWorkbench:
    return FakeWorkbench(context)


def open_on_changed_data(context: WorkerContext) -> FakeWorkbench:
    raise DataError(f"the pictures changed: {context.pixels_digest} is expected", hint="start another study")


def open_broken(context: WorkerContext) -> FakeWorkbench:
    raise RuntimeError("no such kernel")


def open_never(context: WorkerContext) -> FakeWorkbench:
    while True:
        time.sleep(1)


def misbehave(params: dict[str, Any]) -> str:
    """Do what the row says; returns what it has to tell."""
    match params.get("does"):
        case "raises":
            raise ValueError("a bad trial")
        case "leaves":
            sys.exit(3)
        case "leaves at once":
            os._exit(0)
        case "segfaults":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hangs":
            time.sleep(600)
        case "prints":
            for _ in range(100):
                sys.stdout.write("x" * 999_999 + "\n")
        case "prints nonsense":
            os.write(1, b"\xff\xfe\x1b[2J\n")
            os.write(2, b"\xc3\x28 no text\n")
        case "forks":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            note = Path(params["pid_file"])
            note.with_suffix(".new").write_text(f"{os.getpid()} {child.pid}")
            note.with_suffix(".new").replace(note)
            misbehave({"does": params["then"]})
        case "breaks the workbench":
            raise BrokenWorkbenchError("the device is gone")
        case "tells its surroundings":
            return f"{os.environ['KERAS_BACKEND']} {os.environ['OMP_NUM_THREADS']} {sys.executable}"
    return ""


def context(**changes: Any) -> WorkerContext:
    """A study of three classes and six development pictures."""
    values: dict[str, Any] = {
        "study": "fake", "seed": 1, "metric": "accuracy", "classes": ("a", "b", "c"), "labels": (0, 1, 2, 0, 1, 2),
        "development": tuple(range(6)), "holdout": (), "folds": ((0, 1, 0, 1, 0, 1),), "deterministic": False,
        "pixels": "", "pixels_digest": "d", "cache": "", "cache_bytes": 0, "models": "", "backbones": {},
        "augments": ("none",), "views": 1, "unfrozen": (0,), "device": "cpu", "threads": 1, "plugins": (),
        "versions": {}, "dataset": {},
    }  # fmt: skip
    return WorkerContext(**{**values, **changes})


def recipe(**head_params: Any) -> Recipe:
    """A recipe whose head parameters say what the row does."""
    return Recipe(backbone="fake", head="fake", phases=(Phase(epochs=1),), head_params=head_params)


def job(job_id: str, *rows: dict[str, Any], timeout_s: float | None = None) -> Job:
    """A job with one row for each dictionary of head parameters; trials are numbered from 0."""
    made = tuple(Row(trial=number, attempt=1, recipe=recipe(**row)) for number, row in enumerate(rows))
    return Job(id=job_id, kind=JobKind.TRIALS, rows=made, timeout_s=timeout_s)
