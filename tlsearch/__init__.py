"""The plugin author's whole API. Importing it loads no torch, keras, optuna or sqlalchemy.

A name is looked up when it is first asked for: `Params` stands on pydantic, whose import takes as long as all of
`tlsearch --help` may.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tlsearch.errors import DataError, PluginError, TlsearchError, WeightsError
    from tlsearch.hookspecs import hookimpl
    from tlsearch.params import Params
    from tlsearch.records import EpochRecord, StudyRecord, TrialRecord
    from tlsearch.space import Choice, FloatRange, IntRange
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

_HOMES = ("errors", "space", "records", "params", "specs", "hookspecs")  # the lightest first

if not TYPE_CHECKING:  # a type checker that saw it would take any misspelt name for one of ours

    def __getattr__(name: str) -> Any:
        if name in __all__:
            for home in _HOMES:
                module = import_module(f"tlsearch.{home}")
                if hasattr(module, name):
                    return getattr(module, name)
        raise AttributeError(f"module 'tlsearch' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
