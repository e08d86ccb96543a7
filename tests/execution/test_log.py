"""What a worker prints is kept up to a limit."""

from pathlib import Path

import pytest

from tlsearch.execution.log import CappedLog


@pytest.mark.parametrize("piece", [10, 999, 5000])
def test_the_newest_part_is_kept_within_the_limit(tmp_path: Path, piece: int) -> None:
    path = tmp_path / "logs" / "worker-0.log"
    log = CappedLog(path, limit=1000)
    data = b"".join(b"%07d\n" % number for number in range(5000))
    for start in range(0, len(data), piece):
        log.write(data[start : start + piece])
    log.close()
    assert path.read_bytes().endswith(b"0004999\n")
    assert sum(file.stat().st_size for file in path.parent.iterdir()) <= 2000
    assert log.last_words() == "0004999"


def test_last_words_are_one_printable_line(tmp_path: Path) -> None:
    log = CappedLog(tmp_path / "w.log")
    assert log.last_words() == ""
    log.write(b"first\n\xff\x1b[2J \xe2\x80\xae bad \n\n   \n")
    assert log.last_words() == "\N{REPLACEMENT CHARACTER}?[2J ? bad"
    log.write(b"x" * 5000)
    assert len(log.last_words()) == 200
    log.close()


def test_of_a_crash_the_cause_is_told_and_not_the_stack(tmp_path: Path) -> None:
    log = CappedLog(tmp_path / "w.log")
    log.write(b'Fatal Python error: Segmentation fault\n\nCurrent thread 0x1:\n  File "x.py", line 1 in run\n')
    assert log.last_words() == "Fatal Python error: Segmentation fault"
    log.close()


def test_what_comes_before_there_is_a_file_is_kept_with_what_comes_after(tmp_path: Path) -> None:
    log = CappedLog(limit=1000)
    log.write(b"x" * 5000 + b"\n")
    log.write(b"before\n")
    assert log.last_words() == "before"
    log.keep_in(tmp_path / "logs" / "w.log")
    log.write(b"after\n")
    log.close()
    kept = b"".join(file.read_bytes() for file in sorted((tmp_path / "logs").iterdir(), reverse=True))
    assert kept.endswith(b"x\nbefore\nafter\n")
    assert len(kept) <= 2000


def test_a_log_that_ended_before_there_was_a_file_is_kept(tmp_path: Path) -> None:
    log = CappedLog()
    log.write(b"last\n")
    log.close()
    log.keep_in(tmp_path / "w.log")
    assert (tmp_path / "w.log").read_bytes() == b"last\n"
