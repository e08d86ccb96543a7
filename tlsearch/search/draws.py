"""Draws: the start-up trials of a study, drawn at random and put into jobs, before any result is known."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tlsearch.search.sampler import Asker, derived_seed
from tlsearch.search.space import SearchSpace
from tlsearch.search.startup import Slot
from tlsearch.space import ParamValue
from tlsearch.training.recipe import Recipe

TRIES = 10  # how often a slot is drawn again where another has the same trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """A start-up trial.

    Args:
        params: The searched values.
        recipe: What to train.
        digest: Of the recipe.
        job: Draws with equal numbers form one job.
    """

    params: Mapping[str, ParamValue]
    recipe: Recipe
    digest: str
    job: int


def draw_startup(space: SearchSpace, slots: Sequence[Slot], *, seed: int, rows: int) -> list[Draw]:
    """Draw a trial for each slot, all of them different, and put together what may share a job.

    More slots change nothing of what is drawn for the first ones, only what they share a job with.

    Args:
        space: What may be varied.
        slots: What each trial is given; those for which nothing new is drawn are left out.
        seed: The study's.
        rows: Of a job, at most.

    Returns:
        The trials job by job, each job at the place of its first slot.
    """
    asker = Asker(space, (), sampler="random", seed=derived_seed(seed, 0))
    found: dict[str, tuple[Mapping[str, ParamValue], Recipe]] = {}  # by digest
    for slot in slots:
        for _ in range(TRIES):
            params = asker.ask(slot.fixed())
            recipe = space.recipe(params)
            if (digest := recipe.digest()) not in found:
                found[digest] = params, recipe
                break
    alike: Counter[tuple[object, ...]] = Counter()
    jobs: dict[tuple[object, ...], int] = {}
    draws = []
    for digest, (values, recipe) in found.items():
        shared = space.job_of(values, recipe)
        job = jobs.setdefault((*shared, alike[shared] // rows), len(jobs))
        alike[shared] += 1
        draws.append(Draw(params=values, recipe=recipe, digest=digest, job=job))
    return sorted(draws, key=lambda draw: draw.job)
