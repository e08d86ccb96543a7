"""Records to numbers: a study's summary."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tlsearch.records import ConfirmationRecord, Event, StudyRecord, TrialRecord
from tlsearch.report import calibrated, findings, verdict
from tlsearch.report.entries import counts, entry, failures
from tlsearch.report.evidence import Evidence
from tlsearch.report.values import DataSummary, Summary

__all__ = ["Summary", "summarise"]

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
        files: Small JSON texts that the run stored, by name: "importance", "data_check".
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
        floors=verdict.floors(evidence),
        baselines=verdict.baselines(evidence),
        frozen_linear=verdict.frozen_linear(evidence),
        truth=verdict.truth(evidence),
        holdout=verdict.holdout(evidence),
        holdout_seen=verdict.holdout_seen(evidence),
        leaderboard=tuple(entry(evidence, trial, with_interval=False) for trial in ranked[:LEADERBOARD]),
        importance=findings.importance(evidence),
        depths=findings.depths(evidence),
        answers=None if best is None else findings.answers(evidence, best.entry.trial),
        calibration=calibrated.calibration(evidence),
        check=findings.check(evidence),
        seconds=findings.seconds(evidence),
        cache=findings.cache(evidence),
        failures=failures(evidence),
    )


def _data(study: StudyRecord) -> DataSummary:
    context = study.context
    return DataSummary(
        classes=tuple(str(name) for name in context["classes"]),
        development=int(context["n_development"]),
        holdout=int(context["n_holdout"]),
        folds=int(context["folds"]),
        notes=tuple(str(note) for note in context.get("notes", ())),
        findings=context.get("findings", {}),
        skew=str(context.get("skew", "")),
    )
