"""The hooks a plugin may answer; their docstrings are the contract."""

from collections.abc import Sequence

import pluggy

from tlsearch.records import EpochRecord, StudyRecord, TrialRecord
from tlsearch.specs import BackboneSpec, DatasetSpec, ExporterSpec, HeadSpec

PROJECT = "tlsearch"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def tlsearch_backbones() -> Sequence[BackboneSpec]:  # type: ignore[empty-body]
    """Return the backbones that this plugin provides; cheap and pure: build and download nothing."""


@hookspec
def tlsearch_heads() -> Sequence[HeadSpec]:  # type: ignore[empty-body]
    """Return the heads that this plugin provides; cheap and pure."""


@hookspec
def tlsearch_datasets() -> Sequence[DatasetSpec]:  # type: ignore[empty-body]
    """Return the datasets that this plugin provides; cheap and pure: read and download nothing."""


@hookspec
def tlsearch_exporters() -> Sequence[ExporterSpec]:  # type: ignore[empty-body]
    """Return the export formats that this plugin provides; cheap and pure."""


@hookspec
def tlsearch_study_started(study: StudyRecord) -> None:
    """Observe that a run begins or continues a study; cannot change it."""


@hookspec
def tlsearch_epoch_finished(epoch: EpochRecord) -> None:
    """Observe one epoch of one trial on one fold."""


@hookspec
def tlsearch_trial_finished(trial: TrialRecord) -> None:
    """Observe that a trial ended, however it did."""
