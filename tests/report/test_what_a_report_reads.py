"""What a report reads of its store: what it speaks of, however many trials there are."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from tlsearch.report.load import load_evidence, load_summary
from tlsearch.store.reading import Select, StoreReader
from tlsearch.store.rows import Row
from written_study import WrittenStudy

T = TypeVar("T")


class CountingReader(StoreReader):
    """A reader that notes how many rows of which columns it was given."""

    rows: Counter[str]

    def _reading(self, work: Callable[[Select], T]) -> T:
        def counted(select: Select) -> Select:
            def noted(statement: str, *values: str | int) -> Sequence[Row]:
                found = select(statement, *values)
                self.rows.update(column for row in found for column in row)
                return found

            return noted

        return super()._reading(lambda select: work(counted(select)))


def read_by_a_report(trials: int, folder: Path) -> Counter[str]:
    """Rows by column that a summary of a study of so many trials reads."""
    study = WrittenStudy(name="mine", trials=trials, images=12, classes=2)
    with CountingReader.open(study.write(folder / str(trials))) as reader:
        reader.rows = Counter()
        load_summary(reader, "mine")
        return reader.rows


def test_predictions_are_read_of_those_that_could_win_however_many_completed(tmp_path: Path) -> None:
    some, more = read_by_a_report(240, tmp_path), read_by_a_report(300, tmp_path)
    assert more["recipe"] - some["recipe"] == 60, "of every trial it is told how it ended"
    assert 0 < some["log_probs"] == more["log_probs"] < 210


def test_epochs_and_attempts_are_not_read_one_by_one(tmp_path: Path) -> None:
    read = read_by_a_report(24, tmp_path)
    assert (read["train_loss"], read["job"]) == (0, 0)


def test_a_trials_predictions_are_read_once_and_those_of_no_trial_are_refused(tmp_path: Path) -> None:
    url = WrittenStudy(name="mine", trials=6, images=12, classes=2).write(tmp_path)
    with CountingReader.open(url) as reader:
        reader.rows = Counter()
        known = load_evidence(reader, "mine").predictions
        assert (list(known), len(known)) == ([0, 1, 2, 3, 4, 5], 6)
        assert reader.rows["log_probs"] == 0
        assert known[2] is known[2]
        assert reader.rows["log_probs"] == 1
        assert 6 not in known
        with pytest.raises(KeyError):
            _ = known[6]
