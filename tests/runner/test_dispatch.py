"""Attempts become results exactly once, whatever dies in between."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from tlsearch.errors import BreakerError
from tlsearch.execution.results import ResultWriter, results_file
from tlsearch.records import FailureReason, ModelFacts, StudyRecord, TrialKind, TrialRecord, TrialState
from tlsearch.runner.dispatch import Dispatcher, Watcher
from tlsearch.runner.journal import Journal
from tlsearch.store.store import Store
from tlsearch.training.recipe import Phase, Recipe
from tlsearch.work import Job, JobEnded, JobKind, Row, RowResult, WorkerEvent

STUDY = StudyRecord(name="s", config={}, definition={}, context={}, created="now")
RECIPE = Recipe(backbone="tiny_a", head="linear", phases=(Phase(epochs=1),))
FACTS = ModelFacts(unfrozen=0, stages=4, cut="x", parameters=9, trained_parameters=1, macs=9, trained_macs=1)
Worker = Callable[[Job], Sequence[WorkerEvent]]


class Scripted:
    """An executor whose worker is a function of the job."""

    capacity = 1

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.jobs: list[Job] = []
        self._waiting: list[Job] = []

    def submit(self, job: Job) -> None:
        self.jobs.append(job)
        self._waiting.append(job)

    def poll(self, timeout_s: float) -> Sequence[WorkerEvent]:
        return self.worker(self._waiting.pop(0)) if self._waiting else []

    def close(self, grace_s: float) -> None:
        self._waiting.clear()


def result(job: Job, row: Row, **changed: object) -> RowResult:
    log_probs = np.log(np.full((4, 2), 0.5, dtype=np.float32))
    done = {"state": TrialState.COMPLETED, "score": 0.5, "fold_scores": (0.5,), "log_probs": log_probs, "facts": FACTS}
    mine = {"job": job.id, "kind": job.kind, "trial": row.trial, "attempt": row.attempt, "repeat": job.repeat}
    return RowResult(**{**mine, **done, **changed})


def failed(job: Job, row: Row) -> RowResult:
    why = {"state": TrialState.FAILED, "reason": FailureReason.NON_FINITE, "detail": "nan", "score": None}
    return result(job, row, log_probs=None, **why)


def does_well(job: Job) -> list[WorkerEvent]:
    return [*(result(job, row) for row in job.rows), JobEnded(job=job.id)]


def fails(job: Job) -> list[WorkerEvent]:
    return [*(failed(job, row) for row in job.rows), JobEnded(job=job.id)]


def dies(job: Job) -> list[WorkerEvent]:
    return [JobEnded(job=job.id, reason=FailureReason.KILLED, detail="SIGKILL")]


class Desk:
    """A store with waiting trials, and dispatchers on it: each as a run of its own has one."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self.store = folder, store
        self._newest: Dispatcher | None = None
        store.define_study(STUDY)

    def ask(self, count: int) -> list[TrialRecord]:
        first = len(self.store.trials("s"))
        records = [
            TrialRecord(
                number=first + n,
                kind=TrialKind.SEARCH,
                state=TrialState.WAITING,
                params={},
                recipe=RECIPE.to_json(),
            )
            for n in range(count)
        ]
        if self._newest is None:
            self.store.add_trials("s", records)
        else:
            self._newest.ledger.add(records, [record.number for record in records])
        return records

    def dispatcher(self, worker: Worker) -> tuple[Dispatcher, Scripted]:
        executor = Scripted(worker)
        nobody = Watcher(trial=lambda _: None, epoch=lambda _: None, progress=lambda _: None, tick=lambda: None)
        journal = Journal(self.store, "s", self.folder / "events.jsonl", began=0.0)
        made = Dispatcher(
            store=self.store,
            study="s",
            executor=executor,
            results=self.folder / "results",
            journal=journal,
            watcher=nobody,
            folds=3,
            timeout_s=60,
        )
        self._newest = made
        return made, executor

    def states(self) -> list[TrialState]:
        return [trial.state for trial in self.store.trials("s")]

    def attempts(self, trial: int = 0) -> list[tuple[int, FailureReason | None]]:
        return [(a.attempt, a.reason) for a in self.store.attempts("s") if a.trial == trial]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Store.open(f"sqlite:///{tmp_path / 's.db'}") as store:
        yield Desk(tmp_path, store)


