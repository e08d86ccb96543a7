"""Dispatch: trials become attempts, attempts become results, each exactly once; deaths and kills are put right here."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from tlsearch.execution.executor import Executor
from tlsearch.records import EpochRecord, FailureReason, TrialKind, TrialRecord
from tlsearch.runner.breaker import Breaker
from tlsearch.runner.jobs import NO_RESULT, POLL_S, WORKER_DEATHS, job_id, lost_result, until_told
from tlsearch.runner.journal import Journal
from tlsearch.runner.ledger import BLAMELESS, Ledger
from tlsearch.runner.leftover import Leftover, how_it_ended, leftovers
from tlsearch.search.racing import prune_threshold
from tlsearch.store.store import Store
from tlsearch.training.recipe import Recipe
from tlsearch.work import Job, JobEnded, JobKind, Progress, Row, RowResult

COORDINATOR_DEATHS = 5
AT_FAULT = tuple(reason for reason in FailureReason if reason not in BLAMELESS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """Who is told what, as it happens."""

    trial: Callable[[TrialRecord], None]
    epoch: Callable[[EpochRecord], None]
    progress: Callable[[Progress], None]
    tick: Callable[[], None]


@dataclass(slots=True)
class Heard:
    """What the executor told and nobody has written down."""

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
        self.ledger = Ledger(store, study, journal)
        self._store, self._study, self._executor = store, study, executor
        self._results, self._journal, self._watcher = results, journal, watcher
        self._folds, self._timeout_s, self._races = folds, timeout_s, races
        self._breaker = Breaker()
        self._heard = Heard()
        self._queue: deque[Sequence[TrialRecord]] = deque()  # jobs that wait for a worker to be free
        self._leftovers: deque[Leftover] = deque()  # in flight, and whole on the disk
        self._in_part: list[Leftover] = []  # on the disk in part: told once the others of their jobs have ended
        self.jobs: dict[str, Job] = {}  # in flight, in the order in which workers take them

    @property
    def room(self) -> int:
        """How many more jobs may be asked for: one waits for all workers; more would be asked for knowing less."""
        return self._executor.capacity + 1 - len(self.jobs) - len(self._queue)

    @property
    def a_worker_is_free(self) -> bool:
        """Whether a job would be begun at once."""
        return len(self.jobs) < self._executor.capacity

    @property
    def in_work(self) -> Mapping[str, Job]:
        """The jobs that workers are busy with."""
        return dict(islice(self.jobs.items(), self._executor.capacity))

    def take_over(self, *, was_stopped: bool) -> None:
        """Settle what an earlier run left, first of all: what is not finished is dispatched again.

        Finished jobs are in flight until `hear` tells of them, one by one, and heads that had ended before others of
        their job are told with these: so what is asked for is as in one run.

        Args:
            was_stopped: Whether that run ended itself, as on Ctrl-C; else it was killed, which a trial may have caused.
        """
        unfinished, workers = 0, self.ledger.workers_before(self._executor.capacity)
        for left in leftovers(self._store, self._study, self._results):
            if not left.unfinished:
                rows = tuple(self._row(trial, attempt) for trial, attempt in left.attempts)
                self.jobs[left.job] = Job(id=left.job, kind=JobKind.TRIALS, rows=rows)
                self._leftovers.append(left)
                continue
            if left.finished:  # the others of its job are another job from now on
                self._in_part.append(left)
            waited = unfinished >= workers
            unfinished += 1
            self.ledger.end_attempts(left.unfinished, *how_it_ended(was_stopped=was_stopped, waited=waited))
        for records in self.ledger.left_together():
            self._dispatch_again(records)
        self._tell_parts()

    def _tell_parts(self) -> None:
        """Tell what had ended before the others of its job; fine-tuned trials, which never wait for others, at once."""
        for left in list(self._in_part):
            rows = [self._row(trial, attempt) for trial, attempt in left.attempts]
            others_ended = all(self.ledger.trials[trial].state.ended for trial, _ in left.unfinished)
            if others_ended or not Job(id=left.job, kind=JobKind.TRIALS, rows=tuple(rows)).ends_together:
                self._in_part.remove(left)
                self._tell(left.finished, [])

    def _dispatch_again(self, records: Sequence[TrialRecord]) -> None:
        (number, *others) = [record.number for record in records]
        if not others and self.ledger.ended_alone(number, (FailureReason.INTERRUPTED,)) >= COORDINATOR_DEATHS:
            detail = f"the coordinator died {COORDINATOR_DEATHS} times with this trial alone in flight"
            self._fail(number, FailureReason.KILLED, detail)
        else:
            self.dispatch(records)

    def dispatch(self, trials: Sequence[TrialRecord]) -> None:
        """Send trials as one job; they share what a job's rows must share.

        It waits at the executor for its turn, so that no worker waits for it; one that may be pruned waits here until
        a worker is free, so that it is compared with all that is known by then.
        """
        self._queue.append(trials)
        self._hand_over()

    def _hand_over(self) -> None:
        while self._queue and (self.a_worker_is_free or not any(map(self._is_raced, self._queue[0]))):
            self._send(self._queue.popleft())

    def _is_raced(self, record: TrialRecord) -> bool:
        return self._races and record.kind is TrialKind.SEARCH and Recipe.from_json(record.recipe).fine_tunes

    def _send(self, trials: Sequence[TrialRecord]) -> None:
        raced = {record.number for record in trials if self._is_raced(record)}
        threshold = prune_threshold(self.ledger.trials, folds=self._folds) if raced else None
        rows = tuple(
            self._row(number, self.ledger.next_attempt(number), prune_below=threshold if number in raced else None)
            for number in (record.number for record in trials)
        )
        job = Job(id=job_id("trials", rows[0].trial), kind=JobKind.TRIALS, rows=rows, timeout_s=self._timeout_s)
        self.ledger.start(job, workers=self._executor.capacity)
        self._submit(job)

    def _row(self, trial: int, attempt: int, *, prune_below: float | None = None) -> Row:
        recipe = Recipe.from_json(self.ledger.trials[trial].recipe)
        return Row(trial=trial, attempt=attempt, recipe=recipe, seed_key=trial, prune_below=prune_below)

    def run(self, job: Job) -> RowResult:
        """Run one job that is no trial's, such as a confirmation, and wait for its one result; see `until_told`."""

        def once(job: Job) -> RowResult:
            self._submit(job)
            return self._result_of(job)

        return until_told(job, once)

    def _result_of(self, job: Job) -> RowResult:
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
        others: list[RowResult] = []
        if self._leftovers:
            left = self._leftovers.popleft()
            self._tell(left.finished, [])
            del self.jobs[left.job]
        else:
            others = self._hear_executor(timeout_s)
        self._tell_parts()
        self._hand_over()
        self._watcher.tick()
        return others

    def _hear_executor(self, timeout_s: float) -> list[RowResult]:
        others = self._listen(timeout_s)
        ended, self._heard.ended = self._heard.ended, []
        over = {event.job for event in ended}
        # what ends together is written down together: with the end of its job
        ready = [r for r in self._heard.results if r.job in over or not self._comes_with_others(r)]
        self._heard.results = [r for r in self._heard.results if all(r is not one for one in ready)]
        self._record(ready, self._epochs_to_record(all_of_them=bool(ready or over)))
        for event in ended:
            job = self.jobs.pop(event.job, None)
            if job is not None and job.kind is JobKind.TRIALS:
                self._settle(job, event)
            elif job is not None and all(result.job != job.id for result in others):
                others.append(lost_result(job, event))
        return others

    def _listen(self, timeout_s: float) -> list[RowResult]:
        """Wait for the executor, sort what it tells, and return the results that are no trial's."""
        others = []
        for event in self._executor.poll(timeout_s):
            match event:
                case RowResult() if event.kind is JobKind.TRIALS:
                    self._heard.results.append(event)
                case RowResult():
                    others.append(event)
                case EpochRecord():
                    self._listen_to_epoch(event)
                case JobEnded():
                    self._heard.ended.append(event)
                case Progress():
                    self._watcher.progress(event)
        return others

    def _listen_to_epoch(self, epoch: EpochRecord) -> None:
        self._journal.log("epoch", trial=epoch.trial, repeat=epoch.repeat, fold=epoch.fold, epoch=epoch.epoch)
        self._watcher.epoch(epoch)
        if epoch.trial >= 0 and epoch.repeat == 0 and epoch.fold >= 0:  # of a trial
            self._heard.epochs.append(epoch)

    def _epochs_to_record(self, *, all_of_them: bool) -> list[EpochRecord]:
        """Take epochs from what was heard: those of heads alone, which are moments, wait for the end of a job."""
        together = [] if all_of_them else [job for job in self.jobs.values() if job.ends_together]
        waiting = {row.trial for job in together for row in job.rows}
        epochs = self._heard.epochs
        self._heard.epochs = [epoch for epoch in epochs if epoch.trial in waiting]
        return [epoch for epoch in epochs if epoch.trial not in waiting]

    def _comes_with_others(self, result: RowResult) -> bool:
        return result.job in self.jobs and self.jobs[result.job].ends_together

    def _record(self, results: Sequence[RowResult], epochs: Sequence[EpochRecord]) -> None:
        """Tell a batch of results in one transaction; late ones are kept aside."""
        if results or epochs:
            for record in self._tell(results, epochs):
                self._breaker.count(record)
            self._breaker.break_if_hopeless()

    def _tell(self, results: Sequence[RowResult], epochs: Sequence[EpochRecord]) -> list[TrialRecord]:
        """The same without the breaker, which counts what was trained in this run."""
        # heads end group by group, and in as many pieces as take their time: the order is not to depend on that
        told = self.ledger.tell(sorted(results, key=lambda result: result.trial), epochs)
        for record in told:
            self._watcher.trial(record)
        return told

    def _settle(self, job: Job, ended: JobEnded) -> None:
        """A job is over: what it left undone is dispatched again, or failed where it killed its worker."""
        left = [row for row in job.rows if not self.ledger.trials[row.trial].state.ended]
        reason, detail = ended.reason or FailureReason.EXCEPTION, ended.detail or NO_RESULT
        if left:
            self.ledger.end_attempts([(row.trial, row.attempt) for row in left], reason, detail)
        for row in left:
            at_fault = len(left) == 1 or ended.blamed == row.trial
            out_of_time = reason is FailureReason.TIMEOUT and at_fault
            if out_of_time or self.ledger.ended_alone(row.trial, AT_FAULT) >= WORKER_DEATHS:
                self._fail(row.trial, reason, detail)
            else:
                self.dispatch([self.ledger.trials[row.trial]])  # one by one after a death in company

    def _fail(self, trial: int, reason: FailureReason, detail: str) -> None:
        record = self.ledger.fail(trial, reason, detail)
        self._breaker.count(record)
        self._watcher.trial(record)
        self._breaker.break_if_hopeless()
