"""Live: gathers where a run stands, for whoever watches it."""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tlsearch.progress import EndedTrial, LiveState, RunningTrial
from tlsearch.records import Json, TrialKind, TrialRecord, TrialState, used_seconds
from tlsearch.store.store import Store
from tlsearch.study import StudyConfig
from tlsearch.training.recipe import Recipe
from tlsearch.work import Job, JobKind, Progress

TOLD_A_SECOND = 10
REMEMBERED = 100
AGAIN = {
    JobKind.CONFIRM: "scored again: ",
    JobKind.FINAL: "final fit: ",
    JobKind.TRUTH: "on fresh pictures: ",
    JobKind.EXPLAIN: "where it looked: ",
}


class Observer(Protocol):
    """Who watches a run: a terminal, a test, a program."""

    def progress(self, state: LiveState) -> None:
        """Where the run stands; called often."""

    def notice(self, text: str) -> None:
        """What a person must not miss."""


@dataclass(slots=True)
class Tally:
    """How the trials of a study ended so far."""

    counted: int = 0
    pruned: int = 0
    failed: int = 0
    best: TrialRecord | None = None

    def count(self, record: TrialRecord) -> None:
        """Count a trial that ended; one that has not is left out."""
        self.counted += record.counted
        self.pruned += record.counted and record.state is TrialState.PRUNED
        self.failed += record.counted and record.state is TrialState.FAILED
        if record.state is TrialState.COMPLETED and record.kind is not TrialKind.BASELINE:
            self.best = min(self.best or record, record, key=lambda one: (-(one.score or 0.0), one.number))


class Live:
    """What a live view shows, kept up to date from what the run does.

    Args:
        config: The study.
        store: Its truth, from which earlier runs are counted.
        observer: Told at most ten times a second, and at once where a phase begins or a trial ends.
        began: When the run did, of the monotonic clock.
    """

    def __init__(self, config: StudyConfig, *, store: Store, observer: Observer, began: float) -> None:
        self._config, self._store, self._observer, self._began = config, store, observer, began
        self._metric: str = config.study.metric or "accuracy"
        self._phase = ""
        self._activity = Progress(text="")
        self._hits = self._misses = 0
        self._since: dict[str, float] = {}  # when jobs in flight were first seen
        self._ended: deque[EndedTrial] = deque(maxlen=REMEMBERED)
        self._ended_count = 0
        self._search_began = time.monotonic()
        self._told = 0.0
        self._jobs: Mapping[str, Job] = {}
        study = config.study.name
        begun = store.has_trials(study)  # without one it may become another study
        self._tally = Tally()
        for record in store.trials(study) if begun else ():
            self._tally.count(record)
        self._used_before = used_seconds(store.events(study)) if begun else 0.0

    def phase(self, name: str) -> None:
        """A part of the run begins."""
        self._phase, self._activity = name, Progress(text="")
        if name == "search":
            self._search_began = time.monotonic()
        self._tell()

    def stored(self, metric: str) -> None:
        """The study is in the store: what its scores mean, and what earlier runs of it took, is known."""
        self._metric = metric
        self._used_before = used_seconds(self._store.events(self._config.study.name))

    def preparing(self, what: str, done: int, total: int) -> None:
        """Pictures are read, before there are workers."""
        self.working(Progress(text=what, done=done, total=total))

    def notice(self, text: str) -> None:
        """What a person must not miss."""
        self._observer.notice(text)

    def working(self, progress: Progress) -> None:
        """A worker says what it is doing."""
        self._activity = progress
        self.show(self._jobs)

    def cached(self, counts: Mapping[str, Json]) -> None:
        """A worker says what the cache did for it."""
        self._hits += int(counts["hits"])
        self._misses += int(counts["misses"])

    def ended(self, record: TrialRecord) -> None:
        """A trial ended."""
        self._tally.count(record)
        self._ended.append(_ended(record))
        self._ended_count += 1
        self._tell()

    def show(self, jobs: Mapping[str, Job]) -> None:
        """Time passed; workers are busy with `jobs`."""
        self._jobs = jobs
        now = time.monotonic()
        self._since = {name: self._since.get(name, now) for name in jobs}
        if now - self._told >= 1 / TOLD_A_SECOND:
            self._tell()

    def _tell(self) -> None:
        self._told = time.monotonic()
        minutes = (self._told - self._search_began) / 60
        budget = self._config.study.budget
        self._observer.progress(
            LiveState(
                phase=self._phase,
                metric=self._metric,
                trials_done=self._tally.counted,
                trials_budget=budget.trials,
                seconds_used=self._used_before + self._told - self._began,
                seconds_budget=budget.time_s,
                best=_ended(self._tally.best) if self._tally.best else None,
                running=tuple(self._running()),
                activity=self._activity.text,
                activity_done=self._activity.done,
                activity_total=self._activity.total,
                trials_per_minute=self._ended_count / minutes if self._ended_count and minutes else None,
                cache_hits=self._hits,
                cache_misses=self._misses,
                pruned=self._tally.pruned,
                failed=self._tally.failed,
                ended=tuple(self._ended),
            )
        )

    def _running(self) -> list[RunningTrial]:
        return [
            RunningTrial(
                number=row.trial,
                what=f"{AGAIN.get(job.kind, '')}{configuration(row.recipe)}",
                seconds=self._told - self._since[name],
            )
            for name, job in self._jobs.items()
            if name in self._since and job.kind is not JobKind.PREPARE
            for row in job.rows
        ]


def configuration(recipe: Recipe) -> str:
    """A configuration in a few words."""
    if recipe.freeze_until is not None:
        depth = f"frozen until {recipe.freeze_until}"
    elif not recipe.fine_tunes:
        depth = "backbone frozen"
    elif any(phase.unfrozen is None for phase in recipe.phases):
        depth = "all stages trained"
    else:
        stages = max(phase.unfrozen or 0 for phase in recipe.phases)
        depth = f"{stages} stage{'s' if stages > 1 else ''} trained"
    return f"{recipe.backbone}, {recipe.head}, {depth}"


def _ended(record: TrialRecord) -> EndedTrial:
    note = record.name
    if record.kind is TrialKind.DUPLICATE:
        note = f"the same as trial {record.duplicate_of}"
    elif record.state is TrialState.FAILED:
        note = f"{record.reason}: {record.detail}"
    return EndedTrial(
        number=record.number,
        state=record.state,
        what=configuration(Recipe.from_json(record.recipe)),
        score=record.score,
        seconds=record.seconds,
        note=note,
    )
