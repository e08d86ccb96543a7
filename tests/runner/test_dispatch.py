"""Attempts become results exactly once, whatever dies in between."""

from collections.abc import Sequence

import pytest
from dispatch_desk import RECIPE, Desk, dies, does_well, fails, listen, result

from tlsearch.errors import BreakerError
from tlsearch.records import FailureReason, TrialKind, TrialRecord, TrialState
from tlsearch.training.recipe import Phase, Recipe
from tlsearch.work import Job, JobEnded, JobKind, Row, WorkerEvent


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


def test_heads_that_end_group_by_group_are_told_in_the_order_in_which_they_were_asked_for(desk: Desk) -> None:
    def ends_in_pieces(job: Job) -> list[WorkerEvent]:
        return [*(result(job, job.rows[place]) for place in (0, 3, 1, 2)), JobEnded(job=job.id)]

    dispatcher, _ = desk.dispatcher(ends_in_pieces)
    dispatcher.dispatch(desk.ask(4))
    listen(dispatcher)
    assert [event.data["trial"] for event in desk.store.events("s", ["told"])] == [0, 1, 2, 3]


def test_heads_of_a_killed_worker_that_are_on_the_disk_are_kept_and_the_others_asked_again_one_by_one(
    desk: Desk,
) -> None:
    def ends_in_pieces(job: Job) -> list[WorkerEvent]:
        some = [result(job, job.rows[place]) for place in (2, 0)] if len(job.rows) > 1 else []
        return [*some, *dies(job)] if some else does_well(job)

    dispatcher, executor = desk.dispatcher(ends_in_pieces)
    dispatcher.dispatch(desk.ask(4))
    listen(dispatcher)
    assert [[row.trial for row in job.rows] for job in executor.jobs] == [[0, 1, 2, 3], [1], [3]]
    assert [event.data["trial"] for event in desk.store.events("s", ["told"])] == [0, 2, 1, 3]
    assert [desk.attempts(trial) for trial in (0, 1)] == [[(1, None)], [(1, FailureReason.KILLED), (2, None)]]


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
