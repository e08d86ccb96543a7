"""The store, broken on purpose: each fault is one StoreError, and nothing that was stored is lost."""

import contextlib
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from tlsearch.errors import StoreError
from tlsearch.records import StudyRecord, TrialRecord, TrialState
from tlsearch.store.migrations import LATEST, Migration, migrate
from tlsearch.store.reading import StoreReader
from tlsearch.store.store import Store
from tlsearch.work import RowResult

MakeTrials = Callable[[int], list[TrialRecord]]
MakeResult = Callable[..., RowResult]
EMPTY_STUDY = StudyRecord(name="celebs", config={}, definition={}, context={}, created="now")

HOLD_LOCK = """
import sqlite3, sys, threading
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(f"PRAGMA locking_mode = {sys.argv[2]}")
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
threading.Event().wait(float(sys.argv[3]))
"""


@contextmanager
def locked_elsewhere(path: Path, seconds: float, *, mode: str = "NORMAL") -> Iterator[None]:
    """Another process writes for that long, or to the end of the block; in mode EXCLUSIVE nobody else may read."""
    command = [sys.executable, "-c", HOLD_LOCK, str(path), mode, str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        try:
            yield
        finally:
            holder.kill()


@contextmanager
def failing(message: str, nth: int) -> Iterator[list[str]]:
    """The nth statement that any engine runs raises; yields the statements that were run."""
    seen: list[str] = []

    def run(cursor: sqlite3.Cursor, statement: str, parameters: object, context: object) -> None:
        seen.append(statement)
        if len(seen) == nth:
            raise sqlite3.OperationalError(message)

    for kind in ("do_execute", "do_executemany"):
        event.listen(Engine, kind, run)
    try:
        yield seen
    finally:
        for kind in ("do_execute", "do_executemany"):
            event.remove(Engine, kind, run)


def small_study(url: str, trials: list[TrialRecord], results: list[RowResult]) -> None:
    """Everything that a study of these trials writes; continues where an earlier call broke off."""
    with Store.open(url) as store:
        if store.study("celebs") is None:
            store.define_study(EMPTY_STUDY)
        stored = store.trials("celebs")
        store.add_trials("celebs", trials[len(stored) :])
        for trial, result in zip(store.trials("celebs"), results, strict=True):
            if trial.attempts == 0:
                store.start_attempts("celebs", "j1", [(trial.number, 1)])
            if not trial.state.ended:
                store.record("celebs", [result])
        store.add_event("celebs", "run_ended", {})


def is_whole(url: str) -> bool:
    with StoreReader.open(url) as store:
        states = [trial.state for trial in store.trials("celebs")]
        return states == [TrialState.COMPLETED] and len(store.predictions("celebs")) == 1


def statements_of_a_small_study(url: str, trials: list[TrialRecord], results: list[RowResult]) -> int:
    with failing("", nth=0) as seen:
        small_study(url, trials, results)
    return len(seen)


def test_a_lock_at_any_statement_is_not_noticed(
    tmp_path: Path, make_trials: MakeTrials, make_result: MakeResult
) -> None:
    trials, results = make_trials(1), [make_result(0)]
    total = statements_of_a_small_study(f"sqlite:///{tmp_path / 'whole.db'}", trials, results)
    assert total > 20
    for nth in range(1, total + 1):
        url = f"sqlite:///{tmp_path / f'{nth}.db'}"
        with failing("database is locked", nth):
            small_study(url, trials, results)
        assert is_whole(url)


def test_an_input_output_error_at_any_statement_stops_and_the_next_run_continues(
    tmp_path: Path, make_trials: MakeTrials, make_result: MakeResult
) -> None:
    trials, results = make_trials(1), [make_result(0)]
    total = statements_of_a_small_study(f"sqlite:///{tmp_path / 'whole.db'}", trials, results)
    for nth in range(1, total + 1):
        url = f"sqlite:///{tmp_path / f'{nth}.db'}"
        with failing("disk I/O error", nth), pytest.raises(StoreError, match=r"\.db failed: disk I/O error") as told:
            small_study(url, trials, results)
        assert told.value.exit_code == 3
        small_study(url, trials, results)
        assert is_whole(url)


def in_one_transaction(store: Store, trials: list[TrialRecord]) -> None:
    with store.together():
        store.add_trials("celebs", trials)
        store.add_event("celebs", "asked", {})


@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "COMMIT"])
def test_a_lock_as_several_writes_begin_or_end_together_is_not_noticed(
    store: Store, make_trials: MakeTrials, statement: str
) -> None:
    with failing("", nth=0) as seen:
        in_one_transaction(store, make_trials(2)[:1])
    nth = seen.index(statement) + 1
    with failing("database is locked", nth):
        in_one_transaction(store, make_trials(2)[1:])
    assert [len(store.trials("celebs")), len(store.events("celebs"))] == [2, 2]


