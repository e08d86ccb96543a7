"""A disk that fills up: told as what it is, no trial is blamed for it, and what was written before stays whole."""

import resource
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from runner_world import MakeWorld, one_thread

from tlsearch.errors import StoreError
from tlsearch.execution.inline import InlineExecutor
from tlsearch.execution.results import ResultWriter, read_results
from tlsearch.features.cache import FeatureCache
from tlsearch.records import EpochRecord, TrialState
from tlsearch.runner.story import MakeExecutor
from tlsearch.work import Job, JobKind, Progress, RowResult, Workbench, WorkerContext


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """No file of this process grows beyond so many bytes, as on a disk without room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 100])
def test_a_result_that_the_disk_does_not_take_whole_is_a_fault_of_the_store(tmp_path: Path, room: int) -> None:
    path = tmp_path / "job.jsonl"
    ended = RowResult(job="j", kind=JobKind.TRIALS, trial=0, attempt=1, state=TrialState.COMPLETED, score=0.5)
    with ResultWriter(path) as writer:
        writer.append(ended)
        with files_end_at(path.stat().st_size + room), pytest.raises(StoreError, match=r"job\.jsonl") as caught:
            writer.append(ended)
    assert caught.value.exit_code == 3
    assert "make room" in (caught.value.hint or "")
    assert read_results(path) == [ended]


def test_features_that_the_disk_does_not_take_are_a_fault_of_the_store_and_leave_nothing(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "features", max_bytes=10**7)
    values = np.zeros((1000, 1000), dtype=np.float32)

    def fill() -> None:
        with cache.create({"cut": 1}, values.shape, values.dtype) as writer:
            writer.write(values[:500])
            writer.write(values[500:])

    with files_end_at(3_000_000), pytest.raises(StoreError, match="cannot write") as caught:
        fill()
    assert caught.value.exit_code == 3
    assert "make room" in (caught.value.hint or "")
    assert list(cache.folder.iterdir()) == []
    fill()
    assert cache.open({"cut": 1}) is not None


@dataclass
class FullDisk:
    """A workbench that has no room for jobs of one kind."""

    inner: Workbench
    kind: JobKind

    def run(self, job: Job, emit: Callable[[EpochRecord | RowResult | Progress], None]) -> None:
        if job.kind is not self.kind:
            self.inner.run(job, emit)
            return
        with files_end_at(1000):
            self.inner.run(job, emit)


def without_room_for(kind: JobKind, results: Path) -> MakeExecutor:
    def make(contexts: Sequence[WorkerContext]) -> InlineExecutor:
        return InlineExecutor(FullDisk(one_thread(contexts), kind), results=results)

    return make


@pytest.mark.parametrize("kind", [JobKind.PREPARE, JobKind.TRIALS, JobKind.FINAL, JobKind.EXPLAIN])
def test_a_run_on_a_full_disk_stops_and_goes_on_once_there_is_room(
    make_world: MakeWorld, tmp_path: Path, kind: JobKind
) -> None:
    world = make_world(cache=tmp_path / "cache")
    plain = world.file.read_text()
    world.file.write_text(plain.replace('head = "linear"', 'head = "linear"\naugment = "light"'))  # in no prepared pass
    few = "study.budget.trials=2"
    with pytest.raises(StoreError, match="cannot write") as caught:
        world.run(few, make_executor=without_room_for(kind, world.folder / "results"))
    assert caught.value.exit_code == 3
    assert "make room" in (caught.value.hint or "")
    assert not any(trial.state is TrialState.FAILED for trial in world.trials())
    world.run(few)
    trials = world.trials()
    assert sum(trial.counted for trial in trials) == 2
    assert all(trial.state is TrialState.COMPLETED for trial in trials)
