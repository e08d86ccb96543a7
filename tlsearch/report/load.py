"""Reads a study from its store: its records as evidence, and what they come to as a summary."""

from collections.abc import Sequence

from tlsearch.errors import StoreError
from tlsearch.report.evidence import Evidence
from tlsearch.report.summary import summarise
from tlsearch.report.values import Summary
from tlsearch.store.reading import StudyReader

STORED = ("importance", "data_check")  # files that a summary reads


def load_evidence(store: StudyReader, study: str, files: Sequence[str] = ()) -> Evidence:
    """All records of a stored study.

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
        predictions=store.predictions(study),
        files={name: data for name in files if (data := store.get_file(study, name)) is not None},
    )


def load_summary(store: StudyReader, study: str) -> Summary:
    """Everything a report may show of a stored study.

    Raises:
        StoreError: Where the store has no such study.
    """
    return summarise(load_evidence(store, study, STORED))
