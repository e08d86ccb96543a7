"""What a report reads: a study's records, put where the parts of a summary find them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tlsearch.records import (
    ConfirmationRecord,
    Event,
    Json,
    StudyRecord,
    TrialKind,
    TrialRecord,
    TrialState,
)
from tlsearch.stats import Interval, score_interval
from tlsearch.stats.floors import admitted, floors_of, shortfalls, violation

COMPETITORS = 200  # the best of thousands decide; the rest never win a bootstrap sample


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that is known of a study.

    Args:
        study: With the context that the runner stored.
        trials: Every trial, by number.
        confirmations: Of the top trials and the baselines.
        events: In order.
        predictions: Out-of-fold log-probabilities `(n, C)` by trial; read one by one, so it may load them lazily.
        files: Small JSON texts that the run stored, by name.
    """

    study: StudyRecord
    trials: Sequence[TrialRecord]
    confirmations: Sequence[ConfirmationRecord] = ()
    events: Sequence[Event] = ()
    predictions: Mapping[int, NDArray[np.float32]] = field(default_factory=dict)
    files: Mapping[str, str | bytes] = field(default_factory=dict)

    @property
    def metric(self) -> str:
        """The resolved metric."""
        return str(self.study.context["metric"])

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """Of the development pictures, in order."""
        return np.asarray(self.study.context["labels"], dtype=np.int64)

    @property
    def groups(self) -> Sequence[Json] | None:
        """Of the development pictures, where the study has groups."""
        groups: Sequence[Json] | None = self.study.context.get("groups")
        return groups

    @property
    def backbones(self) -> Mapping[str, Json]:
        """Resolved backbones, by name."""
        known: Mapping[str, Json] = self.study.context.get("backbones", {})
        return known

    def last(self, kind: str) -> Event | None:
        """The newest event of a kind."""
        return next((event for event in reversed(self.events) if event.kind == kind), None)

    def all(self, kind: str) -> list[Event]:
        """Every event of a kind, in order."""
        return [event for event in self.events if event.kind == kind]

    def later(self) -> frozenset[int]:
        """Trials that ended after the last choice, which knew nothing of them; none before a run has chosen."""
        chosen = self.last("chosen")
        told = [] if chosen is None else [event for event in self.all("told") if event.seq > chosen.seq]
        return frozenset(int(event.data["trial"]) for event in told)

    def ranked(self) -> list[TrialRecord]:
        """Completed trials, best first; duplicates stand for another trial and are left out."""
        completed = [t for t in self.trials if t.state is TrialState.COMPLETED and t.kind is not TrialKind.DUPLICATE]
        return sorted(completed, key=lambda t: (-(t.score if t.score is not None else -np.inf), t.number))

    def searched(self) -> list[TrialRecord]:
        """Ranked trials that were searched: those that could win."""
        return [trial for trial in self.ranked() if trial.kind is not TrialKind.BASELINE]

    def admitted(self) -> list[TrialRecord]:
        """Searched trials that may be named best: all, or where the study has floors those that keep them."""
        return list(self._admitted)

    @cached_property
    def _admitted(self) -> Sequence[TrialRecord]:  # floors look at every trial's predictions
        floors = floors_of(self.study.config.get("constraints", {}), self.study.context["classes"])
        known = [trial for trial in self.searched() if trial.number in self.predictions]
        if not floors or not known:
            return self.searched()
        missed = [violation(shortfalls(floors, self.predictions[trial.number], self.labels)) for trial in known]
        return [known[place] for place in admitted(missed, [trial.score or 0.0 for trial in known])]

    def competitors(self) -> list[NDArray[np.float32]]:
        """Predictions of the trials that competed, those that may be named first, then by score."""
        first, later = self.admitted(), self.later()
        named = {trial.number for trial in first}
        competed = [*first, *(trial for trial in self.searched() if trial.number not in named)]
        best = [trial for trial in competed if trial.number not in later][:COMPETITORS]
        return [self.predictions[trial.number] for trial in best if trial.number in self.predictions]

    def interval(self, trial: TrialRecord) -> Interval | None:
        """Of a trial's plain score, as if it had been the only one."""
        if trial.state is not TrialState.COMPLETED or trial.number not in self.predictions:
            return None
        return score_interval(self.metric, self.predictions[trial.number], self.labels, groups=self.groups)
