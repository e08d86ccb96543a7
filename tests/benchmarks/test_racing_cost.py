"""The benchmark of racing: which studies are missing, what a pair tells, and that one way really does not race."""

from pathlib import Path

import pytest

import racing
from racing import Searched, Unhurried
from tlsearch.plugin_sources import load_file
from tlsearch.training.recipe import Phase, Recipe
from tlsearch.work import Job, JobKind, Row

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def study(seed: int, *, races: bool, truth: float = 0.9, seconds: float = 10.0, commit: str = "abc") -> Searched:
    return Searched(seed=seed, races=races, truth=truth, pruned=3 if races else 0, seconds=seconds, commit=commit)


def test_what_was_run_before_is_not_run_again() -> None:
    done = [study(0, races=True), study(0, races=False), study(1, races=False)]
    assert racing.missing(done, 2, "abc") == [(1, True)]
    assert [(on.seed, on.races, off.races) for on, off in racing.pairs(done)] == [(0, True, False)]


def test_both_studies_of_a_pair_are_of_one_commit() -> None:
    done = [study(0, races=True), study(0, races=False, commit="def"), study(1, races=True), study(1, races=False)]
    assert [(on.seed, off.seed) for on, off in racing.pairs(done)] == [(1, 1)]
    assert racing.missing(done, 2, "def") == [(0, True)], "a whole pair of other code is not run again"


def test_racing_is_charged_what_the_final_model_loses() -> None:
    both = [
        (study(0, races=True, truth=0.89), study(0, races=False, seconds=20.0)),
        (study(1, races=True, truth=0.91), study(1, races=False, truth=0.93, seconds=20.0)),
    ]
    value, low, high = racing.gain(both)
    assert value == pytest.approx(-1.5)
    assert low < -1.5 < high
    assert "saves 50 % of a search's time" in racing.page(both)


class Nowhere:
    def run(self, job: Job, emit: object) -> None:
        self.job = job


def test_without_racing_no_row_is_told_when_to_stop() -> None:
    recipe = Recipe(backbone="b", head="linear", phases=(Phase(epochs=2, unfrozen=1),))
    row = Row(trial=0, attempt=1, recipe=recipe, seed_key=0, prune_below=0.7)
    executor = Unhurried(workbench := Nowhere())
    executor.submit(Job(id="trials-0", kind=JobKind.TRIALS, rows=(row,), timeout_s=1.0))
    executor.poll(0.0)
    assert [one.prune_below for one in workbench.job.rows] == [None]


def test_every_draw_has_other_pictures_of_the_same_people(tmp_path: Path) -> None:
    module = load_file(BENCHMARKS / "drawn_people.py").namespace
    one, again, other = (module.load(module.DrawnOptions(draw=draw, pictures=1), tmp_path) for draw in (0, 0, 1))
    assert one.images == again.images
    assert one.classes == other.classes
    assert len(one.images) == 5
    assert {image.path.read_bytes() for image in one.images}.isdisjoint(i.path.read_bytes() for i in other.images)
