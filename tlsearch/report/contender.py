"""One side of a comparison: a trial, or a study's named best, with its answers about known pictures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tlsearch.errors import DataError, NothingCompletedError, UnknownNameError
from tlsearch.records import TrialKind, TrialRecord, TrialState
from tlsearch.report import verdict
from tlsearch.report.entries import entry
from tlsearch.report.evidence import Evidence
from tlsearch.report.load import load_evidence
from tlsearch.report.values import Entry
from tlsearch.store.reading import StudyReader

CONFIRMING_REPEAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A trial and what it answered about its study's development pictures, which are `n`.

    Args:
        study: The study's name.
        metric: What the study chose by.
        classes: C names in label order.
        files: `(n,)` names, as reports show them.
        hashes: `(n,)` sha256 of the decoded pictures: what two studies know one picture by.
        labels: `(n,)`.
        groups: `(n,)`, equal for pictures that belong together; None where the study has none.
        entry: The trial.
        answers: `(n, C)` log-probabilities of fits that did not train on the picture; NaN where none was asked.
        again: The same with other folds and seeds; None where the trial was not scored again.
        picked_from: How many configurations it was picked out of as the best; None where it was asked for by number
            and is not the one that its study names.
        later: How many trials of the study ended after it was chosen, where it is the one that the study named; else 0.
    """

    study: str
    metric: str
    classes: tuple[str, ...]
    files: tuple[str, ...]
    hashes: tuple[str, ...]
    labels: NDArray[np.int64]
    groups: tuple[str, ...] | None
    entry: Entry
    answers: NDArray[np.float32]
    again: NDArray[np.float32] | None
    picked_from: int | None
    later: int = 0

    def is_the_trial_of(self, other: "Contender") -> bool:
        """Whether both are one trial of one study."""
        same = (self.study, self.entry.trial) == (other.study, other.entry.trial)
        return same and np.array_equal(self.answers, other.answers, equal_nan=True)


def load_contender(store: StudyReader, study: str, trial: int | None = None) -> Contender:
    """Read one side of a comparison.

    Args:
        store: Holds the study.
        study: The study's name.
        trial: A trial's number; None takes the study's named best, or its best so far while it runs.

    Raises:
        StoreError: Where the store has no such study.
        DataError: Where the study was run before pictures' hashes were stored.
        UnknownNameError: Where there is no such trial, or none with answers.
        NothingCompletedError: Where no trial of the study completed.
    """
    evidence = load_evidence(store, study)
    best = verdict.best(evidence)
    if trial is None and best is None:
        raise NothingCompletedError(f"no trial of study '{study}' completed, so there is nothing to compare")
    named = None if best is None else best.entry.trial
    found = _with_answers(evidence, trial if trial is not None else named)
    if "hashes" not in evidence.study.context:
        raise DataError(
            f"study '{study}' was run before tlsearch stored what its pictures hash to, so none can be paired",
            hint="run it once more under another name: tlsearch run STUDY.toml --new-study NAME",
        )
    again = store.predictions(study, repeat=CONFIRMING_REPEAT).get(found.number)
    return _contender(evidence, found, again, picked=found.number == named)


def _contender(evidence: Evidence, trial: TrialRecord, again: NDArray[np.float32] | None, *, picked: bool) -> Contender:
    context, groups = evidence.study.context, evidence.groups
    later = evidence.later()
    competed = sum(one.number in evidence.predictions for one in evidence.searched() if one.number not in later)
    return Contender(
        study=evidence.study.name,
        metric=evidence.metric,
        classes=tuple(str(name) for name in context["classes"]),
        files=tuple(str(name) for name in context["files"]),
        hashes=tuple(str(digest) for digest in context["hashes"]),
        labels=evidence.labels,
        groups=None if groups is None else tuple(str(group) for group in groups),
        entry=entry(evidence, trial, with_interval=False),
        answers=evidence.predictions[trial.number],
        again=again,
        picked_from=competed if picked and trial.kind is not TrialKind.BASELINE else None,
        later=len(later) if picked else 0,
    )


def _with_answers(evidence: Evidence, number: int | None) -> TrialRecord:
    """A trial whose answers are stored; of a duplicate, the trial that answered for it."""
    study = evidence.study.name
    by_number = {trial.number: trial for trial in evidence.trials}
    found = by_number.get(-1 if number is None else number)
    if found is None:
        had = f"they are 0 to {max(by_number)}" if by_number else "it has none yet"
        raise UnknownNameError(f"study '{study}' has no trial {number}: {had}")
    if found.duplicate_of is not None:
        found = by_number[found.duplicate_of]
    if found.number not in evidence.predictions:
        state = "has no stored answers" if found.state is TrialState.COMPLETED else f"is {found.state.value}"
        why = f": {found.detail}" if found.detail else ""
        raise UnknownNameError(
            f"trial {number} of study '{study}' {state}{why}", hint="only completed trials can be compared"
        )
    return found
