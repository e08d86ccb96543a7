"""run_study: what a run does, from beginning to end."""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tlsearch.devices import choose_devices
from tlsearch.errors import StoreError, TlsearchError
from tlsearch.execution.executor import Executor
from tlsearch.execution.warm_up import WarmUp
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.records import EpochRecord, TrialRecord
from tlsearch.runner.budget import was_stopped, why_complete
from tlsearch.runner.checking import Checking
from tlsearch.runner.choosing import choose_best
from tlsearch.runner.closing import Closing
from tlsearch.runner.dispatch import Dispatcher, Watcher
from tlsearch.runner.journal import Journal
from tlsearch.runner.linking import LinkFinder
from tlsearch.runner.live import Live, Observer
from tlsearch.runner.preparing import Preparing
from tlsearch.runner.searching import Searching
from tlsearch.runner.setup import Places, Setup, set_up
from tlsearch.runner.showing import Showing
from tlsearch.runner.warming import warm_up_of
from tlsearch.search.baselines import baselines_left_out
from tlsearch.store.store import Store
from tlsearch.study import StudyConfig
from tlsearch.work import WorkerContext


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
    warm_up: Callable[[WarmUp], None] | None = None,
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
        warm_up: Starts the study's workers, which wait for `make_executor`, and lets them import its frameworks; not
            called for a study that has begun, for it may turn out complete.

    Raises:
        TlsearchError: Each kind says what is wrong and what to do.
    """
    began = time.monotonic()
    live = Live(config, store=store, observer=observer, began=began)
    live.phase("data")
    devices = choose_devices(config.run.devices)
    if warm_up is not None and not store.has_trials(config.study.name):
        warm_up(warm_up_of(config, host=host, devices=devices))
    setup = set_up(
        config,
        host=host,
        store=store,
        places=places,
        hubs=hubs,
        notice=observer.notice,
        progress=live.preparing,
        find_links=_link_finder(host, hubs, places, devices[0], make_executor, live),
    )
    live.stored(setup.record.context["metric"])
    ended = why_complete(setup, store)
    if ended is not None:
        return Outcome(study=config.study.name, was_complete=True, why=ended)
    stopped = was_stopped(store.events(config.study.name))
    log = places.folder / "logs" / "events.jsonl"
    with Journal(store, config.study.name, log, began=began) as journal:
        journal.event("run_started", versions=host.versions(), plugin_files=_plugin_files(places.plugins))
        journal.phase_timed("data", began)
        executor = make_executor(setup.contexts)
        with _stopping(executor, journal, config.run.grace_s, observer):
            run = _Run(setup, host=host, store=store, journal=journal, executor=executor, live=live, places=places)
            why = run.through(was_stopped=stopped)
        journal.event("run_ended", why=why, budget=config.study.budget.model_dump(mode="json"))
    return Outcome(study=config.study.name, was_complete=False, why=why)


def _link_finder(
    host: PluginHost,
    hubs: Hubs,
    places: Places,
    device: str,
    make_executor: MakeExecutor,
    live: Live,
) -> LinkFinder:
    """Tells which pictures show one photograph; asked for a new study alone."""
    return LinkFinder(
        host=host,
        hubs=hubs,
        cache=places.cache,
        plugins=places.plugins,
        device=device,
        make_executor=make_executor,
        progress=live.preparing,
    )


def _plugin_files(files: Sequence[Path]) -> list[dict[str, str]]:
    """The plugin files of this run, for whoever wants to repeat it."""
    return [{"name": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()} for file in files]


@contextlib.contextmanager
def _stopping(executor: Executor, journal: Journal, grace_s: float, observer: Observer) -> Iterator[None]:
    """Close the executor: at once at the end, and with time for rows in work where the run is ended before."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, TlsearchError):
            observer.notice(f"stopping: trials in work may end within {grace_s:g} s")
        _stop(executor, journal, error, grace_s)
        raise
    executor.close(0.0)


def _stop(executor: Executor, journal: Journal, error: BaseException, grace_s: float) -> None:
    """Note that the run ended itself, and let rows in work end: the next run finds their results."""
    try:
        if not isinstance(error, StoreError):  # which would not take the note
            journal.event("run_stopped", why=type(error).__name__)
    finally:
        executor.close(grace_s)


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
        live: Live,
        places: Places,
    ) -> None:
        self._setup, self._host, self._store, self._journal = setup, host, store, journal
        self._live = live
        self._study = setup.record.name
        self._noticed: set[str] = set()
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
                tick=lambda: self._live.show(self._dispatcher.in_work),
            ),
            folds=setup.record.context["folds"],
            timeout_s=setup.config.run.trial_timeout_s,
            races=not setup.floors,
        )
        self._preparing = Preparing(
            setup, host=host, store=store, journal=journal, dispatcher=self._dispatcher, live=live
        )
        self._searching = Searching(
            setup,
            store=store,
            journal=journal,
            dispatcher=self._dispatcher,
            capacity=executor.capacity,
            notice=self._notice,
            trial_ended=self._trial_ended,
        )
        self._closing = Closing(setup, store=store, journal=journal, dispatcher=self._dispatcher, notice=self._notice)
        self._showing = Showing(setup, store=store, journal=journal, dispatcher=self._dispatcher)
        self._checking = Checking(
            setup, host=host, store=store, journal=journal, dispatcher=self._dispatcher, notice=self._notice
        )

    def through(self, *, was_stopped: bool) -> str:
        """All of it, in order; returns why the search ended.

        Args:
            was_stopped: Whether the run before ended itself.
        """
        for name in baselines_left_out(self._setup.space, self._setup.config):
            self._notice(f"left out: baseline '{name}', for its backbone is left out")
        self._notice(*self._host.notify_study_started(self._setup.record))
        with self._phase("features"):
            probe_scores = self._preparing.probe_scores()
        with self._phase("data check"):
            self._checking.keep()
        with self._phase("search"):
            self._dispatcher.take_over(was_stopped=was_stopped)
            why = self._searching.until_used_up(probe_scores)
        with self._phase("confirmation"):
            self._closing.confirm()
        with self._phase("choosing"):
            choice = choose_best(self._setup, self._store)
            if choice.unkept:
                self._notice(choice.unkept)
        with self._phase("final fit"):
            folder = self._closing.fit_final(choice.record, choice.temperature)
        if self._setup.dataset.fresh is not None:
            with self._phase("truth"):
                self._closing.score_truth(choice.record, folder)
        self._closing.keep_importance()
        with self._phase("pictures"):
            self._showing.keep(choice.record)
        self._journal.event("chosen", **choice.data)
        return why

    def _trial_ended(self, record: TrialRecord) -> None:
        self._notice(*self._host.notify_trial_finished(record))
        self._live.ended(record)

    def _epoch_finished(self, epoch: EpochRecord) -> None:
        self._notice(*self._host.notify_epoch_finished(epoch))

    def _notice(self, *texts: str) -> None:
        """Tell a person, and the journal; once, for an observer may raise at every epoch."""
        for text in texts:
            if text not in self._noticed:
                self._noticed.add(text)
                self._live.notice(text)
                self._journal.event("notice", text=text)

    @contextlib.contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        """Time a part of the run for the report, whether it comes to its end or not."""
        began = time.monotonic()
        self._live.phase(name)
        try:
            yield
        except StoreError:
            raise  # the store would not take the note
        except BaseException:
            self._journal.phase_timed(name, began)
            raise
        self._journal.phase_timed(name, began)