def test_a_store_that_was_restored_without_its_journal_is_written_beside_a_reader(tmp_path: Path, url: str) -> None:
    make_store(tmp_path / "made.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "made.db")) as made:
        made.execute(f"VACUUM INTO '{tmp_path / 'study.db'}'")
    with Store.open(url, timeout_s=0.2) as store, contextlib.closing(sqlite3.connect(store.path)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM events").fetchone() == (0,)
        with store.together():
            store.add_event("celebs", "asked", {})
        assert len(store.events("celebs")) == 1


def test_a_short_lock_of_another_process_is_waited_for(store: Store) -> None:
    with locked_elsewhere(store.path, 0.5), Store.open(f"sqlite:///{store.path}", timeout_s=30) as second:
        second.add_event("celebs", "notice")
    assert len(store.events("celebs")) == 1


def test_a_long_lock_of_another_process_names_the_file_and_loses_nothing(url: str) -> None:
    with Store.open(url, timeout_s=1) as store:
        store.define_study(EMPTY_STUDY)
        store.add_event("celebs", "notice")
        with locked_elsewhere(store.path, 60), pytest.raises(StoreError, match=r"study\.db is locked") as told:
            store.add_event("celebs", "notice")
        assert told.value.exit_code == 3
        store.add_event("celebs", "notice")
        assert [happened.seq for happened in store.events("celebs")] == [1, 2]


@pytest.mark.parametrize("opened", [Store, StoreReader])
def test_a_store_that_another_process_holds_for_itself_is_not_opened(
    store: Store, url: str, opened: type[Store | StoreReader]
) -> None:
    store.close()
    with (
        locked_elsewhere(store.path, 60, mode="EXCLUSIVE"),
        pytest.raises(StoreError, match=r"study\.db is locked"),
    ):
        opened.open(url, timeout_s=0.2)


def make_empty(path: Path) -> None:
    path.touch()


def make_garbage(path: Path) -> None:
    path.write_bytes(b"no database at all" * 1000)


def make_short(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\x00")


def make_truncated(path: Path) -> None:
    make_store(path)
    os.truncate(path, path.stat().st_size // 2)


def make_scrambled(path: Path) -> None:
    """Whole by its length and header, but its second page is noise."""
    make_store(path)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\x5a" * 4096)


def make_newer(path: Path) -> None:
    make_store(path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {LATEST + 1}")
    connection.close()


def make_stranger(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE trials (value_id INTEGER)")
    connection.close()


def make_store(path: Path) -> None:
    with Store.open(f"sqlite:///{path}") as store:
        store.define_study(EMPTY_STUDY)


@pytest.mark.parametrize("opened", [Store, StoreReader])
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (make_empty, "is empty"),
        (make_garbage, "is not a SQLite database"),
        (make_short, "is not a SQLite database"),
        (make_truncated, "is truncated"),
        (make_newer, "newer tlsearch"),
        (make_stranger, "another program"),
    ],
)
def test_a_file_that_is_no_store_is_refused_and_left_alone(
    tmp_path: Path, make: Callable[[Path], None], says: str, opened: type[Store | StoreReader]
) -> None:
    path = tmp_path / "study.db"
    make(path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=says) as told:
        opened.open(f"sqlite:///{path}")
    assert told.value.exit_code == 3
    assert "\n" not in told.value.message
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_store_that_was_overwritten_can_be_restored_or_begun_anew(tmp_path: Path, url: str) -> None:
    path = tmp_path / "study.db"
    make_store(path)
    path.write_bytes(random.Random(0).randbytes(path.stat().st_size))
    with pytest.raises(StoreError) as told:
        Store.open(url)
    assert told.value.hint == "restore a copy of it, or move it away and run again"
    path.rename(tmp_path / "damaged.db")
    Store.open(url).close()


def test_a_damaged_page_is_found_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    make_scrambled(path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"malformed|damaged"):
        Store.open(f"sqlite:///{path}")
    assert path.read_bytes() == before


@pytest.mark.parametrize("protected", ["study.db", "."])
def test_a_store_that_cannot_be_written_is_read_and_not_continued(store: Store, url: str, protected: str) -> None:
    store.close()
    place, before = store.path.parent / protected, store.path.read_bytes()
    place.chmod(0o555)
    try:
        with pytest.raises(StoreError, match="read-only"):
            Store.open(url)
        with StoreReader.open(url) as reader:
            assert [study.name for study in reader.studies()] == ["celebs"]
        assert os.listdir(store.path.parent) == ["study.db"]
    finally:
        place.chmod(0o755)
    assert store.path.read_bytes() == before


def test_a_report_reads_while_a_run_writes(store: Store, url: str, make_trials: MakeTrials) -> None:
    with StoreReader.open(url) as reader:
        for trial in make_trials(3):
            store.add_trials("celebs", [trial])
            assert len(reader.trials("celebs")) == trial.number + 1


def test_a_missing_store_is_made_by_a_writer_only(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "celebs" / "study.db"
    with pytest.raises(StoreError, match="there is no store"):
        StoreReader.open(f"sqlite:///{path}")
    assert not path.parent.exists()
    Store.open(f"sqlite:///{path}").close()
    assert list(path.parent.iterdir()) == [path]


def test_a_half_made_store_of_a_killed_process_is_no_obstacle(tmp_path: Path, url: str) -> None:
    (tmp_path / "study.db.new").write_bytes(b"half")
    with Store.open(url) as store:
        assert store.studies() == []
    assert os.listdir(tmp_path) == ["study.db"]


@pytest.mark.parametrize("name", ["a b.db", "what?.db", "{x}.db", "50%.db", "#1.db", "ümlaut.db", "x?mode=ro"])
def test_a_path_is_taken_as_it_stands(tmp_path: Path, name: str) -> None:
    Store.open(f"sqlite:///{tmp_path / name}").close()
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://ann:secret@db.example/tl?password=secret", r"postgresql://ann:\*\*\*@db.example/tl'"),
        ("no url: secret", "the store URL is not a SQLite file"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///a\0b", "names no file"),
    ],
)
def test_a_url_that_names_no_file_is_refused_without_its_password(url: str, says: str) -> None:
    with pytest.raises(StoreError, match=says) as told:
        Store.open(url)
    assert "secret" not in told.value.message


def test_migrations_run_in_order_from_the_version_that_is_there() -> None:
    steps = [
        Migration(version=1, about="", statements=("CREATE TABLE a (x)",)),
        Migration(version=2, about="", statements=("ALTER TABLE a ADD COLUMN y",)),
        Migration(version=3, about="", statements=("INSERT INTO a VALUES (1, 2)",)),
    ]
    connection = sqlite3.connect(":memory:")
    migrate(connection.execute, 0, steps[:1])
    migrate(connection.execute, 1, steps)
    assert connection.execute("SELECT * FROM a").fetchall() == [(1, 2)]
    assert connection.execute("PRAGMA user_version").fetchone() == (3,)
    connection.close()
