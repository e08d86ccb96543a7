"""Telling: trials in Optuna's words, each put so once, however many rounds are told of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from tlsearch.records import TrialRecord, TrialState
from tlsearch.search.space import SearchSpace
from tlsearch.space import ParamValue
from tlsearch.stats.floors import violation

Missed = Mapping[int, Mapping[str, float]]  # trial -> floor -> wanted - reached, kept where that is 0 or less

NOTHING_MISSED: Missed = MappingProxyType({})


class ToldTrial(FrozenTrial):
    """A trial of the past. Nobody changes it any more, so those who would copy it deeply share what it holds."""

    def __deepcopy__(self, memo: dict[int, object]) -> "ToldTrial":
        shared = object.__new__(ToldTrial)
        shared.__dict__.update(self.__dict__)
        return shared

    @property
    def constraints(self) -> dict[str, float]:
        """By how much it misses each floor; asked of every trial for every parameter."""
        return super().constraints if self.system_attrs else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """A trial, and what it was made of: where that is the same, so is the trial."""

    record: TrialRecord
    reached: float | None
    missed: Mapping[str, float]
    trial: ToldTrial

    def still_holds(self, record: TrialRecord, reached: float | None, missed: Mapping[str, float]) -> bool:
        return self.record is record and self.reached == reached and self.missed == missed


class Telling:
    """Puts the trials of one study into Optuna's words; it keeps what it made, and that decides nothing.

    Args:
        space: What is varied.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._distributions = {d.name: d.distribution() for d in space.dimensions if not d.fixed}
        self._belongs: dict[int, tuple[Mapping[str, ParamValue], bool]] = {}
        self._told: dict[int, _Told] = {}

    def belongs(self, record: TrialRecord) -> bool:
        """Whether the search could have chosen a trial's values; never of a baseline outside the space."""
        looked = self._belongs.get(record.number)
        if looked is None or looked[0] is not record.params:
            looked = record.params, bool(record.params) and self._space.contains(record.params)
            self._belongs[record.number] = looked
        return looked[1]

    def trials(self, records: Sequence[TrialRecord], missed: Missed = NOTHING_MISSED) -> list[ToldTrial]:
        """Trials in the order of their numbers.

        Completed trials have their score; pruned ones the value at which they were pruned; those that failed have, as
        pruned, the worst value of all, so that their region is avoided (a failed trial is nothing to TPE); waiting
        and running ones are running.

        Args:
            records: Their values lie in the space.
            missed: Of completed trials, by how much they miss each floor; empty where the study has none. Optuna
                prefers trials that keep all floors, then those that miss least. An ended trial without answers counts
                as the one that missed most, else it would stand before every trial that missed a little.
        """
        most = max(missed.values(), key=violation, default={})
        worst = min((value for record in records if (value := value_of(record)) is not None), default=None)
        return [
            self._trial(record, worst, missed.get(record.number, most))
            for record in sorted(records, key=lambda record: record.number)
        ]

    def running(self, params: Mapping[str, ParamValue]) -> ToldTrial:
        """A trial in flight with these values."""
        return self._made(params, OptunaState.RUNNING)

    def _trial(self, record: TrialRecord, worst: float | None, missed: Mapping[str, float]) -> ToldTrial:
        if not record.state.ended:
            return self.running(record.params)
        completed = record.state is TrialState.COMPLETED and value_of(record) is not None
        value = value_of(record)
        reached = worst if value is None else value
        told = self._told.get(record.number)
        if told is None or not told.still_holds(record, reached, missed):
            state = OptunaState.COMPLETE if completed else OptunaState.PRUNED
            trial = self._made(record.params, state, reached=reached, missed=missed)
            told = self._told[record.number] = _Told(record=record, reached=reached, missed=missed, trial=trial)
        return told.trial

    def _made(
        self,
        params: Mapping[str, ParamValue],
        state: OptunaState,
        *,
        reached: float | None = None,
        missed: Mapping[str, float] = MappingProxyType({}),
    ) -> ToldTrial:
        now = datetime.now(UTC)
        trial = ToldTrial(
            number=-1,  # it gets one where it is added to a study
            trial_id=-1,
            state=state,
            value=reached if state is OptunaState.COMPLETE else None,
            datetime_start=now,
            datetime_complete=now if state.is_finished() else None,
            params=dict(params),
            distributions={name: self._distributions[name] for name in params},
            user_attrs={},
            system_attrs={},
            # one step for all: TPE puts whoever came further first, whatever the values
            intermediate_values={0: reached} if state is OptunaState.PRUNED and reached is not None else {},
        )
        for floor, by in missed.items():
            trial.set_constraint(floor, by)
        return trial


def value_of(record: TrialRecord) -> float | None:
    """The finite value that a trial ended with, if it has one."""
    if record.state is TrialState.COMPLETED:
        value = record.score
    elif record.state is TrialState.PRUNED:
        value = record.fold_scores[-1] if record.rung_score is None and record.fold_scores else record.rung_score
    else:
        value = None
    return value if value is not None and math.isfinite(value) else None
