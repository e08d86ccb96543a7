"""A disk that fills up between two result lines: told as what it is, and the lines before it stay whole."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tlsearch.errors import StoreError
from tlsearch.execution.results import ResultWriter, read_results
from tlsearch.records import TrialState
from tlsearch.work import JobKind, RowResult


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
