"""Rounds: what a study tries next, decided from its records alone, so that a restart changes nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tlsearch.records import TrialKind, TrialRecord
from tlsearch.search.baselines import missing_baselines
from tlsearch.search.sampler import NOTHING_MISSED, Asker, Missed, derived_seed
from tlsearch.search.space import SearchSpace
from tlsearch.search.startup import Slot, startup_slots
from tlsearch.space import ParamValue
from tlsearch.study import StudyConfig
from tlsearch.training.recipe import Recipe

ROUNDS = 10  # at least so many rounds share the budget
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
    missed: Missed = NOTHING_MISSED,
) -> list[Proposal] | SpaceExhausted:
    """Decide what comes next: baselines, then start-up trials, then one job of the sampler's.

    Baselines and start-up trials wait for no result, so a round may hold many; a search round is one ask and its
    job. Empty where the budget is used up by trials that ended or are in flight, where nothing fits, or where the
    sampler only repeats what is in flight.

    Args:
        space: What may be varied.
        history: All trials so far, numbered from 0 without gaps, waiting and running ones included.
        config: The study; its budget, sampler, seed and baselines are looked at.
        probe_scores: Of linear probes, by backbone; the same in every round of a study.
        room: How many trials may be handed out now.
        missed: By how much each completed trial misses each floor of the study, by number.
    """
    decision = _Round(space, history, config=config, missed=missed)
    found = decision.baselines(room)
    if not found and (repeated := _duplicates_in_a_row(history)) >= EXHAUSTED_AFTER:
        return SpaceExhausted(duplicates=repeated)
    slots = decision.open_slots(probe_scores)
    if slots:
        return found + decision.startup(slots, room=room - len(found), number=len(history) + len(found))
    return found or decision.search(room)


class _Round:
    """The decisions of one round; remembers what it has proposed."""

    def __init__(
        self, space: SearchSpace, history: Sequence[TrialRecord], *, config: StudyConfig, missed: Missed
    ) -> None:
        self._space = space
        self._history = history
        self._config = config
        self._missed = missed
        self._ended: dict[str, int] = {}
        self._taken: set[str] = set()  # digests in flight or proposed in this round
        for record in history:
            digest = Recipe.from_json(record.recipe).digest()
            if not record.state.ended:
                self._taken.add(digest)
            elif record.kind is not TrialKind.DUPLICATE:
                self._ended.setdefault(digest, record.number)
        spent = sum(record.kind in BUDGETED for record in history)
        self._left = config.study.budget.trials - spent
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

    def open_slots(self, probe_scores: Mapping[str, float]) -> list[Slot]:
        """The start-up trials that were not handed out yet."""
        kinds = [record.kind for record in self._history]
        if TrialKind.SEARCH in kinds:  # a larger budget does not begin again
            return []
        used = sum(kind in (TrialKind.STARTUP, TrialKind.DUPLICATE) for kind in kinds)
        trials = self._config.study.budget.trials
        return startup_slots(self._space, trials=trials, probe_scores=probe_scores)[used:]

    def startup(self, slots: Sequence[Slot], *, room: int, number: int) -> list[Proposal]:
        """Start-up trials for the first slots; `number` is what the first trial will get."""
        found: list[Proposal] = []
        for slot in slots[: max(0, min(room, self._left))]:
            # seeded by its number: how many are asked for at once makes no difference
            seed = derived_seed(self._config.study.seed, number + len(found))
            asker = Asker(self._space, (), sampler="random", seed=seed)
            proposal = self._ask(asker, TrialKind.STARTUP, fixed=slot.fixed())
            if proposal is None:  # equal to one in flight, which will answer it
                break
            found.append(proposal)
        return found

    def search(self, room: int) -> list[Proposal]:
        """One ask of the sampler, and the other rows of its job."""
        rows = min(room, self._left, max(1, self._config.study.budget.trials // ROUNDS))
        if rows < 1:
            return []
        seed = derived_seed(self._config.study.seed, len(self._history))
        asker = Asker(self._space, self._history, sampler=self._config.search.sampler, seed=seed, missed=self._missed)
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
                group=self._group(*self._shared(params, recipe)),
                duplicate_of=answer,
            )
            if answer is None:
                self._taken.add(digest)
                return proposal
            repeated = repeated or proposal
        if repeated is not None:
            self._taken.add(repeated.recipe.digest())
        return repeated

    def _shared(self, params: Mapping[str, ParamValue], recipe: Recipe) -> tuple[object, ...]:
        """What the rows of a job have in common; trials that fine-tune have a job of their own."""
        if recipe.fine_tunes:
            return (recipe.digest(),)
        return tuple(sorted(self._space.shared_part(params).items()))

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