def listen(dispatcher: Dispatcher) -> None:
    """Until nothing is in flight; a study that never ends would be a fault, so there is a limit."""
    for _ in range(50):
        if not dispatcher.jobs:
            return
        dispatcher.hear(0.0)
    raise AssertionError(f"still in flight: {dispatcher.jobs}")


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (FailureReason.KILLED, FailureReason.KILLED),
        (FailureReason.EXCEPTION, FailureReason.EXCEPTION),  # the workbench itself broke
        (FailureReason.OUT_OF_MEMORY, FailureReason.OUT_OF_MEMORY),
        (None, FailureReason.EXCEPTION),  # a worker that says "done" without a result
    ],
)
def test_a_trial_that_loses_its_worker_three_times_fails_with_the_reason(
    desk: Desk, reason: FailureReason | None, told: FailureReason
) -> None:
    dispatcher, executor = desk.dispatcher(lambda job: [JobEnded(job=job.id, reason=reason, detail="so")])
    dispatcher.dispatch(desk.ask(1))
    listen(dispatcher)
    assert len(executor.jobs) == 3
    assert desk.attempts() == [(1, told), (2, told), (3, told)]
    (trial,) = desk.store.trials("s")
    assert (trial.state, trial.reason, trial.detail) == (TrialState.FAILED, told, "so")


def test_after_a_death_in_company_each_trial_gets_a_job_of_its_own_and_none_is_blamed(desk: Desk) -> None:
    dispatcher, executor = desk.dispatcher(lambda job: dies(job) if len(job.rows) > 1 else does_well(job))
    dispatcher.dispatch(desk.ask(3))
    listen(dispatcher)
    assert [len(job.rows) for job in executor.jobs] == [3, 1, 1, 1]
    assert desk.states() == [TrialState.COMPLETED] * 3


def test_trials_told_before_their_worker_died_are_not_run_again(desk: Desk) -> None:
    def dies_at_the_second(job: Job) -> list[WorkerEvent]:
        return [result(job, job.rows[0]), *dies(job)] if len(job.rows) > 1 else does_well(job)

    dispatcher, executor = desk.dispatcher(dies_at_the_second)
    dispatcher.dispatch(desk.ask(3))
    listen(dispatcher)
    assert [[row.trial for row in job.rows] for job in executor.jobs] == [[0, 1, 2], [1], [2]]
    assert desk.attempts(0) == [(1, None)]
    assert desk.attempts(1) == [(1, FailureReason.KILLED), (2, None)]


def test_a_trial_that_takes_too_long_fails_at_once(desk: Desk) -> None:
    dispatcher, executor = desk.dispatcher(
        lambda job: [JobEnded(job=job.id, reason=FailureReason.TIMEOUT, detail="60 s")]
    )
    dispatcher.dispatch(desk.ask(1))
    listen(dispatcher)
    assert len(executor.jobs) == 1
    assert desk.store.trials("s")[0].reason is FailureReason.TIMEOUT


def test_a_late_result_of_a_lost_attempt_is_noted_and_never_counted(desk: Desk) -> None:
    lost: list[Job] = []

    def loses_the_first(job: Job) -> list[WorkerEvent]:
        if not lost:
            lost.append(job)
            return dies(job)
        return [result(lost[0], lost[0].rows[0], score=0.9), *does_well(job)]

    dispatcher, _ = desk.dispatcher(loses_the_first)
    dispatcher.dispatch(desk.ask(1))
    listen(dispatcher)
    assert desk.store.trials("s")[0].score == 0.5
    assert [event.data["text"] for event in desk.store.events("s", ["notice"])] == ["late result of trial 0, attempt 1"]
    assert len(desk.store.events("s", ["told"])) == 1


def other_job() -> Job:
    return Job(id="confirm-0", kind=JobKind.CONFIRM, rows=(Row(trial=0, attempt=1, recipe=RECIPE),), repeat=1)


def test_a_confirmation_whose_worker_dies_twice_is_tried_a_third_time(desk: Desk) -> None:
    seen: list[str] = []

    def dies_twice(job: Job) -> Sequence[WorkerEvent]:
        seen.append(job.id)
        return dies(job) if len(seen) < 3 else does_well(job)

    dispatcher, _ = desk.dispatcher(dies_twice)
    assert dispatcher.run(other_job()).score == 0.5
    assert len(set(seen)) == 3  # a file of result lines for each


def test_a_confirmation_whose_worker_always_dies_ends_as_failed(desk: Desk) -> None:
    dispatcher, executor = desk.dispatcher(dies)
    lost = dispatcher.run(other_job())
    assert (lost.state, lost.reason, lost.detail) == (TrialState.FAILED, FailureReason.KILLED, "SIGKILL")
    assert (lost.kind, lost.trial, lost.repeat) == (JobKind.CONFIRM, 0, 1)
    assert len(executor.jobs) == 3


