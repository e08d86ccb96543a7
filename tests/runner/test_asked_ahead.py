"""The next job is asked for while one trains, and what that must not change."""

from collections.abc import Sequence

from runner_world import MakeWorld, World, one_thread

from tlsearch.execution.inline import InlineExecutor
from tlsearch.records import TrialKind, TrialState
from tlsearch.search import prune_threshold
from tlsearch.work import Job, JobKind, WorkerContext, WorkerEvent

HEADS_ALONE = ("search.unfrozen=0", "study.budget.trials=14", "baselines=[]")


class Watched(InlineExecutor):
    """Notes, as each job of trials begins, which jobs wait behind it."""

    def __init__(self, contexts: Sequence[WorkerContext], world: World) -> None:
        super().__init__(one_thread(contexts), results=world.folder / "results")
        self.begun: list[tuple[Job, int]] = []

    def poll(self, timeout_s: float) -> Sequence[WorkerEvent]:
        if self._waiting and self._waiting[0].kind is JobKind.TRIALS:
            self.begun.append((self._waiting[0], len(self._waiting) - 1))
        return super().poll(timeout_s)


def watched_run(world: World, *overrides: str, executor: type[Watched] = Watched) -> list[tuple[Job, int]]:
    """The jobs of a study's trials in order, each with how many waited behind it."""
    made: list[Watched] = []

    def make(contexts: Sequence[WorkerContext]) -> Watched:
        made.append(executor(contexts, world))
        return made[-1]

    world.run(*overrides, make_executor=make)
    return [begun for one in made for begun in one.begun]


def test_a_worker_has_its_next_job_before_it_is_done_with_one(make_world: MakeWorld) -> None:
    begun = watched_run(make_world(), *HEADS_ALONE)
    assert len(begun) > 5
    assert [waiting for _, waiting in begun] == [1] * (len(begun) - 1) + [0]


class FourWorkers(Watched):
    """As if there were four; they take turns."""

    @property
    def capacity(self) -> int:
        return 4


def test_several_workers_share_the_start_up_and_search_by_what_it_told(make_world: MakeWorld) -> None:
    world = make_world()
    begun = watched_run(world, *HEADS_ALONE, executor=FourWorkers)
    with world.store() as store:
        events = store.events("tiny", ["asked", "told"])
    trials = world.trials()
    searched = [trial.number for trial in trials if trial.kind is TrialKind.SEARCH]
    first_search = next(event.seq for event in events if searched[0] in event.data.get("trials", ()))
    assert [len(job.rows) for job, _ in begun] == [1] * 14  # a tenth of the budget
    assert [waiting for _, waiting in begun] == [4] * 10 + [3, 2, 1, 0]  # three in work and one ahead of all
    assert first_search > next(event.seq for event in events if event.kind == "told")


def test_no_budget_is_exceeded_by_what_is_asked_ahead(make_world: MakeWorld) -> None:
    world = make_world()
    begun = watched_run(world, *HEADS_ALONE)
    assert sum(len(job.rows) for job, _ in begun) == 14
    assert sum(trial.counted for trial in world.trials()) == 14


def test_with_a_time_budget_nothing_waits_until_one_trial_has_told_how_long_they_take(make_world: MakeWorld) -> None:
    begun = watched_run(make_world(), *HEADS_ALONE, "study.budget.time=1h")
    assert [waiting for _, waiting in begun] == [0] + [1] * (len(begun) - 2) + [0]


def test_a_trial_that_may_be_pruned_is_compared_with_all_that_ended_before_it_begins(make_world: MakeWorld) -> None:
    world = make_world()
    begun = watched_run(world, "search.unfrozen={low=1, high=2}", "study.budget.trials=16", "baselines=[]")
    trials = world.trials()
    raced = 0
    for place, (job, waiting) in enumerate(begun):
        (row,) = job.rows
        if trials[row.trial].kind is TrialKind.SEARCH:
            ended = [trials[earlier.rows[0].trial] for earlier, _ in begun[:place]]
            assert row.prune_below == prune_threshold(ended, folds=3)
            assert waiting == 0, "what waits for a worker is compared once there is one"
            raced += row.prune_below is not None
    assert raced >= 5
    assert all(trial.state in (TrialState.COMPLETED, TrialState.PRUNED) for trial in trials)
