"""Reads what a page is made of from a study's store."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from tlsearch.records import Json, TrialKind, TrialRecord, TrialState
from tlsearch.report.entries import entry
from tlsearch.report.evidence import Evidence
from tlsearch.report.load import STORED, load_evidence
from tlsearch.report.page.material import (
    Answered,
    HeatMap,
    Material,
    Origin,
    Pictures,
    Try,
)
from tlsearch.report.summary import summarise
from tlsearch.report.values import Summary
from tlsearch.report.verdict import evidence_trial
from tlsearch.store.reading import StudyReader

PICTURES = "pictures"  # the file of small copies and heat maps


def load_material(store: StudyReader, study: str) -> Material:
    """Everything that a page may show of a stored study.

    Raises:
        StoreError: Where the store has no such study.
    """
    return material(load_evidence(store, study, (*STORED, PICTURES)))


def material(evidence: Evidence) -> Material:
    """What a page shows of a study's records."""
    summary = summarise(evidence)
    return Material(
        summary=summary,
        tries=tuple(_try(evidence, trial) for trial in evidence.trials if trial.kind is not TrialKind.DUPLICATE),
        answered=_answered(evidence, summary),
        pictures=_pictures(_stored(evidence, PICTURES)),
        origin=_origin(evidence, summary),
        read=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _stored(evidence: Evidence, name: str) -> Json:
    data = evidence.files.get(name)
    return None if data is None else json.loads(data)


def _try(evidence: Evidence, trial: TrialRecord) -> Try:
    partial = None
    if trial.state is TrialState.PRUNED:
        parts = [score for score in (trial.rung_score, *trial.fold_scores[:1]) if score is not None]
        partial = parts[0] if parts else None
    return Try(entry=entry(evidence, trial, with_interval=False), kind=trial.kind, partial=partial)


def _answered(evidence: Evidence, summary: Summary) -> Answered | None:
    if summary.best is None or summary.best.entry.trial not in evidence.predictions:
        return None
    return Answered(
        files=tuple(str(file) for file in evidence.study.context["files"]),
        labels=evidence.labels,
        log_probs=evidence.predictions[summary.best.entry.trial],
    )


def _pictures(data: Json) -> Pictures | None:
    if data is None:
        return None
    return Pictures(
        thumbs=dict(data["thumbs"]),
        heat_maps=tuple(
            HeatMap(file=str(one["file"]), image=str(one["image"]), fold=int(one["fold"]))
            for one in data.get("cams") or ()
        ),
        thumb_note=str(data.get("thumb_note") or ""),
        cam_note=str(data.get("cam_note") or ""),
    )


def _plugin_files(started: Mapping[str, Json]) -> tuple[tuple[str, str], ...]:
    """A run of earlier code did not tell them."""
    return tuple((str(one["name"]), str(one["sha256"])) for one in started.get("plugin_files") or ())


def _origin(evidence: Evidence, summary: Summary) -> Origin:
    started = evidence.last("run_started")
    best = None if summary.best is None else evidence_trial(evidence, summary.best.entry.trial)
    return Origin(
        created=evidence.study.created,
        config=evidence.study.config,
        definition=evidence.study.definition,
        versions={} if started is None else dict(started.data.get("versions") or {}),
        plugin_files=() if started is None else _plugin_files(started.data),
        backbones=evidence.backbones,
        recipe=None if best is None else best.recipe,
        license=str(evidence.study.context.get("license") or ""),
        holdout_opened="" if summary.holdout is None else summary.holdout.opened,
    )
