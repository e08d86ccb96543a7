"""Floors: which trials keep what a study demands of single classes, known from their stored answers."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tlsearch.errors import Fault, StudyFileError
from tlsearch.records import StudyRecord, TrialRecord, TrialState
from tlsearch.stats.floors import Floor, Reached, admitted, floors_of, reached, shortfalls, violation
from tlsearch.store.store import Store
from tlsearch.study import StudyConfig
from tlsearch.text import did_you_mean

Predictions = Mapping[int, NDArray[np.float32]]  # by trial, (n, C) log-probabilities


def read_floors(config: StudyConfig, classes: Sequence[str]) -> tuple[Floor, ...]:
    """The floors of a study file, for the classes that its data have.

    Raises:
        StudyFileError: With every floor of a class that there is not.
    """
    constraints = config.constraints.model_dump()
    unknown = [
        Fault(place=f"constraints.{key}.{name}", message=f"the data have no class '{name}'{_meant(name, classes)}")
        for key, by_class in constraints.items()
        for name in by_class
        if name not in classes
    ]
    if unknown:
        raise StudyFileError(config.study.name, unknown)
    return floors_of(constraints, classes)


class Keeping:
    """Knows by how much each completed trial misses each floor; reads a trial's answers once.

    Args:
        floors: Of the study; where there are none, every trial keeps them.
        store: Holds the answers.
        study: Its name and its labels.
    """

    def __init__(self, floors: Sequence[Floor], *, store: Store, study: StudyRecord) -> None:
        self.floors = tuple(floors)
        self._store, self._study = store, study.name
        self._labels = np.asarray(study.context["labels"], dtype=np.int64)
        self._missed: dict[int, Mapping[str, float]] = {}

    def missed(self, records: Sequence[TrialRecord]) -> dict[int, Mapping[str, float]]:
        """By number of each completed trial, `wanted - reached` by floor; a duplicate has its answer's."""
        if not self.floors:
            return {}
        answered = {
            r.number: r.number if r.duplicate_of is None else r.duplicate_of
            for r in records
            if r.state is TrialState.COMPLETED
        }
        unseen = set(answered.values()) - self._missed.keys()
        if unseen:
            for number, log_probs in self._store.predictions(self._study, trials=unseen).items():
                self._missed[number] = shortfalls(self.floors, log_probs, self._labels)
        return {number: self._missed[answer] for number, answer in answered.items()}

    def admitted(self, records: Sequence[TrialRecord]) -> list[TrialRecord]:
        """The trials that may be named best: those that keep all floors, or else the one that misses them least.

        Trials that did not complete, baselines and duplicates are never admitted where there are floors, unless no
        trial completed: then all are, for whoever asks to say so.
        """
        done = [record for record in records if record.counted and record.state is TrialState.COMPLETED]
        if not self.floors or not done:
            return list(records)
        missed = self.missed(done)
        places = admitted([violation(missed[r.number]) for r in done], [r.score or 0.0 for r in done])
        return [done[place] for place in places]

    def still(self, records: Sequence[TrialRecord], again: Predictions) -> list[TrialRecord]:
        """Of confirmed trials, those that keep all floors with other folds as well; all where none does."""
        kept = [
            record
            for record in records
            if record.number in again and violation(shortfalls(self.floors, again[record.number], self._labels)) == 0
        ]
        return kept or list(records)

    def reached(self, number: int, log_probs: NDArray[np.float32], again: Predictions) -> tuple[Reached, ...]:
        """What a trial reached of each floor.

        Args:
            number: The trial's.
            log_probs: `(n, C)`, its answers while searching.
            again: Of the confirmed trials, with other folds.
        """
        return reached(self.floors, log_probs, self._labels, again=again.get(number))


def _meant(name: str, classes: Sequence[str]) -> str:
    return did_you_mean(name, classes) or f"; it has {', '.join(classes)}"
