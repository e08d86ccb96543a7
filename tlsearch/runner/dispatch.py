"""Dispatch: trials become attempts, attempts become results, each exactly once; deaths and kills are put right here."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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

WORKER_DEATHS = 3  # with a trial alone in flight, before it counts as the trial's fault
COORDINATOR_DEATHS = 5
FAILURES_AT_THE_START = 5  # in a row: the study stops itself
FAILURES_JUDGED = 10  # from so many trials on, more failures than half stop it
DEATHS = (FailureReason.KILLED, FailureReason.CRASHED, FailureReason.EXITED)


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
    ) -> None:
        self._store, self._study, self._executor = store, study, executor
        self._results, self._journal, self._watcher = results, journal, watcher
        self._folds, self._timeout_s = folds, timeout_s
        self.jobs: dict[str, Job] = {}  # in flight

    def take_over(self) -> None:
        """Settle what an earlier run left: finished attempts are told, the others dispatched again, first of all."""
        open_attempts = self._store.open_attempts(self._study)
        for job, attempts in groupby(open_attempts, key=lambda attempt: attempt.job):
            live = {(attempt.trial, attempt.attempt) for attempt in attempts}
            finished = [r for r in read_results(results_file(self._results, job)) if (r.trial, r.attempt) in live]
            self._record(finished, [])
            for trial, attempt in sorted(live - {(r.trial, r.attempt) for r in finished}):
                self._end_attempt(trial, attempt, FailureReason.INTERRUPTED, "the coordinator went away")
        jobs: dict[str, list[TrialRecord]] = {}
        for record in self._store.trials(self._study):
            if record.state in (TrialState.RUNNING, TrialState.WAITING):
                if self._interruptions_alone(record.number) >= COORDINATOR_DEATHS:
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
        threshold = prune_threshold(history, folds=self._folds)
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
        self.submit(job)

    def submit(self, job: Job) -> None:
        """Send a job that is no attempt of a trial, such as a confirmation."""
        self.jobs[job.id] = job
        self._executor.submit(job)

    def hear(self, timeout_s: float) -> list[RowResult]:
        """Wait for the executor, write down what it tells, and return the results that are no trial's."""
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
        done = {(result.trial, result.attempt) for result in own}
        for ended in heard.ended:
            self._settle(ended, done)
        self._watcher.tick()
        return [result for result in heard.results if result.kind is not JobKind.TRIALS]

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

    def _settle(self, ended: JobEnded, done: set[tuple[int, int]]) -> None:
        """A job is over: what it left undone is dispatched again, or failed where it killed its worker."""
        job = self.jobs.pop(ended.job, None)
        if job is None or job.kind is not JobKind.TRIALS:
            return
        records = {record.number: record for record in self._store.trials(self._study)}
        left = [row for row in job.rows if not records[row.trial].state.ended]
        for row in left:
            reason = ended.reason or FailureReason.INTERRUPTED
            self._end_attempt(row.trial, row.attempt, reason, ended.detail)
        for row in left:
            record = records[row.trial]
            at_fault = len(left) == 1 or ended.blamed == row.trial
            if ended.reason is FailureReason.TIMEOUT and at_fault:
                self._fail(record, FailureReason.TIMEOUT, ended.detail)
            elif ended.reason in DEATHS and self._deaths_alone(row.trial) >= WORKER_DEATHS:
                self._fail(record, ended.reason, ended.detail)
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
        """The job of a trial's last attempt: its rows are dispatched together again."""
        jobs = [attempt.job for attempt in self._store.attempts(self._study) if attempt.trial == trial]
        return jobs[-1] if jobs else f"asked-{trial}"

    def _deaths_alone(self, trial: int) -> int:
        return self._ended_alone(trial, DEATHS)

    def _interruptions_alone(self, trial: int) -> int:
        return self._ended_alone(trial, (FailureReason.INTERRUPTED,))

    def _ended_alone(self, trial: int, reasons: Sequence[FailureReason]) -> int:
        attempts = self._store.attempts(self._study)
        sizes: Mapping[str, int] = {a.job: sum(b.job == a.job for b in attempts) for a in attempts}
        return sum(a.trial == trial and a.reason in reasons and sizes[a.job] == 1 for a in attempts)

    def _break_if_hopeless(self) -> None:
        """Stop a study whose trials fail one after another: something else is wrong."""
        ended = [r for r in self._store.trials(self._study) if r.state.ended and r.kind is not TrialKind.DUPLICATE]
        failed = [record for record in ended if record.state is TrialState.FAILED]
        at_once = len(failed) == len(ended) >= FAILURES_AT_THE_START
        mostly = len(ended) >= FAILURES_JUDGED and len(failed) * 2 > len(ended)
        if at_once or mostly:
            raise BreakerError(
                f"{len(failed)} of {len(ended)} trials failed; the last one: {failed[-1].reason}: {failed[-1].detail}",
                hint="mend the cause, and run the same command again",
            )


def job_id(what: str, of: int | str) -> str:
    """A job's id, unique in the study's life: it names the file of its result lines."""
    return f"{what}-{of}-{uuid.uuid4().hex[:8]}"
