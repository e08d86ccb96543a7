"""Stopped anywhere and run again, a study ends as if nobody had stopped it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from runner_world import MakeWorld, World, one_thread, write_study

from tlsearch.execution.inline import InlineExecutor
from tlsearch.records import FailureReason, used_seconds
from tlsearch.work import Job, JobKind, WorkerContext, WorkerEvent


class Stopped(BaseException):
    """Ends a run from within, as a signal does."""


class StoppingExecutor(InlineExecutor):
    """Ends the run at its second job: before that is run, or when results are on the disk and nobody heard.

    Args:
        contexts: As a run gives them.
        results: Folder of result lines.
        written: Of how many jobs that wait then.
    """

    def __init__(self, contexts: Sequence[WorkerContext], results: Path, *, written: int) -> None:
        super().__init__(one_thread(contexts), results=results)
        self._written = written
        self._jobs = 0

    def poll(self, timeout_s: float) -> Sequence[WorkerEvent]:
        self._jobs += bool(self._waiting)
        if self._jobs == 2:
            for _ in range(self._written):
                super().poll(timeout_s)
            raise Stopped
        return super().poll(timeout_s)


def run_with_stops(world: World, *overrides: str, written: Sequence[int] = (1, 0)) -> int:
    """Run the same command until it ends; returns how often it was stopped.

    Args:
        world: Of the study.
        overrides: Of its file.
        written: Of how many jobs each run leaves results on the disk that it has not heard of, in turn.
    """
    for stops in range(200):

        def stopping(contexts: Sequence[WorkerContext], lines: int = written[stops % len(written)]) -> StoppingExecutor:
            return StoppingExecutor(contexts, world.folder / "results", written=lines)

        try:
            world.run(*overrides, make_executor=stopping)
        except Stopped:
            continue
        return stops
    raise AssertionError("it never ends")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, photos: Path, shared_cache: Path) -> tuple[World, World]:
    """The same study, run in one go and stopped at every job."""

    def make() -> World:
        folder = tmp_path_factory.mktemp("run")
        return World(folder=folder, file=write_study(folder, photos), cache=shared_cache)

    straight, stopped = make(), make()
    straight.run("study.budget.trials=16")
    assert run_with_stops(stopped, "study.budget.trials=16") > 16
    return straight, stopped


def test_the_same_trials_are_proposed_and_get_the_same_scores_to_the_bit(both: tuple[World, World]) -> None:
    straight, stopped = both
    for one, other in zip(straight.trials(), stopped.trials(), strict=True):
        assert (one.number, one.kind, one.params, one.recipe) == (other.number, other.kind, other.params, other.recipe)
        assert (one.state, one.score, one.fold_scores) == (other.state, other.score, other.fold_scores)


def test_predictions_and_confirmations_are_the_same(both: tuple[World, World]) -> None:
    with both[0].store() as straight, both[1].store() as stopped:
        for repeat in (0, 1):
            one, other = straight.predictions("tiny", repeat), stopped.predictions("tiny", repeat)
            assert one.keys() == other.keys()
            for number, log_probs in one.items():
                np.testing.assert_array_equal(log_probs, other[number])
        scores = [[(c.trial, c.score) for c in store.confirmations("tiny")] for store in (straight, stopped)]
        choices = [store.events("tiny", ["chosen"])[-1].data["trial"] for store in (straight, stopped)]
    assert scores[0] == scores[1]
    assert choices[0] == choices[1]


def test_the_final_model_is_the_same(both: tuple[World, World]) -> None:
    weights = [next((world.folder / "models").glob("final-*/model.safetensors")).read_bytes() for world in both]
    assert weights[0] == weights[1]


def test_the_pictures_of_the_report_are_the_same(both: tuple[World, World]) -> None:
    with both[0].store() as straight, both[1].store() as stopped:
        assert straight.get_file("tiny", "pictures") == stopped.get_file("tiny", "pictures") is not None
        assert len(stopped.events("tiny", ["pictured"])) == 1


def test_no_trial_ran_twice_where_its_result_was_on_the_disk(both: tuple[World, World]) -> None:
    with both[1].store() as store:
        attempts = store.attempts("tiny")
        trials = store.trials("tiny")
    for trial in trials:
        mine = [attempt for attempt in attempts if attempt.trial == trial.number]
        assert [attempt.attempt for attempt in mine] == list(range(1, len(mine) + 1))
        *lost, last = mine
        assert all(attempt.reason is FailureReason.STOPPED for attempt in lost)
        assert last.reason is None
        assert last.ended is not None
    assert max(trial.attempts for trial in trials) == 2  # stopped before its job, and then done
    assert min(trial.attempts for trial in trials) == 1  # stopped after it: the line was told


@pytest.mark.full
def test_what_is_asked_for_does_not_depend_on_what_was_on_the_disk_when_a_run_was_stopped(
    make_world: MakeWorld,
) -> None:
    straight, stopped = make_world("straight"), make_world("stopped")
    heads_alone = ("search.unfrozen=0", "study.budget.trials=16", "baselines=[]")
    straight.run(*heads_alone)
    assert run_with_stops(stopped, *heads_alone, written=(2, 1)) > 5  # a worker was one job or two ahead
    for one, other in zip(straight.trials(), stopped.trials(), strict=True):
        assert (one.kind, one.params, one.score) == (other.kind, other.params, other.score)


def test_a_run_that_has_nothing_left_to_do_submits_no_job(make_world: MakeWorld) -> None:
    world = make_world()
    jobs: list[JobKind] = []

    class Watching(InlineExecutor):
        def submit(self, job: Job) -> None:
            jobs.append(job.kind)
            super().submit(job)

    def watching(contexts: Sequence[WorkerContext]) -> Watching:
        return Watching(one_thread(contexts), results=world.folder / "results")

    world.run("study.budget.trials=2", "study.budget.time=5h")
    world.run("study.budget.trials=3", "study.budget.time=0.01s", make_executor=watching)
    assert jobs == []  # another budget, so another look, but all of it is used up and all else is known
    assert world.run("study.budget.trials=3", "study.budget.time=0.01s").was_complete


def test_what_an_interrupted_part_took_is_timed_as_well(world: World) -> None:
    def stopping(contexts: Sequence[WorkerContext]) -> StoppingExecutor:
        return StoppingExecutor(contexts, world.folder / "results", written=1)

    with pytest.raises(Stopped):
        world.run("study.budget.trials=2", make_executor=stopping)
    world.run("study.budget.trials=2")
    with world.store() as store:
        events = store.events("tiny")
    stopped = next(event.seq for event in events if event.kind == "run_stopped")
    timed = [event.data["phase"] for event in events if event.kind == "phase_timed" and event.seq < stopped]
    assert timed == ["data", "features"]
    noted = sum(event.data["seconds"] for event in events if event.kind == "phase_timed")
    assert noted == pytest.approx(used_seconds(events), abs=1.0)
