"""The holdout: opened once, under the study's lock, for one final model."""

import contextlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tlsearch.errors import StoreError, TlsearchError
from tlsearch.execution.lock import StudyLock
from tlsearch.final_files import SEALED, read_answers, read_final
from tlsearch.records import Event, StudyRecord
from tlsearch.stats import score, score_interval
from tlsearch.store.reading import StudyReader

if TYPE_CHECKING:
    from tlsearch.store.store import Store  # with all that writes, which who only reads does without

OPENED = "holdout_opened"


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldoutScore:
    """What the final model scores on pictures that nothing was chosen by.

    Args:
        n: Pictures.
        accuracy: Share of right labels.
        score: The study's metric, greater is better.
        low: End of the 95 % interval of `score`, which covers other pictures of the same kind.
        high: Likewise.
        metric: The study's metric.
        final: sha256 of the final model's weights: which model it was opened for.
        trial: Whose configuration that model is.
        opened: When, UTC, ISO 8601.
    """

    n: int
    accuracy: float
    score: float
    low: float
    high: float
    metric: str
    final: str
    trial: int
    opened: str


def open_holdout(store: "Store", study: str, final_folder: Path, lock_path: Path | None) -> HoldoutScore | None:
    """Score the sealed answers and record the opening; for a model that it was opened for, what is recorded.

    Args:
        store: Holds the study.
        study: The study's name.
        final_folder: Of the final model.
        lock_path: The coordinator's lock; None where the caller holds it.

    Returns:
        None for a study that kept no holdout.

    Raises:
        BusyError: Where a coordinator runs the study.
        TlsearchError: Where the final model's files cannot be used.
    """
    final = read_final(final_folder)
    if (known := recorded_holdout(store, study, final["digest"])) is not None:
        return known
    record = store.study(study)
    if record is None:
        raise StoreError(f"the store has no study '{study}'")
    if not record.context["holdout_labels"]:
        return None
    with StudyLock(lock_path) if lock_path is not None else contextlib.nullcontext():
        if (known := recorded_holdout(store, study, final["digest"])) is not None:
            return known  # opened while this process waited for its turn
        # nobody sees a figure that is not on record: it is returned only once the event is stored
        data = _score(record, final, final_folder)
        return _from_event(store.add_event(study, OPENED, data))


def final_folder(store: StudyReader, study: str) -> Path | None:
    """The folder of the final model of the configuration that is now chosen; None before a run came to its end.

    A winner that lost and won again keeps its earlier fit, so the last fit need not be the one that counts.
    """
    chosen = store.events(study, kinds=["chosen"])
    if not chosen:
        return None
    fitted = store.events(study, kinds=["final_fitted"])
    folders = [event.data["folder"] for event in fitted if event.data["trial"] == chosen[-1].data["trial"]]
    return Path(folders[-1]) if folders else None


def recorded_holdout(store: StudyReader, study: str, digest: str) -> HoldoutScore | None:
    """What was recorded when the holdout was opened for this final model; None while it is closed for it."""
    for event in store.events(study, kinds=[OPENED]):
        if event.data["final"] == digest:
            return _from_event(event)
    return None


def _score(record: StudyRecord, final: dict[str, Any], folder: Path) -> dict[str, Any]:
    metric, labels = record.context["metric"], record.context["holdout_labels"]
    groups = record.context.get("holdout_groups")
    log_probs = read_answers(folder / SEALED).log_probs
    if len(log_probs) != len(labels):
        raise TlsearchError(f"{folder / SEALED} holds {len(log_probs)} answers for {len(labels)} holdout pictures")
    interval = score_interval(metric, log_probs, labels, groups=groups)
    result = {
        "n": len(labels),
        "accuracy": score("accuracy", log_probs, labels),
        "score": score(metric, log_probs, labels),
        **asdict(interval),
    }
    return {**result, "metric": metric, "final": final["digest"], "trial": final["trial"]}


def _from_event(event: Event) -> HoldoutScore:
    return HoldoutScore(opened=event.at, **event.data)
