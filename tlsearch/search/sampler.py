"""Asker: one of Optuna's samplers, rebuilt in memory from trial records before every round."""

import hashlib
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Literal

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, PartialFixedSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, create_trial
from optuna.trial import TrialState as OptunaState

from tlsearch.records import FailureReason, TrialRecord, TrialState
from tlsearch.search.space import SearchSpace
from tlsearch.space import ParamValue
from tlsearch.stats.floors import violation

SamplerName = Literal["tpe", "random"]
Missed = Mapping[int, Mapping[str, float]]  # trial -> floor -> wanted - reached, kept where that is 0 or less

NOTHING_MISSED: Missed = MappingProxyType({})

# An ask takes time in proportion to the trials told: 3 ms with 200, 10 ms with 1000 (Optuna 5.0, 2 cores).
HISTORY = 200
# Failures that the values themselves bring about; others say nothing about a region.
AVOIDED = frozenset({FailureReason.NON_FINITE, FailureReason.OUT_OF_MEMORY})


class Asker:
    """A sampler that knows a history, and is asked for one set of values after another.

    Each answer counts as a running trial for those that follow, so that they keep away from it.

    Args:
        space: What may be varied.
        history: All trials so far, by number. At most 200 ended ones are told, the best and the newest; those in
            flight always are.
        sampler: By its name in a study file.
        missed: As in `frozen_trials`.
        seed: Equal seeds and histories give equal answers.
    """

    def __init__(
        self,
        space: SearchSpace,
        history: Sequence[TrialRecord],
        *,
        sampler: SamplerName,
        seed: int,
        missed: Missed = NOTHING_MISSED,
    ) -> None:
        self._space = space
        self._sampler: BaseSampler = TPESampler(seed=seed) if sampler == "tpe" else RandomSampler(seed=seed)
        with quiet():
            self._study = optuna.create_study(direction="maximize", sampler=self._sampler)
            self._study.add_trials(frozen_trials(space, _told(space, history, missed), missed))

    def ask(self, fixed: Mapping[str, ParamValue] | None = None) -> dict[str, ParamValue]:
        """Choose values for every searched dimension that counts.

        Args:
            fixed: Values that are given; dimensions that are not searched are overlooked.
        """
        given = {name: value for name, value in (fixed or {}).items() if name in self._space.searched}
        with quiet():
            self._study.sampler = PartialFixedSampler(given, self._sampler) if given else self._sampler
            return self._space.suggest(self._study.ask())


def derived_seed(seed: int, trials: int) -> int:
    """The seed of the round that follows after so many trials of a study, 0 to 2**32 - 1.

    A sampler made again with one seed would propose its first points again.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{trials}".encode()).digest()[:4])


def frozen_trials(
    space: SearchSpace, records: Sequence[TrialRecord], missed: Missed = NOTHING_MISSED
) -> list[FrozenTrial]:
    """Trials in Optuna's words, in the order of their numbers.

    Completed trials have their score; pruned ones the value at which they were pruned; those that failed have, as
    pruned, the worst value of all, so that their region is avoided (a failed trial is nothing to TPE); waiting and
    running ones are running.

    Args:
        space: What was varied.
        records: Their values lie in the space.
        missed: Of completed trials, by how much they miss each floor; empty where the study has none. Optuna prefers
            trials that keep all floors, then those that miss least. An ended trial without answers counts as the
            one that missed most, else it would stand before every trial that missed a little.
    """
    most = max(missed.values(), key=violation, default={})
    worst = min((value for record in records if (value := _value(record)) is not None), default=None)
    return [
        _frozen(space, record, worst, missed.get(record.number, most))
        for record in sorted(records, key=lambda record: record.number)
    ]


def _told(space: SearchSpace, history: Sequence[TrialRecord], missed: Missed) -> list[TrialRecord]:
    """Of a history, what a sampler hears: at most `HISTORY` ended trials, and all in flight.

    Baselines whose values lie outside the space are left out, and so are failures that say nothing about a region.
    """
    known = [record for record in history if record.params and space.contains(record.params)]
    ended = [
        record
        for record in known
        if record.state.ended and (record.state is not TrialState.FAILED or record.reason in AVOIDED)
    ]
    return _best_and_newest(ended, missed) + [record for record in known if not record.state.ended]


def _frozen(space: SearchSpace, record: TrialRecord, worst: float | None, missed: Mapping[str, float]) -> FrozenTrial:
    params, distributions = dict(record.params), space.distributions(record.params)
    if not record.state.ended:
        return create_trial(state=OptunaState.RUNNING, params=params, distributions=distributions)
    value = _value(record)
    if record.state is TrialState.COMPLETED and value is not None:
        return create_trial(value=value, params=params, distributions=distributions, constraints=dict(missed))
    reached = worst if value is None else value
    return create_trial(
        state=OptunaState.PRUNED,
        params=params,
        distributions=distributions,
        # one step for all: TPE puts whoever came further first, whatever the values
        intermediate_values={} if reached is None else {0: reached},
        constraints=dict(missed),
    )


def _value(record: TrialRecord) -> float | None:
    """The finite value that a trial ended with, if it has one."""
    if record.state is TrialState.COMPLETED:
        value = record.score
    elif record.state is TrialState.PRUNED:
        value = record.fold_scores[-1] if record.rung_score is None and record.fold_scores else record.rung_score
    else:
        value = None
    return value if value is not None and math.isfinite(value) else None


def _best_and_newest(ended: Sequence[TrialRecord], missed: Missed) -> list[TrialRecord]:
    """At most `HISTORY` trials: the best half of that, and the newest of the others."""
    best = sorted(ended, key=lambda record: _rank(record, missed))[: HISTORY // 2]
    chosen = {record.number for record in best}
    others = sorted((r for r in ended if r.number not in chosen), key=lambda record: record.number)
    return best + others[-(HISTORY // 2) :]


def _rank(record: TrialRecord, missed: Missed) -> tuple[bool, float, float, int]:
    """Completed trials first, of them those that keep all floors, the best first of all; equal ones by number."""
    value = _value(record)
    return (
        record.state is not TrialState.COMPLETED,
        violation(missed.get(record.number, {})),
        math.inf if value is None else -value,
        record.number,
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Work without Optuna's log lines and its notice that fixing values is experimental."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