def test_what_a_killed_coordinator_left_is_told_where_a_line_is_on_the_disk_and_else_run_together_again(
    desk: Desk,
) -> None:
    first, executor = desk.dispatcher(does_well)
    first.dispatch(desk.ask(3))  # and nobody listens any more
    (job,) = executor.jobs
    with ResultWriter(results_file(desk.folder / "results", job.id)) as writer:
        writer.append(result(job, job.rows[1], score=0.25))

    second, executor = desk.dispatcher(does_well)
    second.take_over(was_stopped=False)
    assert desk.states() == [TrialState.RUNNING, TrialState.COMPLETED, TrialState.RUNNING]
    listen(second)
    assert [[(row.trial, row.attempt) for row in job.rows] for job in executor.jobs] == [[(0, 2), (2, 2)]]
    assert [trial.score for trial in desk.store.trials("s")] == [0.5, 0.25, 0.5]
    assert desk.attempts(0) == [(1, FailureReason.INTERRUPTED), (2, None)]
    assert desk.attempts(1) == [(1, None)]


def test_jobs_that_were_in_flight_side_by_side_are_taken_over_each_as_it_was(desk: Desk) -> None:
    first, _ = desk.dispatcher(does_well)
    zero, one, two, three = desk.ask(4)
    first.dispatch([zero, two])
    first.dispatch([one, three])
    second, executor = desk.dispatcher(does_well)
    second.take_over(was_stopped=False)
    assert [[row.trial for row in job.rows] for job in executor.jobs] == [[0, 2], [1, 3]]


def test_trials_that_were_asked_for_and_never_dispatched_are_run(desk: Desk) -> None:
    desk.ask(2)
    dispatcher, _ = desk.dispatcher(does_well)
    dispatcher.take_over(was_stopped=False)
    listen(dispatcher)
    assert desk.states() == [TrialState.COMPLETED] * 2
    assert desk.attempts(1) == [(1, None)]


def test_a_trial_that_five_coordinators_died_with_fails_and_the_sixth_goes_on(desk: Desk) -> None:
    trials = desk.ask(1)
    desk.dispatcher(does_well)[0].dispatch(trials)
    for _ in range(4):
        desk.dispatcher(does_well)[0].take_over(was_stopped=False)
    assert desk.states() == [TrialState.RUNNING]
    last, executor = desk.dispatcher(does_well)
    last.take_over(was_stopped=False)
    assert not executor.jobs
    assert desk.states() == [TrialState.FAILED]


def test_a_trial_that_waited_behind_the_one_that_coordinators_died_with_is_not_suspected(desk: Desk) -> None:
    first, second = desk.ask(2)
    dispatcher, _ = desk.dispatcher(does_well)
    dispatcher.dispatch([first])
    dispatcher.dispatch([second])
    for _ in range(4):
        desk.dispatcher(does_well)[0].take_over(was_stopped=False)
    last, executor = desk.dispatcher(does_well)
    last.take_over(was_stopped=False)
    assert [[row.trial for row in job.rows] for job in executor.jobs] == [[1]]
    listen(last)
    assert desk.states() == [TrialState.FAILED, TrialState.COMPLETED]
    assert {reason for _, reason in desk.attempts(1)} == {FailureReason.STOPPED, None}


def test_trials_that_were_asked_for_together_and_never_dispatched_share_a_job(desk: Desk) -> None:
    desk.dispatcher(does_well)  # which the run was killed with
    desk.ask(2)
    desk.ask(1)
    dispatcher, executor = desk.dispatcher(does_well)
    dispatcher.take_over(was_stopped=False)
    assert [[row.trial for row in job.rows] for job in executor.jobs] == [[0, 1], [2]]


def test_results_that_come_together_are_written_down_with_the_end_of_their_job(desk: Desk) -> None:
    told: list[int] = []

    def one_event_a_poll(job: Job) -> list[WorkerEvent]:
        return [result(job, job.rows[0])]

    dispatcher, executor = desk.dispatcher(one_event_a_poll)
    dispatcher.dispatch(desk.ask(2))
    dispatcher.hear(0.0)
    told.append(len(desk.store.events("s", ["told"])))
    (job,) = executor.jobs
    executor.worker = lambda _: [result(job, job.rows[1]), JobEnded(job=job.id)]
    executor.submit(job)
    dispatcher.hear(0.0)
    told.append(len(desk.store.events("s", ["told"])))
    assert told == [0, 2]


def test_a_user_who_stops_a_study_again_and_again_does_not_fail_its_trial(desk: Desk) -> None:
    desk.dispatcher(does_well)[0].dispatch(desk.ask(1))
    for _ in range(8):
        desk.dispatcher(does_well)[0].take_over(was_stopped=True)
    last, _ = desk.dispatcher(does_well)
    last.take_over(was_stopped=True)
    listen(last)
    assert desk.states() == [TrialState.COMPLETED]
    assert desk.attempts()[-2:] == [(9, FailureReason.STOPPED), (10, None)]


