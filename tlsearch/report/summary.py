"""Records to numbers: a study's summary."""

from tlsearch.records import StudyRecord
from tlsearch.report import calibrated, findings, gains, verdict
from tlsearch.report.entries import counts, entry, failures
from tlsearch.report.evidence import Evidence
from tlsearch.report.found import in_groups
from tlsearch.report.values import DataSummary, Summary

LEADERBOARD = 10


def summarise(evidence: Evidence) -> Summary:
    """Everything that a report may show of a study's records."""
    study, best = evidence.study, verdict.best(evidence)
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
        baselines=gains.baselines(evidence, best),
        frozen_linear=gains.frozen_linear(evidence, best),
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
        grouped=in_groups([*(context.get("groups") or ()), *(context.get("holdout_groups") or ())]),
    )
