"""Racing: below which early score a fine-tuning trial is not worth finishing."""

import math
import statistics
from collections.abc import Sequence

from tlsearch.records import TrialKind, TrialRecord
from tlsearch.training.recipe import Recipe

RACED_AFTER = 6  # earlier trials that a newcomer is compared with, at least


def prune_threshold(history: Sequence[TrialRecord], *, folds: int) -> float | None:
    """The median early score of the fine-tuning trials so far; None while there are too few.

    Early means the first fold, or with one part the rung at half of a trial's own schedule. Baselines and
    duplicates don't count.

    Args:
        history: All trials so far.
        folds: Of the study; 1 for one part.
    """
    early = [score for record in history if (score := _early_score(record, folds=folds)) is not None]
    return statistics.median(early) if len(early) >= RACED_AFTER else None


def _early_score(record: TrialRecord, *, folds: int) -> float | None:
    if record.kind not in (TrialKind.STARTUP, TrialKind.SEARCH):
        return None
    first = record.fold_scores[0] if record.fold_scores else None
    score = record.rung_score if folds == 1 else first
    if score is None or not math.isfinite(score):
        return None
    return score if Recipe.from_json(record.recipe).fine_tunes else None
