"""How good a model is and how sure one can be; numpy only, and nothing of ours."""

from tlsearch.stats.calibration import Calibration, calibrate, tempered
from tlsearch.stats.compare import (
    Candidate,
    Difference,
    Verdict,
    cannot_tell_apart,
    choose,
    difference,
    selection_differences,
)
from tlsearch.stats.intervals import score_interval
from tlsearch.stats.metrics import ClassScores, confusion_matrix, per_class, score
from tlsearch.stats.selection import SelectionEstimate, bbc_cv
from tlsearch.stats.shares import Interval, wilson

__all__ = [
    "Calibration",
    "Candidate",
    "ClassScores",
    "Difference",
    "Interval",
    "SelectionEstimate",
    "Verdict",
    "bbc_cv",
    "calibrate",
    "cannot_tell_apart",
    "choose",
    "confusion_matrix",
    "difference",
    "per_class",
    "score",
    "score_interval",
    "selection_differences",
    "tempered",
    "wilson",
]
