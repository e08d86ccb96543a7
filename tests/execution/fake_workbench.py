"""A workbench of real processes and 20 ms trials: what a row does is told by its head parameters."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tlsearch.errors import DataError, StoreError
from tlsearch.execution import results
from tlsearch.records import EpochRecord, FailureReason, TrialState
from tlsearch.training.recipe import Phase, Recipe
from tlsearch.work import Job, JobKind, Progress, Row, RowResult, WorkerContext

Emit = Callable[[EpochRecord | RowResult | Progress], None]


class BrokenWorkbenchError(Exception):
    """No fault of a row."""


class DeviceGoneError(Exception):
    """A row's fault, after which the workbench is of no more use."""


RAISES = {
    "raises": ValueError("a bad trial"),
    "loses the device": DeviceGoneError("device-side assert"),
    "meets a full disk": StoreError("cannot write the cache", hint="make room"),
    "breaks the workbench": BrokenWorkbenchError("the device is gone"),
}


class FakeWorkbench:
    """Trains nothing, for 20 ms a row or what the row says.

    Of heads alone as many as a row says are told together; all of a job, where it says nothing.
    """

    def __init__(self, context: WorkerContext) -> None:
        self._classes = len(context.classes)
        self._images = len(context.development)

    def run(self, job: Job, emit: Emit) -> None:
        ended: list[RowResult] = []
        for row in job.rows:
            ended.append(self._train(job, row, emit))
            together = row.recipe.head_params.get("beside", len(job.rows)) if job.ends_together else 1
            if len(ended) == together or row is job.rows[-1]:
                for result in ended:
                    emit(replace(result, side_by_side=together))
                ended.clear()

    def _train(self, job: Job, row: Row, emit: Emit) -> RowResult:
        params = row.recipe.head_params
        for done in range(params.get("passes", 0)):
            time.sleep(0.1)
            emit(Progress(text="pictures", done=done + 1, total=params["passes"]))
        for epoch in range(1 + params.get("more_epochs", 0)):
            time.sleep(0.1 if epoch else 0.0)
            emit(EpochRecord(
                trial=row.trial, attempt=row.attempt, repeat=job.repeat, fold=0, epoch=epoch, train_loss=0.5, seconds=0
            ))  # fmt: skip
        time.sleep(params.get("takes", 0.02))
        try:
            note = misbehave(params)
        except (BrokenWorkbenchError, StoreError):
            raise
        except Exception as error:
            failed = self._result(job, row, state=TrialState.FAILED, reason=FailureReason.EXCEPTION, detail=str(error))
            if isinstance(error, DeviceGoneError):
                emit(failed)
                raise
            return failed
        score, log_probs = params.get("score", 0.5), self._log_probs(row)
        return self._result(job, row, state=TrialState.COMPLETED, score=score, log_probs=log_probs, detail=note)

    def _result(self, job: Job, row: Row, **rest: Any) -> RowResult:
        return RowResult(
            job=job.id, kind=job.kind, trial=row.trial, attempt=row.attempt, repeat=job.repeat, seconds=0.02, **rest
        )

    def _log_probs(self, row: Row) -> np.ndarray:
        return np.random.default_rng(row.trial).normal(size=(self._images, self._classes)).astype(np.float32)


def open_workbench(context: WorkerContext) -> FakeWorkbench:
    return FakeWorkbench(context)


def open_that_syncs_at_once(context: WorkerContext) -> FakeWorkbench:
    results.SYNC_S = 0.0
    return open_that_notes_writes(context)


def open_that_notes_writes(context: WorkerContext) -> FakeWorkbench:
    """Notes in a file how many results there are on the disk after each write."""
    sync = os.fsync

    def noted(descriptor: int) -> None:
        sync(descriptor)
        file = Path(f"/proc/self/fd/{descriptor}").readlink()
        if file.suffix == ".jsonl":
            with Path(context.models).open("a") as notes:
                notes.write(f"{len(results.read_results(file))}\n")

    os.fsync = noted
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
        case str(does) if does in RAISES:
            raise RAISES[does]
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
        case "tells its process":
            return str(os.getpid())
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
    """A recipe whose head parameters say what the row does; it trains a stage, so that rows end one by one."""
    return Recipe(backbone="fake", head="fake", phases=(Phase(epochs=1, unfrozen=1),), head_params=head_params)


def job(job_id: str, *rows: dict[str, Any], timeout_s: float | None = None) -> Job:
    """A job with one row for each dictionary of head parameters; trials are numbered from 0."""
    made = tuple(Row(trial=number, attempt=1, recipe=recipe(**row)) for number, row in enumerate(rows))
    return Job(id=job_id, kind=JobKind.TRIALS, rows=made, timeout_s=timeout_s)


def head_job(job_id: str, *rows: dict[str, Any], timeout_s: float | None = None) -> Job:
    """The same with rows that train heads alone, which end together."""
    made = job(job_id, *rows, timeout_s=timeout_s)
    alone = (Phase(epochs=1, unfrozen=0),)
    return replace(made, rows=tuple(replace(row, recipe=replace(row.recipe, phases=alone)) for row in made.rows))
