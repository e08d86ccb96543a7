"""Trials as reports name them, and how many ended in which way."""

from collections import Counter
from collections.abc import Mapping

from tlsearch.records import ConfirmationRecord, Json, TrialKind, TrialRecord, TrialState
from tlsearch.report.evidence import Evidence
from tlsearch.report.lessons import Failure
from tlsearch.report.values import Entry, TrialCounts
from tlsearch.training.recipe import Recipe


def entry(evidence: Evidence, trial: TrialRecord, *, with_interval: bool = True) -> Entry:
    """A trial in a report's words.

    Args:
        evidence: The study's records.
        trial: The trial.
        with_interval: Whether its plain score gets an interval, which costs some milliseconds.
    """
    recipe = Recipe.from_json(trial.recipe)
    facts = trial.facts
    resolved = evidence.backbones.get(recipe.backbone, {})
    confirmed = sorted((c for c in evidence.confirmations if c.trial == trial.number), key=lambda c: c.repeat)
    return Entry(
        trial=trial.number,
        name=trial.name,
        state=trial.state,
        backbone=recipe.backbone,
        weights=str(resolved.get("source", "")),
        head=recipe.head,
        unfrozen=unfrozen(trial),
        stages=facts.stages if facts else None,
        epochs=recipe.epochs,
        learning_rate=recipe.phases[-1].learning_rate,
        params=trial.params or _written(recipe),
        score=trial.score,
        interval=evidence.interval(trial) if with_interval else None,
        confirmed=tuple(c.score for c in confirmed if c.score is not None),
        parameters=facts.parameters if facts else None,
        trained_parameters=facts.trained_parameters if facts else None,
        macs=facts.macs if facts else None,
        seconds=trial.seconds,
        detail=trial.detail,
    )


def unfrozen(trial: TrialRecord) -> int | None:
    """How many stages, counted from the head, a trial trains at most; None where a worker has yet to count them."""
    if trial.facts is not None:
        return trial.facts.unfrozen
    recipe = Recipe.from_json(trial.recipe)
    depths = [phase.unfrozen for phase in recipe.phases]
    if recipe.freeze_until is not None or None in depths:
        return None
    return max(depth for depth in depths if depth is not None)


def counts(evidence: Evidence) -> TrialCounts:
    """How the trials ended."""
    counted = Counter(trial.state for trial in evidence.trials if trial.counted)
    kinds = Counter(trial.kind for trial in evidence.trials if trial.state.ended)
    budget = evidence.study.config.get("study", {}).get("budget", {}).get("trials")
    return TrialCounts(
        counted=counted.total(),
        completed=counted[TrialState.COMPLETED],
        pruned=counted[TrialState.PRUNED],
        failed=counted[TrialState.FAILED],
        running=sum(trial.state is TrialState.RUNNING for trial in evidence.trials),
        duplicates=kinds[TrialKind.DUPLICATE],
        baselines=kinds[TrialKind.BASELINE],
        budget=None if budget is None else int(budget),
    )


def failures(evidence: Evidence) -> tuple[Failure, ...]:
    """What failed by reason, the most frequent first: trials, baselines among them, and scoring one again."""
    failed = [
        (_reason(trial), trial.number, trial.detail) for trial in evidence.trials if trial.state is TrialState.FAILED
    ]
    again = [one for one in evidence.confirmations if one.score is None]
    failed += [(f"{_reason(one)} when scored again", one.trial, one.detail) for one in again]
    by_reason: dict[str, list[tuple[int, str]]] = {}
    for reason, number, detail in failed:
        by_reason.setdefault(reason, []).append((number, detail))
    found = [
        Failure(reason=reason, trials=tuple(number for number, _ in cases), detail=cases[0][1])
        for reason, cases in by_reason.items()
    ]
    return tuple(sorted(found, key=lambda failure: -len(failure.trials)))


def _reason(ended: TrialRecord | ConfirmationRecord) -> str:
    return ended.reason.value if ended.reason else "unknown"


def _written(recipe: Recipe) -> Mapping[str, Json]:
    # A baseline is not sampled: what counts is what its recipe says.
    last = recipe.phases[-1]
    shown: dict[str, Json] = {
        "backbone": recipe.backbone,
        "head": recipe.head,
        "unfrozen": last.unfrozen,
        "epochs": recipe.epochs,
        "learning_rate": last.learning_rate,
        "batch_size": recipe.batch_size,
        "optimizer": recipe.optimizer,
        "weight_decay": recipe.weight_decay,
        "label_smoothing": recipe.label_smoothing,
        "imbalance": recipe.imbalance,
        "augment": recipe.augment,
        **{f"{recipe.head}.{key}": value for key, value in recipe.head_params.items()},
    }
    if recipe.freeze_until is not None:
        shown["freeze_until"] = recipe.freeze_until
    return shown
