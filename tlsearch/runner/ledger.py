"""Ledger: the trials and attempts of a study as its one writer knows them: read once, then written through."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tlsearch.records import EpochRecord, FailureReason, TrialRecord, TrialState
from tlsearch.runner.journal import Journal
from tlsearch.store.store import Store
from tlsearch.work import Job, RowResult

# How attempts end that say nothing against their trial; every other end without a result does.
BLAMELESS = (FailureReason.INTERRUPTED, FailureReason.STOPPED)


@dataclass(slots=True)
class _Attempt:
    """One dispatch of a trial: in which job, and how it ended without a result."""

    job: str
    reason: FailureReason | None


class Ledger:
    """What the store holds of a study's trials, without asking it again.

    What is written is written in one transaction with the event that tells of it, and known here once it is on the
    disk.

    Args:
        store: The study's truth.
        study: Its name.
        journal: Of the run.
    """

    def __init__(self, store: Store, study: str, journal: Journal) -> None:
        self._store, self._study, self._journal = store, study, journal
        self._trials = store.trials(study)
        self._attempts: dict[int, list[_Attempt]] = {trial.number: [] for trial in self._trials}
        self._rows: Counter[str] = Counter()  # of each job
        for attempt in store.attempts(study):
            self._attempts[attempt.trial].append(_Attempt(attempt.job, attempt.reason))
            self._rows[attempt.job] += 1
        told = store.events(study, ["told"])
        self._side_by_side = {event.data["trial"]: event.data.get("side_by_side", 1) for event in told}

    @property
    def trials(self) -> Sequence[TrialRecord]:
        """All trials, by number, which count from 0 without gaps."""
        return self._trials

    @property
    def side_by_side(self) -> Mapping[int, int]:
        """Of trials that ended: how many heads shared the time of which a trial's seconds are its share."""
        return self._side_by_side

    def next_attempt(self, trial: int) -> int:
        """The number of a trial's next dispatch: 1 for the first."""
        return len(self._attempts[trial]) + 1

    def add(self, asked: Sequence[TrialRecord], job: Sequence[int]) -> None:
        """Take up trials that were asked for, under the numbers that follow.

        Args:
            asked: Waiting ones, and duplicates that have ended.
            job: The numbers of those that wait, which are to share a job.
        """
        with self._store.together():
            self._store.add_trials(self._study, asked)
            self._journal.event("asked", trials=[trial.number for trial in asked], job=list(job))
        self._trials += asked
        self._attempts |= {trial.number: [] for trial in asked}

    def start(self, job: Job, *, workers: int = 1) -> None:
        """A job is about to be submitted: its rows are new attempts.

        Args:
            job: The job.
            workers: Of this run; another one that finds the job in flight tells by it which were in work.
        """
        started = [(row.trial, row.attempt) for row in job.rows]
        with self._store.together():
            self._store.start_attempts(self._study, job.id, started)
            self._journal.event("dispatched", job=job.id, trials=[list(pair) for pair in started], workers=workers)
        self._rows[job.id] = len(started)
        for trial, attempt in started:
            self._attempts[trial].append(_Attempt(job.id, None))
            self._change(trial, state=TrialState.RUNNING, attempts=attempt)

    def tell(self, results: Sequence[RowResult], epochs: Sequence[EpochRecord]) -> list[TrialRecord]:
        """Take a batch of results in; late ones are noted and not counted. Returns the trials that ended by it."""
        for result in results:
            self._journal.log("result", trial=result.trial, attempt=result.attempt, state=result.state)
        with self._store.together():
            late = self._store.record(self._study, results, epochs)
            told = [result for result in results if all(result is not one for one in late)]
            self._journal.events("notice", [{"text": _late(result)} for result in late])
            self._journal.events("told", [_told(r.trial, r.state, r.score, r.side_by_side) for r in told])
        for result in told:
            self._side_by_side[result.trial] = result.side_by_side
            self._attempts[result.trial][result.attempt - 1].reason = result.reason
            self._change(
                result.trial,
                state=result.state,
                score=result.score,
                fold_scores=result.fold_scores,
                rung_score=result.rung_score,
                reason=result.reason,
                detail=result.detail,
                facts=result.facts,
                seconds=result.seconds,
                probe_seconds=result.probe_seconds,
            )
        return [self._trials[result.trial] for result in told]

    def end_attempts(self, ended: Sequence[tuple[int, int]], reason: FailureReason, detail: str) -> None:
        """End (trial, attempt) pairs that are live without a result: their trials wait for another dispatch."""
        with self._store.together():
            for trial, attempt in ended:
                self._store.end_attempt(self._study, trial, attempt, reason, detail)
                self._journal.event("attempt_ended", trial=trial, attempt=attempt, reason=reason, detail=detail)
        for trial, attempt in ended:
            self._attempts[trial][attempt - 1].reason = reason
            self._change(trial, state=TrialState.WAITING)

    def fail(self, trial: int, reason: FailureReason, detail: str) -> TrialRecord:
        """Fail a trial that waits, and that no result will come of."""
        with self._store.together():
            self._store.fail_trial(self._study, trial, reason, detail)
            self._journal.events("told", [_told(trial, TrialState.FAILED, None)])
        self._change(trial, state=TrialState.FAILED, reason=reason, detail=detail)
        return self._trials[trial]

    def ended_alone(self, trial: int, reasons: Sequence[FailureReason]) -> int:
        """How many of a trial's attempts ended for one of these reasons in a job that held nothing else."""
        return sum(a.reason in reasons and self._rows[a.job] == 1 for a in self._attempts[trial])

    def workers_before(self, default: int) -> int:
        """How many workers the run had that dispatched last."""
        dispatched = self._store.events(self._study, ["dispatched"])
        return int(dispatched[-1].data.get("workers", default)) if dispatched else default

    def left_together(self) -> list[list[TrialRecord]]:
        """What waits of each job, as it was asked for or dispatched: it is dispatched together again.

        Trials whose worker died are each by themselves. The order is that of a run that goes on: what was asked for, or
        left by its worker, first.
        """
        queued: dict[int, int] = {}  # by trial: the event since which it waits for its turn
        for event in self._store.events(self._study, ["asked", "attempt_ended"]):
            if event.kind == "asked":
                queued |= dict.fromkeys(event.data.get("job", ()), event.seq)
            elif event.data["reason"] not in BLAMELESS:  # those keep their turn
                queued[event.data["trial"]] = event.seq
        jobs: dict[str, list[TrialRecord]] = {}
        for record in self._trials:
            if record.state is TrialState.WAITING:
                job = f"asked-{queued[record.number]}" if record.number in queued else f"alone-{record.number}"
                if last := self._attempts[record.number][-1:]:
                    job = last[0].job if last[0].reason in BLAMELESS else f"alone-{record.number}"
                jobs.setdefault(job, []).append(record)
        return sorted(jobs.values(), key=lambda left: queued.get(left[0].number, 0))

    def _change(self, trial: int, **changed: object) -> None:
        self._trials[trial] = replace(self._trials[trial], **changed)  # type: ignore[arg-type]


def _told(trial: int, state: TrialState, score: float | None, side_by_side: int = 1) -> dict[str, object]:
    return {"trial": trial, "state": state, "score": score, "side_by_side": side_by_side}


def _late(result: RowResult) -> str:
    return f"late result of trial {result.trial}, attempt {result.attempt}"