def test_five_failures_at_the_start_stop_the_run_and_name_the_last_one(desk: Desk) -> None:
    dispatcher, _ = desk.dispatcher(fails)
    for trial in desk.ask(5):
        dispatcher.dispatch([trial])
    with pytest.raises(BreakerError, match="5 of 5 trials failed; the last one: non_finite: nan") as caught:
        listen(dispatcher)
    assert caught.value.exit_code == 4


def test_more_failures_than_half_of_ten_stop_the_run(desk: Desk) -> None:
    dispatcher, _ = desk.dispatcher(lambda job: fails(job) if job.rows[0].trial % 5 in (1, 3, 4) else does_well(job))
    for trial in desk.ask(10):
        dispatcher.dispatch([trial])
    with pytest.raises(BreakerError, match="6 of 10"):
        listen(dispatcher)


def test_once_the_cause_is_mended_earlier_failures_stop_no_run(desk: Desk) -> None:
    broken, _ = desk.dispatcher(fails)
    for trial in desk.ask(5):
        broken.dispatch([trial])
    with pytest.raises(BreakerError):
        listen(broken)
    mended, _ = desk.dispatcher(does_well)
    for trial in desk.ask(6):
        mended.dispatch([trial])
    again, _ = desk.dispatcher(lambda job: fails(job) if job.rows[0].trial == 11 else does_well(job))
    listen(mended)
    again.dispatch(desk.ask(1))
    listen(again)
    assert desk.states().count(TrialState.COMPLETED) == 6


def test_finished_jobs_of_an_earlier_run_are_in_flight_until_they_are_told_one_after_another(desk: Desk) -> None:
    first, executor = desk.dispatcher(does_well)
    first.dispatch(desk.ask(2))
    first.dispatch(desk.ask(2))
    for job in executor.jobs:
        with ResultWriter(results_file(desk.folder / "results", job.id)) as writer:
            writer.append(*(result(job, row) for row in job.rows))

    second, executor = desk.dispatcher(does_well)
    second.take_over(was_stopped=False)
    seen = [(second.room, desk.states().count(TrialState.COMPLETED))]
    while second.jobs:
        second.hear(0.0)
        seen.append((second.room, desk.states().count(TrialState.COMPLETED)))
    assert seen == [(0, 0), (1, 2), (2, 4)]
    assert not executor.jobs


@pytest.mark.parametrize("rows", [8, 9])
def test_failures_that_an_earlier_run_left_on_the_disk_do_not_stop_the_run_that_finds_them(
    desk: Desk, rows: int
) -> None:
    broken, executor = desk.dispatcher(fails)
    broken.dispatch(desk.ask(rows))
    (job,) = executor.jobs
    with ResultWriter(results_file(desk.folder / "results", job.id)) as writer:
        writer.append(*(failed(job, row) for row in job.rows[:8]))

    mended, _ = desk.dispatcher(does_well)
    mended.take_over(was_stopped=True)
    listen(mended)
    assert desk.states() == [TrialState.FAILED] * 8 + [TrialState.COMPLETED] * (rows - 8)


def test_only_what_the_search_fine_tunes_is_raced(desk: Desk) -> None:
    fine_tuned = Recipe(backbone="tiny_a", head="linear", phases=(Phase(epochs=1, unfrozen=1),))

    def trial(number: int, kind: TrialKind, recipe: Recipe, **changed: object) -> TrialRecord:
        told = {"number": number, "kind": kind, "state": TrialState.WAITING, "params": {}, "recipe": recipe.to_json()}
        return TrialRecord(**{**told, **changed})

    done = {"state": TrialState.COMPLETED, "score": 0.6, "fold_scores": (0.6, 0.6, 0.6)}
    desk.store.add_trials("s", [trial(number, TrialKind.STARTUP, fine_tuned, **done) for number in range(6)])
    asked = [
        trial(6, TrialKind.SEARCH, fine_tuned),
        trial(7, TrialKind.SEARCH, RECIPE),
        trial(8, TrialKind.STARTUP, fine_tuned),
        trial(9, TrialKind.BASELINE, fine_tuned, name="theirs"),
    ]
    dispatcher, executor = desk.dispatcher(does_well)
    dispatcher.ledger.add(asked, [record.number for record in asked])
    for record in asked:
        dispatcher.dispatch([record])
    assert [job.rows[0].prune_below for job in executor.jobs] == [0.6, None, None, None]
