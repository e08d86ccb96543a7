"""Rounds: what a study tries next, decided from its records alone, so that a restart changes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tlsearch.records import TrialKind, TrialRecord
from tlsearch.search.baselines import missing_baselines
from tlsearch.search.draws import Draw, draw_startup
from tlsearch.search.sampler import Asker, derived_seed
from tlsearch.search.space import SearchSpace
from tlsearch.search.startup import startup_slots
from tlsearch.search.telling import NOTHING_MISSED, Missed, Telling
from tlsearch.space import ParamValue
from tlsearch.study import StudyConfig
from tlsearch.training.recipe import Recipe

ROUNDS = 10  # at least so many rounds share the budget; a round is a job for each worker
MOST_ROWS = 64  # of a job
# A job has one backbone, head, batch size and so on. Where these can be many, more rows cost what the sampler learns of
# them. On a model of 500 real trials: with 36, 300 trials in jobs of 15 or 30 ended 0.5 +- 0.5 points below jobs of 8;
# with 3, 500 trials in jobs of 50 ended 0.2 +- 0.5 below, in jobs of 25 level.
SAFE_ROWS = 8
TRIES_OF_EACH = 2
ASKS = 10  # how often a sampler is asked for one trial that is new
EXHAUSTED_AFTER = 50  # duplicates in a row
BUDGETED = (TrialKind.STARTUP, TrialKind.SEARCH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A trial that should be tried next. Its number follows those of the history and of earlier proposals.

    Args:
        kind: DUPLICATE where an ended trial answers it; nothing is trained then.
        params: The searched values; of a baseline only where it lies in the space, else empty.
        recipe: What to train.
        group: Proposals of a round with equal groups form one job.
        name: A baseline's name, else "".
        duplicate_of: The number of the trial that answers a duplicate.
    """

    kind: TrialKind
    params: Mapping[str, ParamValue]
    recipe: Recipe
    group: int
    name: str = ""
    duplicate_of: int | None = None


@dataclass(slots=True)
class Known:
    """What rounds of one process need not work out again; it decides nothing.

    Args:
        digests: Of recipes, by trial.
        startup: The start-up trials of a study, once they are drawn.
        telling: The trials that the sampler was told of.
    """

    digests: dict[int, str] = field(default_factory=dict)
    startup: list[Draw] | None = None
    telling: Telling | None = None

    def digest(self, record: TrialRecord) -> str:
        """The digest of a trial's recipe."""
        if record.number not in self.digests:
            self.digests[record.number] = Recipe.from_json(record.recipe).digest()
        return self.digests[record.number]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceExhausted:
    """Nothing new is left to try.

    Args:
        duplicates: How many proposals in a row were equal to trials that had ended.
    """

    duplicates: int


def next_round(
    space: SearchSpace,
    history: Sequence[TrialRecord],
    *,
    config: StudyConfig,
    probe_scores: Mapping[str, float],
    room: int,
    workers: int = 1,
    missed: Missed = NOTHING_MISSED,
    known: Known | None = None,
) -> list[Proposal] | SpaceExhausted:
    """Decide what comes next: baselines, then start-up trials, then one job of the sampler's.

    Baselines and start-up trials wait for no result, so a round may hold many; a search round is one ask and its
    job, once a first start-up trial has ended. Empty before that, where the budget is used up by trials that ended or
    are in flight, where nothing fits, or where the sampler only repeats what is in flight.

    Args:
        space: What may be varied.
        history: All trials so far, numbered from 0 without gaps, waiting and running ones included.
        config: The study; its budget, sampler, seed and baselines are looked at.
        probe_scores: Of linear probes, by backbone; the same in every round of a study.
        room: How many trials may be handed out now.
        workers: How many jobs are in work at a time; the more there are, the fewer rows each has.
        missed: By how much each completed trial misses each floor of the study, by number.
        known: Of the earlier rounds of this process.
    """
    decision = _Round(space, history, config=config, workers=workers, missed=missed, known=known or Known())
    found = decision.baselines(room)
    if not found and (repeated := _duplicates_in_a_row(history)) >= EXHAUSTED_AFTER:
        return SpaceExhausted(duplicates=repeated)
    draws = decision.open_draws(probe_scores)
    if draws:
        return found + decision.startup(draws, room - len(found))
    return found or decision.search(room)


