"""What is scored again, with other folds and seeds, before one configuration is named best."""

from collections.abc import Sequence

from tlsearch.records import TrialKind, TrialRecord, TrialState
from tlsearch.store.store import Store

CONFIRMED = 5  # of the best
CONFIRMING_REPEAT = 1


def best_completed(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The best searched trials that completed, best first: as many as are confirmed."""
    done = [record for record in records if record.counted and record.state is TrialState.COMPLETED]
    scored = [record for record in done if record.score is not None]
    return sorted(scored, key=lambda record: (-(record.score or 0.0), record.number))[:CONFIRMED]


def to_confirm(records: Sequence[TrialRecord], competing: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The best that may be named, and every baseline that completed.

    A gain over a baseline that was scored once would keep the luck of its folds and seeds.

    Args:
        records: All trials of a study.
        competing: Those of them that may be named best.
    """
    beaten = [one for one in records if one.kind is TrialKind.BASELINE and one.state is TrialState.COMPLETED]
    return [*best_completed(competing), *beaten]


def confirmed(store: Store, study: str) -> frozenset[int]:
    """The trials of a study that were scored again; what failed then is none of them, and is tried again."""
    done = [one for one in store.confirmations(study) if one.repeat == CONFIRMING_REPEAT]
    return frozenset(one.trial for one in done if one.score is not None)
