"""A study: one TOML file as checked values, with every default in it and every fault reported at once."""

from tlsearch.study.file import DEFAULT_BACKBONES, check_study, load_study
from tlsearch.study.identity import config_from_json, config_json, differences
from tlsearch.study.tables import (
    Augment,
    BackboneTable,
    BaselinePhase,
    BaselineTable,
    Budget,
    ConstraintsTable,
    DataTable,
    Imbalance,
    Metric,
    RunTable,
    SearchTable,
    StudyConfig,
    StudyTable,
)
from tlsearch.study.values import SearchedRange, read_range

__all__ = [
    "DEFAULT_BACKBONES",
    "Augment",
    "BackboneTable",
    "BaselinePhase",
    "BaselineTable",
    "Budget",
    "ConstraintsTable",
    "DataTable",
    "Imbalance",
    "Metric",
    "RunTable",
    "SearchTable",
    "SearchedRange",
    "StudyConfig",
    "StudyTable",
    "check_study",
    "config_from_json",
    "config_json",
    "differences",
    "load_study",
    "read_range",
]
