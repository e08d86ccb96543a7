"""How results enter the store: each once, and only for the attempt that is live; a batch in a few statements."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Table, and_, bindparam, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or

from tlsearch.records import EpochRecord, TrialState
from tlsearch.store import rows
from tlsearch.store.tables import attempts, confirmations, epochs, predictions, trials
from tlsearch.work import JobKind, RowResult

OPEN = (TrialState.WAITING, TrialState.RUNNING)


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


def record_results(c: Connection, study: int, results: Sequence[RowResult]) -> list[RowResult]:
    """Take results in.

    Returns:
        Those that were refused.

    Raises:
        ValueError: A result belongs to no trial.
    """
    foreign = [result.kind for result in results if result.kind not in (JobKind.TRIALS, JobKind.CONFIRM)]
    if foreign:
        raise ValueError(f"a {foreign[0]} job's result is no trial's")
    accepted = _of_live_attempts(c, study, [result for result in results if result.kind is JobKind.TRIALS])
    if accepted:
        _end_attempts(c, study, accepted)
        _end_trials(c, study, accepted)
    accepted += [r for r in results if r.kind is JobKind.CONFIRM and _record_confirmation(c, study, r)]
    _add_predictions(c, study, accepted)
    kept = {id(result) for result in accepted}
    return [result for result in results if id(result) not in kept]


def _of_live_attempts(c: Connection, study: int, results: Sequence[RowResult]) -> list[RowResult]:
    """The results whose attempt is live in that very job, and whose trial has not ended; of a trial the first one."""
    if not results:
        return []
    mine = and_(trials.c.study == attempts.c.study, trials.c.number == attempts.c.trial)
    told = (attempts.c.study == study, attempts.c.trial.in_({result.trial for result in results}))
    live = (
        select(attempts.c.trial, attempts.c.attempt, attempts.c.job)
        .join(trials, mine)
        .where(*told, attempts.c.ended.is_(None), trials.c.state.in_(OPEN))
    )
    waited_for = {tuple(row) for row in c.execute(live)}
    accepted: dict[int, RowResult] = {}
    for result in results:
        if (result.trial, result.attempt, result.job) in waited_for:
            accepted.setdefault(result.trial, result)
    return list(accepted.values())


def _end_attempts(c: Connection, study: int, results: Sequence[RowResult]) -> None:
    key = (attempts.c.study == study, attempts.c.trial == bindparam("of"), attempts.c.attempt == bindparam("which"))
    at = now()
    c.execute(
        update(attempts).where(*key).values(ended=at, reason=bindparam("why"), detail=bindparam("told")),
        [{"of": r.trial, "which": r.attempt, "why": r.reason, "told": r.detail} for r in results],
    )


def _end_trials(c: Connection, study: int, results: Sequence[RowResult]) -> None:
    mine = update(trials).where(trials.c.study == study, trials.c.number == bindparam("of"))
    c.execute(mine, [{"of": result.trial, **rows.ended_trial(result)} for result in results])


def _record_confirmation(c: Connection, study: int, result: RowResult) -> bool:
    """Keep a confirmation, in place of one that failed; one that has a score stays as it is."""
    values = rows.confirmation_row(result)
    row = insert_or(confirmations).values(study=study, **values)
    failed = confirmations.c.score.is_(None)
    kept = row.on_conflict_do_update(index_elements=["study", "trial", "repeat"], set_=values, where=failed)
    return c.execute(kept).rowcount > 0


def _add_predictions(c: Connection, study: int, results: Sequence[RowResult]) -> None:
    answered = [(result, result.log_probs) for result in results if result.log_probs is not None]
    if answered:
        add_rows(c, predictions, study, [rows.prediction_row(result, log_probs) for result, log_probs in answered])
