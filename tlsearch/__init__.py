"""The plugin author's whole API. Importing it loads no torch, keras, optuna or sqlalchemy."""

from tlsearch.errors import DataError, PluginError, TlsearchError, WeightsError
from tlsearch.hookspecs import hookimpl
from tlsearch.records import EpochRecord, StudyRecord, TrialRecord
from tlsearch.space import Choice, FloatRange, IntRange, Params
from tlsearch.specs import (
    Backbone,
    BackboneSpec,
    Dataset,
    DatasetSpec,
    ExportableModel,
    ExporterSpec,
    HeadSpec,
    ImageFile,
    PackageLocation,
    Preprocessing,
    UrlLocation,
    WeightsSource,
)

__version__ = "0.1.0"

__all__ = [
    "Backbone",
    "BackboneSpec",
    "Choice",
    "DataError",
    "Dataset",
    "DatasetSpec",
    "EpochRecord",
    "ExportableModel",
    "ExporterSpec",
    "FloatRange",
    "HeadSpec",
    "ImageFile",
    "IntRange",
    "PackageLocation",
    "Params",
    "PluginError",
    "Preprocessing",
    "StudyRecord",
    "TlsearchError",
    "TrialRecord",
    "UrlLocation",
    "WeightsError",
    "WeightsSource",
    "__version__",
    "hookimpl",
]
