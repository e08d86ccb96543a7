"""Proposals: how many of a round are taken up, and how each becomes a trial."""

from collections.abc import Sequence
from itertools import takewhile

from tlsearch.records import TrialKind, TrialRecord, TrialState
from tlsearch.search.jobs import Proposal


def first_job(found: Sequence[Proposal]) -> list[Proposal]:
    """The first proposals of a round, as many as one job holds: what the time allows is asked again before more."""
    return list(takewhile(lambda proposal: proposal.group == found[0].group, found))


def as_record(number: int, proposal: Proposal, history: Sequence[TrialRecord]) -> TrialRecord:
    """A proposal as a trial; a duplicate has the outcome of the trial that answers it.

    Args:
        number: The trial's.
        proposal: What should be tried.
        history: All trials so far, each at its number.
    """
    record = TrialRecord(
        number=number,
        kind=proposal.kind,
        name=proposal.name,
        state=TrialState.WAITING,
        params=proposal.params,
        recipe=proposal.recipe.to_json(),
    )
    if proposal.kind is not TrialKind.DUPLICATE:
        return record
    assert proposal.duplicate_of is not None
    answer = history[proposal.duplicate_of]
    return TrialRecord(
        number=number,
        kind=TrialKind.DUPLICATE,
        state=answer.state,
        params=proposal.params,
        recipe=proposal.recipe.to_json(),
        score=answer.score,
        fold_scores=answer.fold_scores,
        rung_score=answer.rung_score,
        reason=answer.reason,
        detail=answer.detail,
        facts=answer.facts,
        duplicate_of=answer.number,
    )
