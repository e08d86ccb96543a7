"""Asker: who is asked for the next trial, made anew from trial records before every round."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from heapq import nsmallest

from tlsearch.records import FailureReason, TrialRecord, TrialState
from tlsearch.search.informed import Informed, SamplerName
from tlsearch.search.space import SearchSpace
from tlsearch.search.telling import NOTHING_MISSED, Missed, Telling, value_of
from tlsearch.space import ParamValue
from tlsearch.stats.floors import violation

# An ask takes time in proportion to the trials told: 3 ms with 200, 10 ms with 1000 (Optuna 5.0, 2 cores). With 150 it
# takes a tenth less than with 200, and studies of 300 and 600 trials on a model of 500 real ones end level.
HISTORY = 150
# Ended trials of a branch, for it to be asked alone. With 10 instead of 30, studies of 150 trials on a model of 500
# real ones were 0.1 +- 0.1 points behind at half of their budget.
LEAST_IN_BRANCH = 30
# Failures that the values themselves bring about; others say nothing about a region.
AVOIDED = frozenset({FailureReason.NON_FINITE, FailureReason.OUT_OF_MEMORY})


class Asker:
    """A sampler that knows a history, and is asked for one set of values after another.

    Each answer counts as a running trial for those that follow, so that they keep away from it. Where the given
    values decide which parameters count (backbone, head, whether stages are trained), the sampler goes by the trials
    that have the same ones, if they are enough: one density over all that is asked for, instead of one over what
    every trial has and one more for each parameter that only some have.

    Args:
        space: What may be varied.
        history: All trials so far, by number. At most 150 ended ones are told, the best and the newest; those in
            flight always are.
        sampler: By its name in a study file.
        seed: Equal seeds and histories give equal answers.
        missed: As in `Telling.trials`.
        telling: Of earlier rounds of the same study, which have put most of the history already.
    """

    def __init__(
        self,
        space: SearchSpace,
        history: Sequence[TrialRecord],
        *,
        sampler: SamplerName,
        seed: int,
        missed: Missed = NOTHING_MISSED,
        telling: Telling | None = None,
    ) -> None:
        self._space, self._sampler, self._seed = space, sampler, seed
        self._telling = telling or Telling(space)
        known = [record for record in history if _says_something(record) and self._telling.belongs(record)]
        self._told = self._telling.trials(_best_and_newest(known, missed), missed)
        self._whole = Informed(self._told, sampler=sampler, seed=seed)
        self._branches: dict[frozenset[str], Informed | None] = {}
        self._answers: list[Mapping[str, ParamValue]] = []

    def ask(self, fixed: Mapping[str, ParamValue] | None = None) -> dict[str, ParamValue]:
        """Choose values for every searched dimension that counts.

        Args:
            fixed: Values that are given; dimensions that are not searched are overlooked.
        """
        searched = self._space.searched
        given = {name: value for name, value in (fixed or {}).items() if name in searched}
        asked = self._branch(given) or self._whole
        answer = asked.ask(self._space, given)
        self._answers.append(answer)
        for other in (self._whole, *self._branches.values()):
            if other is not None and other is not asked:
                other.hear(self._telling.running(answer))
        return answer

    def _branch(self, given: Mapping[str, ParamValue]) -> Informed | None:
        """Who knows the trials with exactly the parameters that count here; None where these are open or too few."""
        names = self._space.counting(given)
        if self._sampler != "tpe" or names is None:
            return None
        if names not in self._branches:
            alike = [trial for trial in self._told if trial.params.keys() == names]
            enough = sum(trial.state.is_finished() for trial in alike) >= LEAST_IN_BRANCH
            self._branches[names] = None
            if enough and len(alike) < len(self._told):
                seed = derived_seed(self._seed, len(self._branches))
                answers = map(self._telling.running, self._answers)
                self._branches[names] = Informed([*alike, *answers], sampler=self._sampler, seed=seed)
        return self._branches[names]


def derived_seed(seed: int, trials: int) -> int:
    """The seed of the round that follows after so many trials of a study, 0 to 2**32 - 1.

    A sampler made again with one seed would propose its first points again.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{trials}".encode()).digest()[:4])


def _says_something(record: TrialRecord) -> bool:
    """Whether a sampler can learn from a trial: not from failures for which the values cannot be blamed."""
    return record.state is not TrialState.FAILED or record.reason in AVOIDED


def _best_and_newest(records: Sequence[TrialRecord], missed: Missed) -> list[TrialRecord]:
    """At most `HISTORY` ended trials, the best half of that and the newest of the others; and all in flight."""
    ended: list[TrialRecord] = []
    in_flight: list[TrialRecord] = []
    for record in records:
        (ended if record.state.ended else in_flight).append(record)
    if len(ended) <= HISTORY:
        return list(records)
    best = nsmallest(HISTORY // 2, ended, key=lambda record: _rank(record, missed))
    chosen = {record.number for record in best}
    others = sorted((r for r in ended if r.number not in chosen), key=lambda record: record.number)
    return [*best, *others[-(HISTORY // 2) :], *in_flight]


def _rank(record: TrialRecord, missed: Missed) -> tuple[bool, float, float, int]:
    """Completed trials first, of them those that keep all floors, the best first of all; equal ones by number."""
    value = value_of(record)
    return (
        record.state is not TrialState.COMPLETED,
        violation(missed.get(record.number, {})) if missed else 0.0,
        math.inf if value is None else -value,
        record.number,
    )