class _Round:
    """The decisions of one round; remembers what it has proposed."""

    def __init__(
        self,
        space: SearchSpace,
        history: Sequence[TrialRecord],
        *,
        config: StudyConfig,
        workers: int,
        missed: Missed,
        known: Known,
    ) -> None:
        self._space = space
        self._history = history
        self._config = config
        self._workers = workers
        self._missed = missed
        self._known = known
        self._ended: dict[str, int] = {}
        self._taken: set[str] = set()  # digests in flight or proposed in this round
        for record in history:
            digest = known.digest(record)
            if not record.state.ended:
                self._taken.add(digest)
            elif record.kind is not TrialKind.DUPLICATE:
                self._ended.setdefault(digest, record.number)
        spent = sum(record.kind in BUDGETED for record in history)
        self._left = config.study.budget.trials - spent
        trials = config.study.budget.trials
        spread = max(SAFE_ROWS, int(trials / space.most_shared_parts() / TRIES_OF_EACH))
        self._rows = min(MOST_ROWS, spread, max(1, trials // (ROUNDS * workers)))
        self._groups: dict[tuple[object, ...], int] = {}

    def baselines(self, room: int) -> list[Proposal]:
        """Those that were never run as they are written now."""
        missing = missing_baselines(self._space, self._config, self._history)
        return [
            Proposal(
                kind=TrialKind.BASELINE,
                name=name,
                params=self._space.params_of(recipe) or {},
                recipe=recipe,
                group=self._group(name, recipe.digest()),
            )
            for name, recipe in missing[: max(room, 0)]
        ]

    def open_draws(self, probe_scores: Mapping[str, float]) -> list[Draw]:
        """The start-up trials that were not handed out yet, in the order in which they are."""
        if any(record.kind is TrialKind.SEARCH for record in self._history):  # a larger budget does not begin again
            return []
        if self._known.startup is None:
            trials = self._config.study.budget.trials
            slots = startup_slots(self._space, trials=trials, probe_scores=probe_scores)
            rows = MOST_ROWS if self._workers == 1 else self._rows
            self._known.startup = draw_startup(self._space, slots, seed=self._config.study.seed, rows=rows)
        return [d for d in self._known.startup if d.digest not in self._taken and d.digest not in self._ended]

    def startup(self, draws: Sequence[Draw], room: int) -> list[Proposal]:
        """The first start-up trials of those that are left."""
        found = []
        for draw in draws[: max(0, min(room, self._left))]:
            self._taken.add(draw.digest)
            group = self._group("startup", draw.job)
            found.append(Proposal(kind=TrialKind.STARTUP, params=draw.params, recipe=draw.recipe, group=group))
        return found

    def search(self, room: int) -> list[Proposal]:
        """One ask of the sampler, and the other rows of its job."""
        rows = min(room, self._left, self._rows)
        if rows < 1 or self._knows_nothing:
            return []
        seed = derived_seed(self._config.study.seed, len(self._history))
        telling = self._known.telling = self._known.telling or Telling(self._space)
        asker = Asker(
            self._space,
            self._history,
            sampler=self._config.search.sampler,
            seed=seed,
            missed=self._missed,
            telling=telling,
        )
        found: list[Proposal] = []
        fixed: dict[str, ParamValue] = {}
        while len(found) < rows:
            proposal = self._ask(asker, TrialKind.SEARCH, fixed=fixed)
            if proposal is None:
                break
            found.append(proposal)
            if proposal.recipe.fine_tunes:
                break
            fixed = self._space.shared_part(proposal.params)
        return found

    @property
    def _knows_nothing(self) -> bool:
        """Whether there is no result yet that a sampler could go by: all start-up trials are in flight."""
        startup = [record for record in self._history if record.kind is TrialKind.STARTUP]
        return bool(startup) and not any(record.state.ended for record in startup)

    def _ask(self, asker: Asker, kind: TrialKind, *, fixed: Mapping[str, ParamValue]) -> Proposal | None:
        """A trial that is new; else, after some asks, a duplicate; None where all equal trials in flight."""
        repeated: Proposal | None = None
        for _ in range(ASKS):
            params = asker.ask(fixed)
            recipe = self._space.recipe(params)
            digest = recipe.digest()
            if digest in self._taken:
                continue
            answer = self._ended.get(digest)
            proposal = Proposal(
                kind=kind if answer is None else TrialKind.DUPLICATE,
                params=params,
                recipe=recipe,
                group=self._group(*self._space.job_of(params, recipe)),
                duplicate_of=answer,
            )
            if answer is None:
                self._taken.add(digest)
                return proposal
            repeated = repeated or proposal
        if repeated is not None:
            self._taken.add(repeated.recipe.digest())
        return repeated

    def _group(self, *shared: object) -> int:
        return self._groups.setdefault(shared, len(self._groups))


def _duplicates_in_a_row(history: Sequence[TrialRecord]) -> int:
    """How many of the newest trials were duplicates; baselines don't count either way."""
    found = 0
    for record in sorted(history, key=lambda record: record.number, reverse=True):
        if record.kind is TrialKind.BASELINE:
            continue
        if record.kind is not TrialKind.DUPLICATE:
            break
        found += 1
    return found
