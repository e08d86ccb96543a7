"""Chooses: which configurations are confirmed, and which of them is named best."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from tlsearch.errors import NothingCompletedError
from tlsearch.records import Json, TrialKind, TrialRecord, TrialState
from tlsearch.runner.confirming import CONFIRMING_REPEAT, best_completed
from tlsearch.runner.floors import Keeping
from tlsearch.runner.setup import Setup
from tlsearch.stats import Calibration, Candidate, bbc_cv, calibrate, cannot_tell_apart, choose
from tlsearch.stats.floors import doubt
from tlsearch.store.store import Store

RANKED = (TrialKind.STARTUP, TrialKind.SEARCH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The configuration that is named best, and why."""

    record: TrialRecord
    data: dict[str, Json]  # of the "chosen" event
    temperature: float  # of the final model
    unkept: str  # where its floors are not kept, or were not when it was scored again: which, and how near; else ""


def top_trials(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The best completed trials, best first, as many as are confirmed.

    Raises:
        NothingCompletedError: Where there is none.
    """
    best = best_completed(records)
    if not best:
        raise _nothing_completed([record for record in records if record.kind in RANKED])
    return best


def choose_best(setup: Setup, store: Store) -> Choice:
    """Name one configuration best: the cheapest of those that cannot be told apart.

    The estimate bootstraps the choice over all completed trials, floors included, so that it knows how many competed.
    """
    context, study = setup.record.context, setup.record.name
    labels, groups, metric = context["labels"], context["groups"], context["metric"]
    seed = setup.config.study.seed
    again = store.predictions(study, repeat=CONFIRMING_REPEAT)
    records = store.trials(study)
    by_number = {record.number: record for record in records}
    keeping = Keeping(setup.floors, store=store, study=setup.record)
    admitted = keeping.admitted(records)
    ranked = [r.number for r in records if r.kind in RANKED and r.state is TrialState.COMPLETED]
    competing = (store.predictions(study, trials=[n])[n] for n in ranked)  # of 100 000 pictures each takes megabytes
    repeated = {c.trial: c.score for c in store.confirmations(study) if c.repeat == CONFIRMING_REPEAT}
    twice = {i: score for i, n in enumerate(ranked) if (score := repeated.get(n)) is not None}
    estimate = bbc_cv(competing, labels, metric, again=twice, floors=setup.floors, groups=groups, seed=seed)
    best = top_trials(admitted)
    confirmed = [record for record in best if record.number in again] or best[:1]
    top = keeping.still(confirmed, again)
    answers = store.predictions(study, trials=[record.number for record in top])
    fair = [[again.get(record.number, answers[record.number])] for record in top]
    before = [answers[record.number] for record in top]
    alike = cannot_tell_apart(fair, labels, metric, before=before, groups=groups, seed=seed)
    named = choose([_candidate(record) for record in top], alike)
    winner = by_number[named.trial]
    calibration = _calibration(setup, answers[winner.number])
    reached = keeping.reached(winner.number, answers[winner.number], again)
    missed = doubt(reached)
    data = {
        "trial": winner.number,
        "reason": missed or _reason(winner, top, alike),
        "indistinguishable": [top[index].number for index in alike],
        "confirmed": [record.number for record in confirmed],
        "floors": [{**asdict(one), "holds": one.holds} for one in reached],
        "estimate": asdict(estimate),
        "handicap": estimate.handicap(named.score, repeated.get(named.trial)),
        "calibration": None if calibration is None else calibration.to_json(),
    }
    temperature = 1.0 if calibration is None else calibration.temperature
    return Choice(record=winner, data=data, temperature=temperature, unkept=missed)


def _calibration(setup: Setup, log_probs: NDArray[np.float32]) -> Calibration | None:
    """What a temperature does to out-of-fold log-probabilities `(n, C)`; None where they are too few to say."""
    context, folds = setup.record.context, setup.contexts[0].folds[0]
    return calibrate(log_probs, context["labels"], folds=folds, groups=context["groups"], seed=setup.config.study.seed)


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
