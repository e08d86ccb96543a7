"""A configuration that could not be scored again: told at once and in the report, and tried again by the next run."""

from collections.abc import Callable, Sequence

from runner_world import MakeWorld, World, one_thread

from tlsearch.execution.inline import InlineExecutor
from tlsearch.records import ConfirmationRecord, EpochRecord, FailureReason, TrialKind, TrialState
from tlsearch.report.load import load_summary
from tlsearch.runner.story import MakeExecutor
from tlsearch.work import Job, JobKind, Progress, RowResult, Workbench, WorkerContext

SMALL = ("study.budget.trials=6", "search.unfrozen=0", "baselines=[]")
TOO_LONG = {"reason": FailureReason.TIMEOUT, "detail": "no result within 60 s"}


class TooSlow:
    """The real workbench, but for confirmations of one trial, which take too long; remembers all confirmations."""

    def __init__(self, real: Workbench, trial: int | None, seen: list[int]) -> None:
        self._real, self._trial, self._seen = real, trial, seen

    def run(self, job: Job, emit: Callable[[EpochRecord | RowResult | Progress], None]) -> None:
        (number, *_) = (row.trial for row in job.rows)
        if job.kind is JobKind.CONFIRM:
            self._seen.append(number)
        if job.kind is JobKind.CONFIRM and number == self._trial:
            emit(RowResult.of(job, job.rows[0], TrialState.FAILED, **TOO_LONG))
        else:
            self._real.run(job, emit)


def too_slow(world: World, trial: int | None, seen: list[int]) -> MakeExecutor:
    def make(contexts: Sequence[WorkerContext]) -> InlineExecutor:
        return InlineExecutor(TooSlow(one_thread(contexts), trial, seen), results=world.folder / "results")

    return make


def confirmations(world: World) -> dict[int, ConfirmationRecord]:
    with world.store() as store:
        return {one.trial: one for one in store.confirmations("tiny")}


def test_a_confirmation_that_took_too_long_is_told_and_tried_again_until_it_has_a_score(make_world: MakeWorld) -> None:
    plain = make_world("plain")
    plain.run(*SMALL)
    first, *others = sorted(plain.trials(), key=lambda trial: (-(trial.score or 0.0), trial.number))[:5]

    world, seen = make_world(), []
    world.run(*SMALL, make_executor=too_slow(world, first.number, seen))
    assert sorted(seen) == sorted(trial.number for trial in (first, *others))
    (notice,) = [text for text in world.watch.notices if "could not be scored again" in text]
    assert f"trial {first.number}, one of the best," in notice
    assert "no result within 60 s" in notice
    assert "a larger run.trial_timeout gives it more time" in notice
    with world.store() as store:
        (failure,) = load_summary(store, "tiny").failures
    assert (failure.reason, failure.trials) == ("timeout when scored again", (first.number,))

    seen.clear()
    assert not world.run(*SMALL, make_executor=too_slow(world, first.number, seen)).was_complete
    assert seen == [first.number], "once a run, and nothing that has a score"

    seen.clear()
    assert not world.run(*SMALL, make_executor=too_slow(world, None, seen)).was_complete
    assert seen == [first.number]
    assert {number: one.score for number, one in confirmations(world).items()} == {
        number: one.score for number, one in confirmations(plain).items()
    }
    with world.store() as store:
        summary = load_summary(store, "tiny")
    assert summary.failures == ()
    assert world.run(*SMALL).was_complete


def test_a_baseline_that_could_not_be_scored_again_is_tried_again_as_well(make_world: MakeWorld) -> None:
    world, seen = make_world(), []
    world.run(*SMALL[:2], make_executor=too_slow(world, 0, seen))
    assert world.trials()[0].kind is TrialKind.BASELINE
    assert 0 in seen
    assert confirmations(world)[0].score is None
    seen.clear()
    assert not world.run(*SMALL[:2], make_executor=too_slow(world, None, seen)).was_complete
    assert seen == [0]
    assert confirmations(world)[0].score is not None
    assert world.run(*SMALL[:2]).was_complete
