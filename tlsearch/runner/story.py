"""run_study: what a run does, from beginning to end."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from tlsearch.errors import TlsearchError
from tlsearch.execution.executor import Executor
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.progress import LiveState
from tlsearch.records import EpochRecord, TrialKind, TrialRecord, TrialState
from tlsearch.runner.closing import Closing, settled
from tlsearch.runner.dispatch import Dispatcher, Watcher
from tlsearch.runner.journal import Journal
from tlsearch.runner.live import Live
from tlsearch.runner.setup import Places, Setup, set_up
from tlsearch.search.jobs import Proposal, SpaceExhausted, next_round
from tlsearch.store.store import Store
from tlsearch.study import StudyConfig
from tlsearch.training.recipe import Phase, Recipe
from tlsearch.work import Job, JobKind, Row, WorkerContext

ROOM = 8  # trials handed out at a time
POLL_S = 0.2
TRUTH_RESERVE_S = 30.0
PROBE_EPOCHS = 10  # of the linear probes that order the backbones
PROBE_RATE = 1e-2


class Observer(Protocol):
    """Who watches a run: a terminal, a test, a program."""

    def progress(self, state: LiveState) -> None:
        """Where the run stands; called often."""

    def notice(self, text: str) -> None:
        """What a person must not miss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended.

    Args:
        study: The study's name.
        was_complete: Whether nothing was left to do.
        why: What ended the search: "trials", "time" or "exhausted".
    """

    study: str
    was_complete: bool
    why: str


MakeExecutor = Callable[[Sequence[WorkerContext]], Executor]


def run_study(
    config: StudyConfig,
    *,
    host: PluginHost,
    store: Store,
    places: Places,
    hubs: Hubs,
    observer: Observer,
    make_executor: MakeExecutor,
) -> Outcome:
    """Run a study, or continue it where an earlier run left it.

    Args:
        config: The study.
        host: With its plugins.
        store: Writable; the caller holds the study's lock.
        places: Where files are kept.
        hubs: The run's.
        observer: Told what happens.
        make_executor: Starts workers, one a context.

    Raises:
        TlsearchError: Each kind says what is wrong and what to do.
    """
    began = time.monotonic()
    setup = set_up(config, host=host, store=store, places=places, hubs=hubs, notice=observer.notice)
    journal = Journal(store, config.study.name, places.folder / "logs" / "events.jsonl")
    if _complete(setup, store):
        return Outcome(study=config.study.name, was_complete=True, why="trials")
    journal.event("run_started", versions=host.versions())
    journal.event("phase_timed", phase="data", seconds=time.monotonic() - began)
    for text in host.notify_study_started(setup.record):
        observer.notice(text)
    executor = make_executor(setup.contexts)
    try:
        run = _Run(setup, host=host, store=store, journal=journal, executor=executor, observer=observer, places=places)
        why = run.through()
    except BaseException:
        executor.close(config.run.grace_s)  # rows in work may end; their results are found by the next run
        raise
    executor.close(0.0)
    journal.event("run_ended", why=why, budget=config.study.budget.model_dump(mode="json"))
    return Outcome(study=config.study.name, was_complete=False, why=why)


class _Run:
    """One run of a study: holds what its parts share."""

    def __init__(
        self,
        setup: Setup,
        *,
        host: PluginHost,
        store: Store,
        journal: Journal,
        executor: Executor,
        observer: Observer,
        places: Places,
    ) -> None:
        self._setup, self._host, self._store, self._journal = setup, host, store, journal
        self._executor, self._observer = executor, observer
        self._study = setup.record.name
        self._live = Live(setup, store=store, journal=journal, observer=observer)
        self._dispatcher = Dispatcher(
            store=store,
            study=self._study,
            executor=executor,
            results=places.folder / "results",
            journal=journal,
            watcher=Watcher(
                trial=self._trial_ended,
                epoch=self._epoch_finished,
                progress=self._live.working,
                tick=lambda: self._live.show(self._dispatcher.jobs),
            ),
            folds=setup.record.context["folds"],
            timeout_s=setup.config.run.trial_timeout_s,
        )
        self._closing = Closing(setup, store=store, journal=journal, dispatcher=self._dispatcher)

    def through(self) -> str:
        """All of it, in order; returns why the search ended."""
        with self._phase("features"):
            probe_scores = self._prepare()
        with self._phase("search"):
            self._dispatcher.take_over()
            why = self._search(probe_scores)
        with self._phase("confirmation"):
            self._closing.confirm()
        with self._phase("choosing"):
            choice = self._closing.choose()
        with self._phase("final fit"):
            folder = self._closing.fit_final(choice.record)
        if self._setup.dataset.fresh is not None:
            with self._phase("truth"):
                self._closing.score_truth(choice.record, folder)
        self._closing.keep_importance()
        self._journal.event("chosen", **choice.data)
        return why

    def _prepare(self) -> dict[str, float]:
        """Cache every backbone's features and score a linear probe on them; what an earlier run knows is kept."""
        scores = {
            event.data["backbone"]: float(event.data["score"])
            for event in self._store.events(self._study, ["prepared"])
        }
        for name in self._setup.record.context["backbones"]:
            if name in scores:
                continue
            recipe = Recipe(
                backbone=name, head="linear", phases=(Phase(epochs=10, learning_rate=1e-2),), start="random"
            )
            job = Job(id=f"prepare-{name}", kind=JobKind.PREPARE, rows=(Row(trial=-1, attempt=1, recipe=recipe),))
            result = self._closing.run(job)
            if result.state is not TrialState.COMPLETED or result.score is None:
                raise TlsearchError(f"backbone '{name}' cannot be used: {result.detail}")
            self._live.cached(result.extras["cache"])
            self._journal.event("cache", backbone=name, **result.extras["cache"])
            self._journal.event("prepared", backbone=name, score=result.score)
            scores[name] = result.score
        return scores

    def _search(self, probe_scores: dict[str, float]) -> str:
        """Ask, dispatch and listen until the budget is used up; returns why it ended."""
        why = ""
        while True:
            if not why and len(self._dispatcher.jobs) < self._executor.capacity:
                why = self._ask(probe_scores)
            if why and not self._dispatcher.jobs:
                return why
            self._dispatcher.hear(POLL_S)

    def _ask(self, probe_scores: dict[str, float]) -> str:
        """Ask for one round and dispatch it; returns why there is none, or "" while there is."""
        if self._out_of_time():
            return "time"
        history = self._store.trials(self._study)
        found = next_round(self._setup.space, history, config=self._setup.config, probe_scores=probe_scores, room=ROOM)
        if isinstance(found, SpaceExhausted):
            self._observer.notice(f"nothing new is left to try: {found.duplicates} proposals in a row were known")
            return "exhausted"
        if not found:
            return "" if self._dispatcher.jobs else "trials"
        first = self._store.next_number(self._study)
        records = [_record(first + offset, proposal, history) for offset, proposal in enumerate(found)]
        self._store.add_trials(self._study, records)
        self._journal.event("asked", trials=[record.number for record in records])
        waiting = [(p.group, r) for p, r in zip(found, records, strict=True) if r.state is TrialState.WAITING]
        for record in records:
            if record.state.ended:
                self._trial_ended(record)
        for _, job in groupby(sorted(waiting, key=lambda pair: (pair[0], pair[1].number)), key=lambda pair: pair[0]):
            self._dispatcher.dispatch([record for _, record in job])
        return ""

    def _out_of_time(self) -> bool:
        """Whether what is left of the time is needed for confirming the top and for the final fit."""
        limit = self._setup.config.study.budget.time_s
        if limit is None:
            return False
        done = [r for r in self._store.trials(self._study) if r.state is TrialState.COMPLETED and r.score is not None]
        best = sorted(done, key=lambda record: -(record.score or 0.0))[:5]
        took = [record.seconds + record.probe_seconds for record in best]
        truth = TRUTH_RESERVE_S if self._setup.dataset.fresh is not None else 0.0
        slowest = max((record.seconds for record in done), default=0.0)  # one more trial may be as slow
        return self._journal.used_seconds + sum(took) + max(took, default=0.0) + truth + slowest > limit

    def _trial_ended(self, record: TrialRecord) -> None:
        for text in self._host.notify_trial_finished(record):
            self._observer.notice(text)
        self._live.ended(record)

    def _epoch_finished(self, epoch: EpochRecord) -> None:
        for text in self._host.notify_epoch_finished(epoch):
            self._observer.notice(text)

    @contextlib.contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        """Time a part of the run, for the report."""
        began = time.monotonic()
        self._live.phase(name)
        yield
        self._journal.event("phase_timed", phase=name, seconds=time.monotonic() - began)


def _record(number: int, proposal: Proposal, history: Sequence[TrialRecord]) -> TrialRecord:
    """A proposal as a trial; a duplicate has the outcome of the trial that answers it."""
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
    (answer,) = (earlier for earlier in history if earlier.number == proposal.duplicate_of)
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


def _complete(setup: Setup, store: Store) -> bool:
    """Whether the budget is used up, nothing is in flight, and the last choice is newer than the last result."""
    records = store.trials(setup.record.name)
    if any(not record.state.ended for record in records):
        return False
    events = store.events(setup.record.name)
    if not settled(events):
        return False
    ended = [event for event in events if event.kind == "run_ended"]
    if not ended:
        return False
    baselines = {record.name for record in records if record.kind is TrialKind.BASELINE}
    listed = {table.name for table in setup.config.baselines if table.backbone in setup.record.context["backbones"]}
    counted = sum(record.counted for record in records)
    budget = setup.config.study.budget
    same_budget = ended[-1].data["budget"] == budget.model_dump(mode="json")
    return listed <= baselines and (same_budget or counted == budget.trials)
