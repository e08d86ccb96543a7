"""What an earlier run left is settled: finished attempts are told, the others run again."""

import pytest
from dispatch_desk import Desk, does_well, failed, fails, listen, result

from tlsearch.errors import BreakerError
from tlsearch.execution.results import ResultWriter, results_file
from tlsearch.records import FailureReason, TrialState


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
