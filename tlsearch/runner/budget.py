"""Budget: whether a study may ask for more, and whether anything of it is left to do."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from tlsearch.final_files import is_sound
from tlsearch.records import Event, TrialRecord, TrialState
from tlsearch.runner.confirming import best_completed, confirmed, to_confirm
from tlsearch.runner.floors import Keeping
from tlsearch.runner.setup import Setup
from tlsearch.search.baselines import missing_baselines
from tlsearch.store.store import Store
from tlsearch.training.recipe import Recipe

TRUTH_RESERVE_S = 30.0  # for scoring the final model on fresh pictures
# Of fifty linear heads side by side each takes a twentieth to a tenth of what one alone takes (2 cores of a CPU).
ALONE_AT_MOST = 20  # times its share
EACH_ALONE: Mapping[int, int] = MappingProxyType({})


def trials_in_time(
    records: Sequence[TrialRecord],
    *,
    competing: Sequence[TrialRecord],
    scored_again: Collection[int] = (),
    side_by_side: Mapping[int, int] = EACH_ALONE,
    at_most: float = ALONE_AT_MOST,
    left_s: float,
    truth: bool,
) -> float:
    """How many trials one after another the time allows, each as slow as the slowest so far; infinity while none ended.

    Time is held back for confirming the top, the final fit, and explaining mistakes.

    Args:
        records: All trials so far; what they took tells what the rest will take.
        competing: Those of them that may be named best.
        scored_again: Trials that were confirmed by an earlier run.
        side_by_side: How many heads shared the time of which a trial's seconds are its share, by number; else 1.
        at_most: How many times its share a head takes alone; see `alone_at_most`.
        left_s: What all runs so far left of the budget.
        truth: Whether the final model is scored on fresh pictures as well.
    """

    def alone(record: TrialRecord) -> float:
        return alone_seconds(record, side_by_side.get(record.number, 1), at_most)

    done = [record for record in records if record.state is TrialState.COMPLETED and record.score is not None]
    top = [alone(record) + record.probe_seconds for record in best_completed(competing)]
    again = [one for one in to_confirm(records, competing) if one.number not in scored_again]
    final_fit = explaining = max(top, default=0.0)
    closing = sum(alone(one) + one.probe_seconds for one in again) + final_fit + explaining
    spare = left_s - closing - (TRUTH_RESERVE_S if truth else 0.0)
    if spare < max(map(alone, done), default=0.0):
        return 0
    slowest = max((record.seconds for record in done), default=0.0)
    return spare // slowest if slowest else math.inf


def is_foreseen(recipe: Recipe, records: Iterable[TrialRecord]) -> bool:
    """Whether a trial of that network and head, and at least as deep, has completed: it tells how long this one takes.

    Args:
        recipe: Of a trial that has not ended; one whose depth only a worker knows is not foreseen.
        records: All trials so far.
    """
    depths = [math.inf if phase.unfrozen is None else phase.unfrozen for phase in recipe.phases]
    depth = max(depths) if recipe.freeze_until is None else math.inf
    return any(
        record.state is TrialState.COMPLETED
        and (record.recipe["backbone"], record.recipe["head"]) == (recipe.backbone, recipe.head)
        and record.facts is not None
        and record.facts.unfrozen >= depth
        for record in records
    )


def alone_at_most(devices: Iterable[str]) -> float:
    """How many times its share a head takes alone: on other devices than a CPU it may be all of the time shared."""
    return ALONE_AT_MOST if all(device == "cpu" for device in devices) else math.inf


def refit_seconds(record: TrialRecord, side_by_side: int) -> float:
    """What it takes at most to fit a trial once more, on all folds, with nothing at hand but cached features.

    Args:
        record: Completed.
        side_by_side: How many heads shared the time of which its seconds are its share.
    """
    return alone_seconds(record, side_by_side) + record.probe_seconds


def alone_seconds(record: TrialRecord, side_by_side: int, at_most: float = ALONE_AT_MOST) -> float:
    """The same without a probe that has been fitted."""
    return record.seconds * min(side_by_side, at_most)


def why_complete(setup: Setup, store: Store) -> str | None:
    """Why the study's last run ended, where nothing is left to do; else None.

    Nothing is left where all trials ended, the last choice was made after the last result, its final model is whole on
    the disk, every baseline was run as it is written now, all that is scored again was, and the budget is
    used up or the one that was used up before.
    """
    name = setup.record.name
    records, events = store.trials(name), store.events(name)
    ended = [event for event in events if event.kind == "run_ended"]
    if not ended or not _chosen(events) or any(not record.state.ended for record in records):
        return None
    if missing_baselines(setup.space, setup.config, records) or _unconfirmed(setup, store, records):
        return None
    budget = setup.config.study.budget
    as_before = ended[-1].data["budget"] == budget.model_dump(mode="json")
    used_up = sum(record.counted for record in records) >= budget.trials
    return str(ended[-1].data["why"]) if as_before or used_up else None


def was_stopped(events: Sequence[Event]) -> bool:
    """Whether the last run ended itself before its end, as on Ctrl-C; a killed one says nothing."""
    runs = [event.kind for event in events if event.kind in ("run_started", "run_stopped", "run_ended")]
    return runs[-1:] == ["run_stopped"]


def _unconfirmed(setup: Setup, store: Store, records: Sequence[TrialRecord]) -> bool:
    """Whether one of the best, or a baseline, has yet to be scored again."""
    competing = Keeping(setup.floors, store=store, study=setup.record).admitted(records)
    done = confirmed(store, setup.record.name)
    return any(record.number not in done for record in to_confirm(records, competing))


def _chosen(events: Sequence[Event]) -> bool:
    """Whether the last choice was made after the last result, and its final model is still there, whole."""
    told = max((event.seq for event in events if event.kind in ("told", "asked")), default=0)
    choices = [event for event in events if event.kind == "chosen" and event.seq > told]
    fitted = [event.data for event in events if event.kind == "final_fitted"]
    return bool(choices) and any(
        data["trial"] == choices[-1].data["trial"] and is_sound(Path(data["folder"])) for data in fitted
    )
