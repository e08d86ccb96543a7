"""Closes a search: the top is confirmed, one configuration is chosen, its final model fitted and held to the truth."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tlsearch.errors import NothingCompletedError, TlsearchError
from tlsearch.final_files import is_sound
from tlsearch.records import Json, TrialKind, TrialRecord, TrialState
from tlsearch.runner.budget import CONFIRMED
from tlsearch.runner.dispatch import Dispatcher, job_id
from tlsearch.runner.journal import Journal
from tlsearch.runner.setup import Setup
from tlsearch.search.importance import parameter_importance
from tlsearch.stats import Candidate, bbc_cv, cannot_tell_apart, choose
from tlsearch.store.store import Store
from tlsearch.training.recipe import Recipe
from tlsearch.work import Job, JobKind, Row

CONFIRMING_REPEAT = 1
TRUTH_PICTURES = 5_000
TRUTH_SEED = 1  # of the stream of fresh pictures; the dataset itself is seed 0 or another stream
RANKED = (TrialKind.STARTUP, TrialKind.SEARCH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The configuration that is named best, and why."""

    record: TrialRecord
    data: dict[str, Json]  # of the "chosen" event


class Closing:
    """The last part of a run.

    Args:
        setup: Of the study.
        store: Its truth.
        journal: Of the run.
        dispatcher: Runs the jobs.
    """

    def __init__(self, setup: Setup, *, store: Store, journal: Journal, dispatcher: Dispatcher) -> None:
        self._setup = setup
        self._study = setup.record.name
        self._store, self._journal, self._dispatcher = store, journal, dispatcher

    def top(self) -> list[TrialRecord]:
        """The best completed trials, best first.

        Raises:
            NothingCompletedError: Where there is none.
        """
        records = [record for record in self._store.trials(self._study) if record.kind in RANKED]
        done = [r for r in records if r.state is TrialState.COMPLETED and r.score is not None]
        if not done:
            raise _nothing_completed(records)
        return sorted(done, key=lambda record: (-(record.score or 0.0), record.number))[:CONFIRMED]

    def confirm(self) -> None:
        """Score the top again, with other folds and seeds; what was confirmed before is not repeated."""
        known = {c.trial for c in self._store.confirmations(self._study) if c.repeat == CONFIRMING_REPEAT}
        for record in self.top():
            if record.number not in known:
                row = Row(
                    trial=record.number,
                    attempt=1,
                    recipe=Recipe.from_json(record.recipe),
                    seed_key=record.number,
                )
                job = Job(
                    id=job_id("confirm", record.number),
                    kind=JobKind.CONFIRM,
                    rows=(row,),
                    repeat=CONFIRMING_REPEAT,
                    timeout_s=self._setup.config.run.trial_timeout_s,
                )
                result = self._dispatcher.run(job)
                self._store.record(self._study, [result])
                self._journal.event("confirmed", trial=record.number, score=result.score, state=result.state)

    def choose(self) -> Choice:
        """Name one configuration best: the cheapest of those that cannot be told apart.

        The estimate bootstraps the plain best score over all completed trials, so that it knows how many competed.
        """
        context = self._setup.record.context
        labels, groups, metric = context["labels"], context["groups"], context["metric"]
        seed = self._setup.config.study.seed
        everyone = self._store.predictions(self._study)
        again = self._store.predictions(self._study, repeat=CONFIRMING_REPEAT)
        by_number = {record.number: record for record in self._store.trials(self._study)}
        ranked = [n for n, r in by_number.items() if r.kind in RANKED and r.state is TrialState.COMPLETED]
        competing = [everyone[n] for n in ranked]
        estimate = bbc_cv(competing, labels, metric, groups=groups, seed=seed)
        top = [record for record in self.top() if record.number in again] or self.top()[:1]
        fair = [[again.get(record.number, everyone[record.number])] for record in top]
        alike = cannot_tell_apart(fair, labels, metric, groups=groups, seed=seed)
        named = choose([_candidate(record) for record in top], alike)
        winner = by_number[named.trial]
        repeated = {c.trial: c.score for c in self._store.confirmations(self._study) if c.repeat == CONFIRMING_REPEAT}
        data = {
            "trial": winner.number,
            "reason": _reason(winner, top, alike),
            "indistinguishable": [top[index].number for index in alike],
            "confirmed": [record.number for record in top],
            "estimate": asdict(estimate),
            "handicap": estimate.handicap(named.score, repeated.get(named.trial)),
        }
        return Choice(record=winner, data=data)

    def fit_final(self, record: TrialRecord) -> Path:
        """Fit the chosen configuration on all development images; a sound earlier fit of it is kept."""
        recipe = Recipe.from_json(record.recipe)
        for event in reversed(self._store.events(self._study, ["final_fitted"])):
            if event.data["recipe"] == recipe.digest() and is_sound(Path(event.data["folder"])):
                return Path(event.data["folder"])
        row = Row(trial=record.number, attempt=1, recipe=recipe, seed_key=record.number)
        result = self._dispatcher.run(Job(id=job_id("final", record.number), kind=JobKind.FINAL, rows=(row,)))
        if result.state is not TrialState.COMPLETED:
            raise TlsearchError(f"the final model could not be fitted: {result.detail}")
        folder = str(result.extras["folder"])
        difference = result.extras["cached_difference"]
        told = {"trial": record.number, "folder": folder, "recipe": recipe.digest(), "cached_difference": difference}
        self._journal.event("final_fitted", **told)
        return Path(folder)

    def score_truth(self, record: TrialRecord, folder: Path) -> None:
        """Score the final model on fresh pictures, where the dataset can draw them."""
        known = self._store.events(self._study, ["truth_scored"])
        if self._setup.dataset.fresh is None or any(event.data["folder"] == str(folder) for event in known):
            return
        row = Row(trial=record.number, attempt=1, recipe=Recipe.from_json(record.recipe))
        options = {"folder": str(folder), "n": TRUTH_PICTURES, "seed": TRUTH_SEED}
        result = self._dispatcher.run(
            Job(id=job_id("truth", record.number), kind=JobKind.TRUTH, rows=(row,), options=options)
        )
        if result.state is not TrialState.COMPLETED:
            raise TlsearchError(f"the final model could not be scored on fresh pictures: {result.detail}")
        self._journal.event("truth_scored", trial=record.number, folder=str(folder), **result.extras)

    def keep_importance(self) -> None:
        """Compute which parameters mattered, for reports to read."""
        shares = parameter_importance(self._setup.space, self._store.trials(self._study))
        self._store.put_file(self._study, "importance", json.dumps(shares).encode())


def _nothing_completed(records: Sequence[TrialRecord]) -> NothingCompletedError:
    failed = [record for record in records if record.state is TrialState.FAILED]
    if not records:
        return NothingCompletedError(
            "no trial was run: the time budget was used up before the first",
            hint="raise budget.time, then run the same command again",
        )
    first = f"; the first failure: {failed[0].reason}: {failed[0].detail}" if failed else ""
    return NothingCompletedError(f"no trial completed ({len(failed)} failed){first}")


def _candidate(record: TrialRecord) -> Candidate:
    assert record.facts is not None, "a completed trial has facts"
    assert record.score is not None, "a completed trial has a score"
    facts = record.facts
    return Candidate(trial=record.number, score=record.score, macs=facts.macs, parameters=facts.parameters)


def _reason(winner: TrialRecord, top: Sequence[TrialRecord], alike: Sequence[int]) -> str:
    if len(alike) == 1:
        return "it did better than every other confirmed configuration"
    best = winner.number == top[0].number
    return f"{len(alike)} configurations cannot be told apart; this one " + (
        "is the cheapest of them, and had the best score" if best else "is the cheapest of them"
    )
