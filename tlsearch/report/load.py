"""Reads a study from its store into a summary."""

from tlsearch.errors import StoreError
from tlsearch.report.summary import summarise
from tlsearch.report.values import Summary
from tlsearch.store.store import Store

STORED = ("importance", "data_check")  # files that a summary reads


def load_summary(store: Store, study: str) -> Summary:
    """Everything a report may show of a stored study.

    Raises:
        StoreError: Where the store has no such study.
    """
    record = store.study(study)
    if record is None:
        raise StoreError(f"the store has no study '{study}'")
    files = {name: store.get_file(study, name) for name in STORED}
    return summarise(
        record,
        store.trials(study),
        store.confirmations(study),
        store.events(study),
        store.predictions(study),
        {name: data for name, data in files.items() if data is not None},
    )
