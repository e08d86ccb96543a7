"""Reads a study from its store: its records as evidence, and what they come to as a summary."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tlsearch.errors import StoreError
from tlsearch.report.evidence import Evidence
from tlsearch.report.summary import summarise
from tlsearch.report.values import Summary
from tlsearch.store.reading import StudyReader

STORED = ("importance", "data_check")  # files that a summary reads


class StoredPredictions(Mapping[int, NDArray[np.float32]]):
    """A study's out-of-fold log-probabilities `(n, C)` by trial; which there are is known at once, each is read when
    it is asked for, once. The store must be open then.
    """

    def __init__(self, store: StudyReader, study: str) -> None:
        self._store = store
        self._study = study
        self._read: dict[int, NDArray[np.float32] | None] = dict.fromkeys(store.predicted(study))

    def __getitem__(self, trial: int) -> NDArray[np.float32]:
        """A trial's; raises KeyError where none are stored."""
        found = self._read[trial]
        if found is None:
            found = self._read[trial] = self._store.predictions(self._study, trials=[trial])[trial]
        return found

    def __contains__(self, trial: object) -> bool:
        return trial in self._read

    def __iter__(self) -> Iterator[int]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)


def load_evidence(store: StudyReader, study: str, files: Sequence[str] = ()) -> Evidence:
    """All records of a stored study; predictions are read as long as the store is open.

    Args:
        store: Holds the study.
        study: The study's name.
        files: Names of the small files to read; those that the study does not have are left out.

    Raises:
        StoreError: Where the store has no such study.
    """
    record = store.study(study)
    if record is None:
        raise StoreError(f"the store has no study '{study}'")
    return Evidence(
        study=record,
        trials=store.trials(study),
        confirmations=store.confirmations(study),
        events=store.events(study),
        predictions=StoredPredictions(store, study),
        files={name: data for name in files if (data := store.get_file(study, name)) is not None},
    )


def load_summary(store: StudyReader, study: str) -> Summary:
    """Everything a report may show of a stored study.

    Raises:
        StoreError: Where the store has no such study.
    """
    return summarise(load_evidence(store, study, STORED))
