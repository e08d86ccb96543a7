"""Records as rows of the tables, and back. A row that is read has JSON as text."""

import json
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlsearch.execution.codec import pack_array, unpack_array
from tlsearch.records import (
    AttemptRecord,
    ConfirmationRecord,
    EpochRecord,
    Event,
    FailureReason,
    ModelFacts,
    StudyRecord,
    TrialKind,
    TrialRecord,
    TrialState,
    fields_of,
)
from tlsearch.work import RowResult

Row = dict[str, Any]


def escaped(text: str) -> str:
    """Text as the store keeps it, and finds it: what UTF-8 cannot hold is a backslash escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def study_record(row: Row) -> StudyRecord:
    """A row of `studies`."""
    read = {name: json.loads(row[name]) for name in ("config", "definition", "context")}
    return StudyRecord(name=row["name"], created=row["created"], **read)


def trial_row(trial: TrialRecord) -> Row:
    """A row of `trials`, without its study; the number of attempts is counted, not stored."""
    row = fields_of(trial)
    del row["attempts"]
    return {**row, "facts": None if trial.facts is None else fields_of(trial.facts)}


def trial_record(row: Row, attempts: int) -> TrialRecord:
    """A row of `trials`."""
    typed = {
        "kind": TrialKind(row["kind"]),
        "state": TrialState(row["state"]),
        "params": json.loads(row["params"]),
        "recipe": json.loads(row["recipe"]),
        "fold_scores": tuple(json.loads(row["fold_scores"])),
        "reason": _reason(row),
        "facts": None if row["facts"] is None else ModelFacts(**json.loads(row["facts"])),
        "attempts": attempts,
    }
    return TrialRecord(**{**_without_study(row), **typed})


def ended_trial(result: RowResult) -> Row:
    """What a result changes in its row of `trials`."""
    return {
        "state": result.state,
        "score": result.score,
        "fold_scores": list(result.fold_scores),
        "rung_score": result.rung_score,
        "reason": result.reason,
        "detail": result.detail,
        "facts": None if result.facts is None else fields_of(result.facts),
        "seconds": result.seconds,
        "probe_seconds": result.probe_seconds,
    }


def attempt_record(row: Row) -> AttemptRecord:
    """A row of `attempts`."""
    return AttemptRecord(**{**_without_study(row), "reason": _reason(row)})


def epoch_row(epoch: EpochRecord) -> Row:
    """A row of `epochs`, without its study."""
    return {**fields_of(epoch), "train_loss": None if math.isnan(epoch.train_loss) else epoch.train_loss}


def epoch_record(row: Row) -> EpochRecord:
    """A row of `epochs`."""
    loss = row["train_loss"]
    return EpochRecord(**{**_without_study(row), "train_loss": math.nan if loss is None else loss})


def prediction_row(result: RowResult, log_probs: NDArray[np.float32]) -> Row:
    """A row of `predictions`, without its study."""
    images, classes = log_probs.shape
    return {
        "trial": result.trial,
        "repeat": result.repeat,
        "images": images,
        "classes": classes,
        "log_probs": pack_array(log_probs),
    }


def prediction(row: Row) -> NDArray[np.float32]:
    """The log-probabilities of a row of `predictions`, (images, classes)."""
    return unpack_array(row["log_probs"], (row["images"], row["classes"]))


def confirmation_row(result: RowResult) -> Row:
    """A row of `confirmations`, without its study."""
    return {
        "trial": result.trial,
        "repeat": result.repeat,
        "score": result.score,
        "fold_scores": list(result.fold_scores),
        "seconds": result.seconds,
        "reason": result.reason,
        "detail": result.detail,
    }


def confirmation_record(row: Row) -> ConfirmationRecord:
    """A row of `confirmations`."""
    typed = {"fold_scores": tuple(json.loads(row["fold_scores"])), "reason": _reason(row)}
    return ConfirmationRecord(**{**_without_study(row), **typed})


def event_record(row: Row) -> Event:
    """A row of `events`."""
    return Event(**{**_without_study(row), "data": json.loads(row["data"])})


def _without_study(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "study"}


def _reason(row: Row) -> FailureReason | None:
    return None if row["reason"] is None else FailureReason(row["reason"])
