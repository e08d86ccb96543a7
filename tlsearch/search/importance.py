"""Importance: which parameters decided whether a trial was among the best (PED-ANOVA)."""

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import optuna

from tlsearch.records import Json, TrialKind, TrialRecord, TrialState
from tlsearch.search.informed import quiet
from tlsearch.search.space import SearchSpace
from tlsearch.search.telling import Telling

LEAST_TRIALS = 20  # below, shares are mostly noise
LEAST_IN_BRANCH = 10
TOP_SHARE = 0.1  # Watanabe et al. 2023, arXiv:2304.10255: what decides the way into the best tenth
TOP_TRIALS = 5  # Optuna's documentation: fewer among the best make the shares unstable


def parameter_importance(space: SearchSpace, history: Sequence[TrialRecord]) -> dict[str, Json]:
    """The share that each parameter had in reaching the best completed trials.

    Args:
        space: What was varied.
        history: All trials; completed start-up and search trials count.

    Returns:
        JSON: "shared", the shares of the parameters that all trials have, which sum to 1, largest first; "branches",
        for each condition such as "head=mlp" its number of trials "n" and the "shares" of the parameters that only
        count there, of all that counts there (so their sum is below 1), empty under 10 trials; "withheld", why
        there are no shares, else None.
    """
    counted = [record for record in history if _counts(space, record)]
    withheld = _withheld(counted)
    if withheld is not None:
        return {"shared": {}, "branches": {}, "withheld": withheld}
    shared = set.intersection(*(set(record.params) for record in counted))
    return {
        "shared": _shares(space, counted, sorted(shared)),
        "branches": _branches(space, counted),
        "withheld": None,
    }


def _counts(space: SearchSpace, record: TrialRecord) -> bool:
    searched = record.kind in (TrialKind.STARTUP, TrialKind.SEARCH)
    return searched and record.state is TrialState.COMPLETED and space.contains(record.params)


def _withheld(counted: Sequence[TrialRecord]) -> str | None:
    if len(counted) < LEAST_TRIALS:
        return f"{len(counted)} trials completed; under {LEAST_TRIALS} the shares would be mostly noise"
    if not _has_a_top(counted):
        return "too many trials share one score to tell the best from the others"
    return None


def _has_a_top(counted: Sequence[TrialRecord]) -> bool:
    """Whether the best trials are not simply all of them."""
    scores = sorted((record.score for record in counted if record.score is not None), reverse=True)
    return scores[math.ceil(_top_share(len(scores)) * len(scores)) - 1] > scores[-1]


def _top_share(trials: int) -> float:
    return max(TOP_SHARE, TOP_TRIALS / trials)


def _branches(space: SearchSpace, counted: Sequence[TrialRecord]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for when in dict.fromkeys(d.when for d in space.dimensions if d.when is not None and not d.fixed):
        inside = [record for record in counted if when.holds(space.complete(record.params))]
        if not inside:
            continue
        own = {d.name for d in space.dimensions if d.when == when}
        everywhere = set.intersection(*(set(record.params) for record in inside))
        shares: dict[str, float] = {}
        if len(inside) >= LEAST_IN_BRANCH and _has_a_top(inside):
            shares = _shares(space, inside, sorted(everywhere))
        found[str(when)] = {"n": len(inside), "shares": {k: v for k, v in shares.items() if k in own}}
    return found


def _shares(space: SearchSpace, records: Sequence[TrialRecord], names: Iterable[str]) -> dict[str, float]:
    """Shares that sum to 1, largest first."""
    with _without("sklearn"):  # for two evaluators that are not used here, optuna loads it where it can: 2.4 s
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
    with quiet():
        study = optuna.create_study(direction="maximize")
        study.add_trials(Telling(space).trials(records))
        evaluator = PedAnovaImportanceEvaluator(target_quantile=_top_share(len(records)))
        return get_param_importances(study, evaluator=evaluator, params=list(names))


@contextmanager
def _without(package: str) -> Iterator[None]:
    """Lets an import that can do without a package go without it, unless the package is there already."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # what the import system itself reads as "cannot be had"
    try:
        yield
    finally:
        del sys.modules[package]
