"""Reads a study from its store into a summary."""

from tlsearch.errors import StoreError
from tlsearch.report.summary import summarise
from tlsearch.report.values import Summary
from tlsearch.store.store import Store


def load_summary(store: Store, study: str) -> Summary:
    """Everything a report may show of a stored study.

    Raises:
        StoreError: Where the store has no such study.
    """
    record = store.study(study)
    if record is None:
        raise StoreError(f"the store has no study '{study}'")
    importance = store.get_file(study, "importance")
    return summarise(
        record,
        store.trials(study),
        store.confirmations(study),
        store.events(study),
        store.predictions(study),
        {} if importance is None else {"importance": importance},
    )
