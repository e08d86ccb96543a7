"""What an earlier run left is settled: finished attempts are told, the others run again."""

import pytest
from dispatch_desk import FINE_TUNED, RECIPE, Desk, dies, does_well, failed, fails, listen, result

from tlsearch.errors import BreakerError
from tlsearch.execution.results import ResultWriter, results_file
from tlsearch.records import EpochRecord, FailureReason, TrialState
from tlsearch.training.recipe import Recipe
from tlsearch.work import Job, WorkerEvent


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
    assert desk.states() == [TrialState.RUNNING] * 3, "heads of one job are told together, as in one run"
    listen(second)
    assert [[(row.trial, row.attempt) for row in job.rows] for job in executor.jobs] == [[(0, 2), (2, 2)]]
    assert [trial.score for trial in desk.store.trials("s")] == [0.5, 0.25, 0.5]
    assert desk.attempts(0) == [(1, FailureReason.INTERRUPTED), (2, None)]
    assert desk.attempts(1) == [(1, None)]


def test_a_fine_tuned_trial_that_had_ended_is_told_at_once(desk: Desk) -> None:
    first, executor = desk.dispatcher(does_well)
    first.dispatch(desk.ask(2, FINE_TUNED))
    (job,) = executor.jobs
    with ResultWriter(results_file(desk.folder / "results", job.id)) as writer:
        writer.append(result(job, job.rows[0], score=0.25))
    second, _ = desk.dispatcher(does_well)
    second.take_over(was_stopped=False)
    assert desk.states() == [TrialState.COMPLETED, TrialState.RUNNING]


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


def test_a_user_who_stops_a_study_again_and_again_does_not_fail_its_trial(desk: Desk) -> None:
    desk.dispatcher(does_well)[0].dispatch(desk.ask(1))
    for _ in range(8):
        desk.dispatcher(does_well)[0].take_over(was_stopped=True)
    last, _ = desk.dispatcher(does_well)
    last.take_over(was_stopped=True)
    listen(last)
    assert desk.states() == [TrialState.COMPLETED]
    assert desk.attempts()[-2:] == [(9, FailureReason.STOPPED), (10, None)]


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


@pytest.mark.parametrize("recipe", [RECIPE, FINE_TUNED])  # what may be pruned waits elsewhere
def test_what_a_dead_worker_left_is_run_after_what_waited_already_whether_the_run_is_killed_then_or_not(
    desk: Desk, recipe: Recipe
) -> None:
    first, executor = desk.dispatcher(dies)
    jobs = [desk.ask(3), desk.ask(1, recipe)]
    for job in jobs:
        first.dispatch(job)
    first.hear(0.0)
    executor.worker = does_well
    started = len(executor.jobs)
    second, again = desk.dispatcher(does_well)
    second.take_over(was_stopped=False)
    listen(second)
    assert started > 1
    assert [[row.trial for row in job.rows] for job in again.jobs] == [[3], [0], [1], [2]]


def test_a_raced_trial_whose_worker_died_waits_again_behind_the_one_that_waited(desk: Desk) -> None:
    def order(*, killed: bool) -> list[int]:
        dispatcher, executor = desk.dispatcher(dies)
        one, other = desk.ask(1, FINE_TUNED), desk.ask(1, FINE_TUNED)
        dispatcher.dispatch(one)
        dispatcher.dispatch(other)
        dispatcher.hear(0.0)
        executor.worker = does_well
        executor.jobs.clear()
        if killed:
            dispatcher, executor = desk.dispatcher(does_well)
            dispatcher.take_over(was_stopped=False)
        listen(dispatcher)
        return [job.rows[0].trial - one[0].number for job in executor.jobs]

    assert order(killed=True) == [1, 0]
    assert order(killed=False)[-1:] == [0]


def test_every_trial_that_a_worker_was_busy_with_is_told_so_by_a_run_that_has_fewer_workers(desk: Desk) -> None:
    first, _ = desk.dispatcher(does_well, workers=3)
    for _ in range(4):
        first.dispatch(desk.ask(1))
    second, _ = desk.dispatcher(does_well)
    second.take_over(was_stopped=False)
    interrupted = FailureReason.INTERRUPTED
    first_ends = [desk.attempts(trial)[0][1] for trial in range(4)]
    assert first_ends == [interrupted, interrupted, interrupted, FailureReason.STOPPED]
    third, _ = desk.dispatcher(does_well, workers=4)
    third.take_over(was_stopped=False)
    assert [desk.attempts(trial)[1][1] for trial in range(4)] == [interrupted] + [FailureReason.STOPPED] * 3


def epochs_of(job: Job) -> list[WorkerEvent]:
    return [
        EpochRecord(trial=row.trial, attempt=row.attempt, repeat=0, fold=0, epoch=0, train_loss=0.5, seconds=0.1)
        for row in job.rows
    ]


@pytest.mark.parametrize(("recipe", "kept"), [(FINE_TUNED, 1), (RECIPE, 0)])
def test_epochs_of_a_fine_tuned_trial_are_kept_where_its_result_is_on_the_disk_and_nobody_was_told(
    desk: Desk, recipe: Recipe, kept: int
) -> None:
    first, executor = desk.dispatcher(epochs_of)
    first.dispatch(desk.ask(1, recipe))
    first.hear(0.0)
    (job,) = executor.jobs
    with ResultWriter(results_file(desk.folder / "results", job.id)) as writer:
        writer.append(result(job, job.rows[0]))

    second, _ = desk.dispatcher(does_well)
    second.take_over(was_stopped=False)
    listen(second)
    assert desk.states() == [TrialState.COMPLETED]
    assert len(desk.store.epochs("s")) == kept, "of heads alone an epoch is a moment, and not worth a transaction"
