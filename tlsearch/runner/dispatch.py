"""Dispatch: trials become attempts, attempts become results, each exactly once; deaths and kills are put right here."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from tlsearch.errors import BreakerError
from tlsearch.execution.executor import Executor
from tlsearch.execution.results import read_results, results_file
from tlsearch.records import EpochRecord, FailureReason, TrialKind, TrialRecord, TrialState
from tlsearch.runner.journal import Journal
from tlsearch.search.racing import prune_threshold
from tlsearch.store.store import Store
from tlsearch.training.recipe import Recipe
from tlsearch.work import Job, JobEnded, JobKind, Progress, Row, RowResult

POLL_S = 0.2
WORKER_DEATHS = 3  # with a trial or another job alone in flight, before it counts as that one's fault
COORDINATOR_DEATHS = 5
FAILURES_AT_THE_START = 5  # in a row: the run stops itself
FAILURES_JUDGED = 10  # from so many trials on, more failures than half stop it
# How attempts end that say nothing against their trial; every other end without a result does.
BLAMELESS = (FailureReason.INTERRUPTED, FailureReason.STOPPED)
AT_FAULT = tuple(reason for reason in FailureReason if reason not in BLAMELESS)
DEATHS = (FailureReason.KILLED, FailureReason.CRASHED, FailureReason.EXITED)
NO_RESULT = "the worker ended the job without a result"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """Who is told what, as it happens."""

    trial: Callable[[TrialRecord], None]
    epoch: Callable[[EpochRecord], None]
    progress: Callable[[Progress], None]
    tick: Callable[[], None]


@dataclass(slots=True)
class Heard:
    """What one poll of the executor brought."""

    results: list[RowResult] = field(default_factory=list)
    epochs: list[EpochRecord] = field(default_factory=list)
    ended: list[JobEnded] = field(default_factory=list)


class Dispatcher:
    """Hands trials to the executor and writes down what comes back: the only writer of trials.

    Args:
        store: The study's truth.
        study: Its name.
        executor: Runs jobs.
        results: Folder of result lines.
        journal: Of the run.
        watcher: Told what happens.
        folds: Of the search.
        timeout_s: For one trial.
        races: Whether a fine-tuning trial may be stopped for its early score. Not with floors: a trial that keeps
            them has a lower score than many that do not.
    """

    def __init__(
        self,
        *,
        store: Store,
        study: str,
        executor: Executor,
        results: Path,
        journal: Journal,
        watcher: Watcher,
        folds: int,
        timeout_s: float,
        races: bool = True,
    ) -> None:
        self._store, self._study, self._executor = store, study, executor
        self._results, self._journal, self._watcher = results, journal, watcher
        self._folds, self._timeout_s, self._races = folds, timeout_s, races
        self._before = {record.number for record in store.trials(study) if record.state.ended}  # this run
        self.jobs: dict[str, Job] = {}  # in flight

    def take_over(self, *, was_stopped: bool) -> None:
        """Settle what an earlier run left: finished attempts are told, the others dispatched again, first of all.

        Args:
            was_stopped: Whether that run ended itself, as on Ctrl-C; else it was killed, which a trial may have caused.
        """
        how = FailureReason.STOPPED if was_stopped else FailureReason.INTERRUPTED
        detail = "the run was stopped" if was_stopped else "the coordinator went away"
        open_attempts = self._store.open_attempts(self._study)
        for job, attempts in groupby(open_attempts, key=lambda attempt: attempt.job):
            live = {(attempt.trial, attempt.attempt) for attempt in attempts}
            finished = [r for r in read_results(results_file(self._results, job)) if (r.trial, r.attempt) in live]
            self._record(finished, [])
            for trial, attempt in sorted(live - {(r.trial, r.attempt) for r in finished}):
                self._end_attempt(trial, attempt, how, detail)
        jobs: dict[str, list[TrialRecord]] = {}
        for record in self._store.trials(self._study):
            if not record.state.ended:
                if self._ended_alone(record.number, (FailureReason.INTERRUPTED,)) >= COORDINATOR_DEATHS:
                    detail = f"the coordinator died {COORDINATOR_DEATHS} times with this trial alone in flight"
                    self._fail(record, FailureReason.KILLED, detail)
                else:
                    jobs.setdefault(self._last_job(record.number), []).append(record)
        for records in jobs.values():
            self.dispatch(records)

    def dispatch(self, trials: Sequence[TrialRecord]) -> None:
        """Send trials as one job; they share what a job's rows must share."""
        attempts = self._store.attempts(self._study)
        history = self._store.trials(self._study)
        threshold = prune_threshold(history, folds=self._folds) if self._races else None
        rows = tuple(
            Row(
                trial=record.number,
                attempt=1 + sum(attempt.trial == record.number for attempt in attempts),
                recipe=(recipe := Recipe.from_json(record.recipe)),
                seed_key=record.number,
                prune_below=threshold if record.kind is TrialKind.SEARCH and recipe.fine_tunes else None,
            )
            for record in trials
        )
        job = Job(id=job_id("trials", rows[0].trial), kind=JobKind.TRIALS, rows=rows, timeout_s=self._timeout_s)
        self._store.start_attempts(self._study, job.id, [(row.trial, row.attempt) for row in rows])
        self._journal.event("dispatched", job=job.id, trials=[[row.trial, row.attempt] for row in rows])
        self._submit(job)

    def run(self, job: Job) -> RowResult:
        """Run one job that is no trial's, such as a confirmation, and wait for its one result; see `until_told`."""
        return until_told(job, self._result_of)

    def _result_of(self, job: Job) -> RowResult:
        self._submit(job)
        while True:
            for result in self.hear(POLL_S):
                if result.job == job.id:
                    return result

    def _submit(self, job: Job) -> None:
        self.jobs[job.id] = job
        self._executor.submit(job)

    def hear(self, timeout_s: float) -> list[RowResult]:
        """Wait for the executor, write down what it tells, and return the results that are no trial's.

        Every job that is no trial's gets a result, a failed one where its worker was lost.
        """
        heard = Heard()
        for event in self._executor.poll(timeout_s):
            match event:
                case RowResult():
                    heard.results.append(event)
                case EpochRecord():
                    heard.epochs.append(event)
                    self._journal.log(
                        "epoch", trial=event.trial, repeat=event.repeat, fold=event.fold, epoch=event.epoch
                    )
                    self._watcher.epoch(event)
                case JobEnded():
                    heard.ended.append(event)
                case Progress():
                    self._watcher.progress(event)
        own = [result for result in heard.results if result.kind is JobKind.TRIALS]
        self._record(own, [epoch for epoch in heard.epochs if epoch.trial >= 0 and self._of_a_trial(epoch)])
        others = [result for result in heard.results if result.kind is not JobKind.TRIALS]
        for ended in heard.ended:
            job = self.jobs.pop(ended.job, None)
            if job is not None and job.kind is JobKind.TRIALS:
                self._settle(job, ended)
            elif job is not None and all(result.job != job.id for result in others):
                others.append(lost_result(job, ended))
        self._watcher.tick()
        return others

    def _of_a_trial(self, epoch: EpochRecord) -> bool:
        return epoch.repeat == 0 and epoch.fold >= 0

    def _record(self, results: Sequence[RowResult], epochs: Sequence[EpochRecord]) -> None:
        """Tell a batch of results in one transaction; late ones are kept aside."""
        if not results and not epochs:
            return
        for result in results:
            self._journal.log("result", trial=result.trial, attempt=result.attempt, state=result.state)
        rejected = {(r.trial, r.attempt) for r in self._store.record(self._study, results, epochs)}
        for result in results:
            if (result.trial, result.attempt) in rejected:
                self._journal.event("notice", text=f"late result of trial {result.trial}, attempt {result.attempt}")
                continue
            self._journal.event("told", trial=result.trial, state=result.state, score=result.score)
            self._watcher.trial(self._trial(result.trial))
        self._break_if_hopeless()

    def _settle(self, job: Job, ended: JobEnded) -> None:
        """A job is over: what it left undone is dispatched again, or failed where it killed its worker."""
        records = {record.number: record for record in self._store.trials(self._study)}
        left = [row for row in job.rows if not records[row.trial].state.ended]
        reason, detail = ended.reason or FailureReason.EXCEPTION, ended.detail or NO_RESULT
        for row in left:
            self._end_attempt(row.trial, row.attempt, reason, detail)
        for row in left:
            record = records[row.trial]
            at_fault = len(left) == 1 or ended.blamed == row.trial
            out_of_time = reason is FailureReason.TIMEOUT and at_fault
            if out_of_time or self._ended_alone(row.trial, AT_FAULT) >= WORKER_DEATHS:
                self._fail(record, reason, detail)
            else:
                self.dispatch([record])  # one by one after a death in company

    def _fail(self, record: TrialRecord, reason: FailureReason, detail: str) -> None:
        self._store.fail_trial(self._study, record.number, reason, detail)
        self._journal.event("told", trial=record.number, state=TrialState.FAILED, score=None)
        self._watcher.trial(self._trial(record.number))
        self._break_if_hopeless()

    def _end_attempt(self, trial: int, attempt: int, reason: FailureReason, detail: str) -> None:
        self._store.end_attempt(self._study, trial, attempt, reason, detail)
        self._journal.event("attempt_ended", trial=trial, attempt=attempt, reason=reason, detail=detail)

    def _trial(self, number: int) -> TrialRecord:
        return next(record for record in self._store.trials(self._study) if record.number == number)

    def _last_job(self, trial: int) -> str:
        """The job of a trial's last attempt: its rows are dispatched together again, unless its worker died."""
        attempts = [attempt for attempt in self._store.attempts(self._study) if attempt.trial == trial]
        together = attempts and attempts[-1].reason in BLAMELESS
        return attempts[-1].job if together else f"alone-{trial}"

    def _ended_alone(self, trial: int, reasons: Sequence[FailureReason]) -> int:
        attempts = self._store.attempts(self._study)
        sizes: Mapping[str, int] = {a.job: sum(b.job == a.job for b in attempts) for a in attempts}
        return sum(a.trial == trial and a.reason in reasons and sizes[a.job] == 1 for a in attempts)

    def _break_if_hopeless(self) -> None:
        """Stop a run whose trials fail one after another: something else is wrong.

        Earlier runs don't count: their cause may have been mended.
        """
        ended = [
            record
            for record in self._store.trials(self._study)
            if record.state.ended and record.kind is not TrialKind.DUPLICATE and record.number not in self._before
        ]
        failed = [record for record in ended if record.state is TrialState.FAILED]
        at_once = len(failed) == len(ended) >= FAILURES_AT_THE_START
        mostly = len(ended) >= FAILURES_JUDGED and len(failed) * 2 > len(ended)
        if at_once or mostly:
            raise BreakerError(
                f"{len(failed)} of {len(ended)} trials failed; the last one: {failed[-1].reason}: {failed[-1].detail}",
                hint="mend the cause, and run the same command again",
            )


def until_told(job: Job, run: Callable[[Job], RowResult]) -> RowResult:
    """Run a job that is no trial's until a worker lives to tell of it.

    A worker that dies gives the job another chance; where that was the last one, the result is a failed one.

    Args:
        job: Gets an id of its own at each try.
        run: Runs it once, and waits for its one result: `lost_result` where its worker died.
    """
    for attempt in range(1, WORKER_DEATHS + 1):
        result = run(replace(job, id=f"{job.id}-{attempt}"))
        if result.reason not in DEATHS:
            break
    return result


def lost_result(job: Job, ended: JobEnded) -> RowResult:
    """The result of a job that is no trial's and ended without one."""
    reason, detail = ended.reason or FailureReason.EXCEPTION, ended.detail or NO_RESULT
    return RowResult.of(job, job.rows[0], TrialState.FAILED, reason=reason, detail=detail)


def job_id(what: str, of: int | str) -> str:
    """A job's id, unique in the study's life: it names the file of its result lines."""
    return f"{what}-{of}-{uuid.uuid4().hex[:8]}"
