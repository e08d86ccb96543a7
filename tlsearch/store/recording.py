"""How a result enters the store: once, and only for the attempt that is live."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Table, and_, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or

from tlsearch.records import EpochRecord, TrialState
from tlsearch.store import rows
from tlsearch.store.tables import attempts, confirmations, epochs, predictions, trials
from tlsearch.work import JobKind, RowResult


def now() -> str:
    """UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def add_rows(c: Connection, table: Table, study: int, added: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of a study."""
    c.execute(insert(table), [{**row, "study": study} for row in added])


def add_epochs(c: Connection, study: int, seen: Sequence[EpochRecord]) -> None:
    """Insert epochs; those that are stored already stay as they are."""
    if seen:
        c.execute(
            insert_or(epochs).on_conflict_do_nothing(), [{**rows.epoch_row(epoch), "study": study} for epoch in seen]
        )


def record_result(c: Connection, study: int, result: RowResult) -> bool:
    """Take one result in.

    Returns:
        Whether it was accepted.

    Raises:
        ValueError: The result belongs to no trial.
    """
    if result.kind is JobKind.CONFIRM:
        return _record_confirmation(c, study, result)
    if result.kind is not JobKind.TRIALS:
        raise ValueError(f"a {result.kind} job's result is no trial's")
    if not _end_attempt(c, study, result):
        return False
    mine = and_(trials.c.study == study, trials.c.number == result.trial)
    c.execute(update(trials).where(mine).values(rows.ended_trial(result)))
    _add_prediction(c, study, result)
    return True


def _end_attempt(c: Connection, study: int, result: RowResult) -> bool:
    """End the attempt that a result belongs to, where it is live in that very job and its trial has not ended."""
    mine = and_(attempts.c.study == study, attempts.c.trial == result.trial, attempts.c.attempt == result.attempt)
    live = and_(mine, attempts.c.job == result.job, attempts.c.ended.is_(None))
    ended = {"ended": now(), "reason": result.reason, "detail": result.detail}
    if c.execute(update(attempts).where(live).values(ended)).rowcount == 0:
        return False
    return not _trial_ended(c, study, result.trial)


def _record_confirmation(c: Connection, study: int, result: RowResult) -> bool:
    """Keep a confirmation, in place of one that failed; one that has a score stays as it is."""
    values = rows.confirmation_row(result)
    row = insert_or(confirmations).values(study=study, **values)
    failed = confirmations.c.score.is_(None)
    kept = row.on_conflict_do_update(index_elements=["study", "trial", "repeat"], set_=values, where=failed)
    if c.execute(kept).rowcount == 0:
        return False
    _add_prediction(c, study, result)
    return True


def _add_prediction(c: Connection, study: int, result: RowResult) -> None:
    if result.log_probs is not None:
        add_rows(c, predictions, study, [rows.prediction_row(result, result.log_probs)])


def _trial_ended(c: Connection, study: int, trial: int) -> bool:
    mine = and_(trials.c.study == study, trials.c.number == trial)
    return TrialState(c.execute(select(trials.c.state).where(mine)).scalar_one()).ended
