"""Records to numbers: a study's summary, and the same as one JSON object."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tlsearch.records import ConfirmationRecord, Event, Json, StudyRecord, TrialRecord
from tlsearch.report import findings, verdict
from tlsearch.report.entries import counts, entry, failures
from tlsearch.report.evidence import Evidence
from tlsearch.report.values import DataSummary, Entry, Summary
from tlsearch.stats import Interval

__all__ = ["Summary", "summarise", "to_json"]

LEADERBOARD = 10


def summarise(
    study: StudyRecord,
    trials: Sequence[TrialRecord],
    confirmations: Sequence[ConfirmationRecord] = (),
    events: Sequence[Event] = (),
    predictions: Mapping[int, NDArray[np.float32]] | None = None,
    files: Mapping[str, str | bytes] | None = None,
) -> Summary:
    """Everything that a report may show.

    Args:
        study: With the context that the runner stored.
        trials: Every trial, by number.
        confirmations: Of the top trials.
        events: In order.
        predictions: Out-of-fold log-probabilities `(n, C)` of completed trials, by number; may load them lazily.
        files: Small JSON texts that the run stored, by name: "importance".
    """
    evidence = Evidence(
        study=study,
        trials=trials,
        confirmations=confirmations,
        events=events,
        predictions=predictions or {},
        files=files or {},
    )
    best = verdict.best(evidence)
    ranked = evidence.ranked()
    return Summary(
        study=study.name,
        metric=evidence.metric,
        data=_data(study),
        trials=counts(evidence),
        backbones=findings.backbones(evidence),
        completed_backbones=tuple(sorted({str(trial.recipe["backbone"]) for trial in ranked})),
        left_out=tuple((str(one["name"]), str(one["why"])) for one in study.context.get("left_out", ())),
        best=best,
        baselines=verdict.baselines(evidence),
        frozen_linear=verdict.frozen_linear(evidence),
        truth=verdict.truth(evidence),
        holdout=verdict.holdout(evidence),
        holdout_seen=verdict.holdout_seen(evidence),
        leaderboard=tuple(entry(evidence, trial, with_interval=False) for trial in ranked[:LEADERBOARD]),
        importance=findings.importance(evidence),
        depths=findings.depths(evidence),
        answers=None if best is None else findings.answers(evidence, best.entry.trial),
        seconds=findings.seconds(evidence),
        cache=findings.cache(evidence),
        failures=failures(evidence),
    )


def to_json(summary: Summary) -> dict[str, Json]:
    """What `tlsearch report --json` prints: one object that a program may rely on."""
    best, holdout = summary.best, summary.holdout
    return {
        "study": summary.study,
        "metric": summary.metric,
        "trials": {
            "counted": summary.trials.counted,
            "completed": summary.trials.completed,
            "pruned": summary.trials.pruned,
            "failed": summary.trials.failed,
            "running": summary.trials.running,
        },
        "backbones": list(summary.completed_backbones),
        "best": None if best is None else _entry_json(best.entry, best.score, best.interval),
        "baselines": [
            {"name": one.entry.name, **_entry_json(one.entry, one.entry.score, one.entry.interval)}
            for one in summary.baselines
        ],
        "holdout": None
        if holdout is None
        else {
            "n": holdout.n,
            "accuracy": _number(holdout.accuracy),
            "score": _number(holdout.score),
            "interval": _interval_json(holdout.interval),
        },
        "seconds": dict(summary.seconds),
    }


def _data(study: StudyRecord) -> DataSummary:
    context = study.context
    return DataSummary(
        classes=tuple(str(name) for name in context["classes"]),
        development=int(context["n_development"]),
        holdout=int(context["n_holdout"]),
        folds=int(context["folds"]),
        notes=tuple(str(note) for note in context.get("notes", ())),
        findings=context.get("findings", {}),
    )


def _entry_json(shown: Entry, score: float | None, interval: Interval | None) -> dict[str, Json]:
    return {
        "trial": shown.trial,
        "backbone": shown.backbone,
        "weights": shown.weights,
        "head": shown.head,
        "freeze_depth": shown.freeze_depth,
        "unfrozen": shown.unfrozen,
        "params": dict(shown.params),
        "score": _number(score),
        "interval": _interval_json(interval),
    }


def _interval_json(interval: Interval | None) -> list[float | None] | None:
    return None if interval is None else [_number(interval.low), _number(interval.high)]


def _number(value: float | None) -> float | None:
    # JSON knows no NaN and no infinity
    return None if value is None or not math.isfinite(value) else value
