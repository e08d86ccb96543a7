"""The next job is asked for while one trains, and what that must not change."""

from collections.abc import Sequence
from dataclasses import replace

from runner_world import MakeWorld, World, one_thread

from tlsearch.execution.inline import InlineExecutor
from tlsearch.records import TrialKind, TrialState
from tlsearch.search import prune_threshold
from tlsearch.training.recipe import Recipe
from tlsearch.work import Job, JobEnded, JobKind, RowResult, WorkerContext, WorkerEvent

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
    one_network = 'backbones=[{name="tiny_a", weights="random"}]'
    begun = watched_run(make_world(), *HEADS_ALONE, one_network, "study.budget.time=1h")
    assert [waiting for _, waiting in begun] == [0] + [1] * (len(begun) - 2) + [0]


def kind_of(recipe: Recipe) -> tuple[str, str, int]:
    (phase,) = recipe.phases
    return recipe.backbone, recipe.head, phase.unfrozen or 0


def foretold(recipe: Recipe, ended: Sequence[Recipe]) -> bool:
    """Whether a trial of that network and head, and as deep, is among those that ended."""
    *parts, depth = kind_of(recipe)
    return any(kind_of(one)[:2] == tuple(parts) and kind_of(one)[2] >= depth for one in ended)


def test_with_a_time_budget_nothing_waits_behind_a_trial_whose_time_nobody_knows(make_world: MakeWorld) -> None:
    world = make_world()
    world.run("study.budget.trials=16", "study.budget.time=1h", "baselines=[]")
    recipes = [Recipe.from_json(trial.recipe) for trial in world.trials()]
    with world.store() as store:
        events = store.events("tiny", ["asked", "told"])
    in_flight: set[int] = set()
    ended: list[Recipe] = []
    ahead = 0
    for event in events:
        if event.kind == "told":
            in_flight.remove(event.data["trial"])
            ended.append(recipes[event.data["trial"]])
            continue
        assert all(foretold(recipes[number], ended) for number in in_flight)
        ahead += bool(in_flight)
        in_flight |= set(event.data["job"])
    assert ahead >= 3
    assert len({kind_of(recipe) for recipe in recipes}) > 3


def test_with_a_time_budget_a_job_of_heads_whose_time_nobody_knows_has_one_row(make_world: MakeWorld) -> None:
    heads = ('search.heads=["linear", "mlp"]', "search.head.mlp.layers=1", "search.head.mlp.hidden=[64, 128]")
    begun = watched_run(
        make_world(), *heads, "search.unfrozen=0", "study.budget.trials=40", "baselines=[]", "study.budget.time=1h"
    )
    ended: list[Recipe] = []
    for job, _ in begun:
        recipes = [row.recipe for row in job.rows]
        assert len(recipes) == 1 or foretold(recipes[0], ended)
        ended += recipes
    assert max(len(job.rows) for job, _ in begun) > 1
    assert len({kind_of(recipe) for recipe in ended}) == 4


class SlowAtLast(FourWorkers):
    """Tells of a trial that took the whole budget, and runs the others as they are."""

    told = 0

    def poll(self, timeout_s: float) -> Sequence[WorkerEvent]:
        return [self._timed(event) for event in super().poll(timeout_s)]

    def _timed(self, event: WorkerEvent) -> WorkerEvent:
        if not isinstance(event, RowResult) or event.kind is not JobKind.TRIALS:
            return event
        self.told += 1
        return replace(event, seconds=3600.0 if self.told == 12 else 0.5)


def test_how_many_trials_there_were_as_the_time_ended_counts_those_that_were_in_work_then(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    watched_run(world, *HEADS_ALONE, "study.budget.trials=40", "study.budget.time=1h", executor=SlowAtLast)
    trials = world.trials()
    assert 12 < len(trials) < 40
    (notice,) = [text for text in world.watch.notices if "the search ends" in text]
    assert f"after {sum(trial.counted for trial in trials)} of 40 trials" in notice


class EndsApart(Watched):
    """Nine workers that take turns, and tell of a job's end after its results; notes what waits then."""

    def __init__(self, contexts: Sequence[WorkerContext], world: World) -> None:
        super().__init__(contexts, world)
        self._ends: list[WorkerEvent] = []
        self.waiting: list[int] = []

    @property
    def capacity(self) -> int:
        return 9

    def poll(self, timeout_s: float) -> Sequence[WorkerEvent]:
        if self._ends:
            self.waiting.append(len(self._waiting))
            return [self._ends.pop()]
        *events, end = super().poll(timeout_s) or [None]
        if isinstance(end, JobEnded) and any(isinstance(e, RowResult) and e.kind is JobKind.TRIALS for e in events):
            self._ends.append(end)
            return events
        return [*events, end] if end is not None else []


def test_a_sampler_that_had_nothing_to_go_by_is_asked_again_as_soon_as_a_trial_has_ended(
    make_world: MakeWorld,
) -> None:
    made: list[EndsApart] = []
    world = make_world()

    def make(contexts: Sequence[WorkerContext]) -> EndsApart:
        made.append(EndsApart(contexts, world))
        return made[-1]

    world.run("search.unfrozen={low=1, high=2}", "study.budget.trials=16", "baselines=[]", make_executor=make)
    first = next(one for one in made if one.waiting).waiting[0]
    assert first > 5, "five of six start-up trials, and what was asked for once the first had told its score"


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
