"""A command's workers: warm before there is work, and the same ones for one executor after another."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_workbench import context, job
from worker_helpers import becomes_true, ends, events_until_end, is_running, results

from tlsearch.errors import TlsearchError
from tlsearch.execution.local import LocalExecutor
from tlsearch.execution.pool import WorkerPool
from tlsearch.execution.warm_up import WarmUp
from tlsearch.records import EpochRecord, FailureReason

MakeExecutor = Callable[..., LocalExecutor]


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[WorkerPool]:
    with WorkerPool(tmp_path / "logs") as made:
        yield made


def asking(modules: tuple[str, ...] = (), workers: int = 1, versions: dict[str, str] | None = None) -> WarmUp:
    return WarmUp(workers=workers, threads=1, versions=versions or {}, modules=modules)


def told_process(executor: LocalExecutor, job_id: str) -> int:
    """The process that a job ran in."""
    executor.submit(job(job_id, {"does": "tells its process"}))
    (told,) = results(events_until_end(executor))
    return int(told.detail)


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A note that importing the module `leaves_a_note` writes, into each process's own file."""
    notes = tmp_path / "notes"
    notes.mkdir()
    text = f"import os, pathlib\npathlib.Path({str(notes)!r}, str(os.getpid())).touch()\n"
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "leaves_a_note.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    return notes


def test_a_worker_imports_before_it_is_asked_for_and_then_does_the_work(
    pool: WorkerPool, make_executor: MakeExecutor, imported: Path
) -> None:
    pool.warm_up(asking(("leaves_a_note",)))
    assert becomes_true(lambda: any(imported.iterdir()), within_s=30)
    process = told_process(make_executor(pool=pool), "j1")
    assert [note.name for note in imported.iterdir()] == [str(process)]


def test_the_executor_that_comes_next_has_the_worker_of_the_one_before(
    pool: WorkerPool, make_executor: MakeExecutor
) -> None:
    with make_executor(pool=pool) as first:
        one = told_process(first, "j1")
    with make_executor(context(), context(study="another"), pool=pool) as second:
        assert second.capacity == 2
        second.submit(job("j2", {"does": "tells its process", "takes": 0.5}))
        second.submit(job("j3", {"does": "tells its process", "takes": 0.5}))
        two = {int(told.detail) for told in results(events_until_end(second, jobs=2))}
    assert one in two
    assert len(two) == 2


def test_a_worker_knows_only_the_study_that_it_was_opened_for_last(
    pool: WorkerPool, make_executor: MakeExecutor
) -> None:
    for classes in (("a", "b"), ("a", "b", "c", "d")):
        with make_executor(context(classes=classes), pool=pool) as executor:
            executor.submit(job(f"j{len(classes)}", {}))
            (told,) = results(events_until_end(executor))
            assert told.log_probs is not None
            assert told.log_probs.shape[1] == len(classes)


def test_a_worker_that_died_while_it_waited_is_replaced(pool: WorkerPool, make_executor: MakeExecutor) -> None:
    with make_executor(pool=pool) as first:
        process = told_process(first, "j1")
    os.kill(process, signal.SIGKILL)
    assert becomes_true(lambda: not is_running(process), within_s=10)
    with make_executor(pool=pool) as second:
        assert told_process(second, "j2") != process


def test_a_worker_that_is_still_at_work_is_not_passed_on(pool: WorkerPool, make_executor: MakeExecutor) -> None:
    with make_executor(pool=pool) as first:
        process = told_process(first, "j1")
        first.submit(job("j2", {"does": "hangs"}))
        while not any(isinstance(event, EpochRecord) for event in first.poll(1.0)):
            pass
    assert not is_running(process)
    with make_executor(pool=pool) as second:
        assert told_process(second, "j3") != process


def test_a_worker_of_the_pool_that_dies_at_work_says_why_and_its_place_is_taken(
    pool: WorkerPool, make_executor: MakeExecutor
) -> None:
    pool.warm_up(asking())
    executor = make_executor(pool=pool)
    executor.submit(job("j1", {"does": "is killed"}))
    (end,) = ends(events_until_end(executor))
    assert end.reason is FailureReason.KILLED
    assert is_running(told_process(executor, "j2"))


def test_nobody_is_left_once_the_pool_is_closed(pool: WorkerPool, make_executor: MakeExecutor) -> None:
    with make_executor(context(), context(), pool=pool) as executor:
        executor.submit(job("j1", {"does": "tells its process", "takes": 0.5}))
        executor.submit(job("j2", {"does": "tells its process", "takes": 0.5}))
        processes = [int(told.detail) for told in results(events_until_end(executor, jobs=2))]
    assert all(is_running(process) for process in processes)
    pool.close()
    assert not any(is_running(process) for process in processes)


def test_another_version_is_refused_before_anything_is_imported(
    pool: WorkerPool, make_executor: MakeExecutor, imported: Path
) -> None:
    other = {"numpy": "0.0.1"}
    pool.warm_up(asking(("leaves_a_note",), versions=other))
    executor = make_executor(context(versions=other), pool=pool)
    with pytest.raises(TlsearchError, match=r"numpy is .* here and 0\.0\.1"):
        events_until_end(executor)
    assert list(imported.iterdir()) == []


def test_a_module_that_cannot_be_imported_is_left_to_the_job_that_needs_it(
    pool: WorkerPool, make_executor: MakeExecutor, imported: Path, tmp_path: Path
) -> None:
    pool.warm_up(asking(("no_such_module", "leaves_a_note")))
    assert becomes_true(lambda: any(imported.iterdir()), within_s=30)
    assert is_running(told_process(make_executor(pool=pool), "j1"))
    assert "No module named 'no_such_module'" in (tmp_path / "logs" / "worker-0.log").read_text()


def test_a_first_worker_starts_before_anything_is_known_and_what_it_prints_is_kept_once_there_is_a_place(
    imported: Path, tmp_path: Path
) -> None:
    (tmp_path / "modules" / "prints.py").write_text("print('early', flush=True)\nimport leaves_a_note")
    with WorkerPool() as pool:
        pool.start_first()
        pool.warm_up(asking(("prints",)))
        assert becomes_true(lambda: any(imported.iterdir()), within_s=60)
        assert not (tmp_path / "logs").exists()
        pool.keep_logs(tmp_path / "logs")
    assert "early" in (tmp_path / "logs" / "worker-0.log").read_text()
