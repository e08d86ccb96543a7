"""What `tlsearch run` does once its words are read: opens the study, runs it live, and tells what it found."""

import logging
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from tlsearch.cli.again import places_options
from tlsearch.cli.live import LiveView
from tlsearch.cli.made_folder import made_folder
from tlsearch.cli.output import err, line, out
from tlsearch.cli.places import refuse_run_among_photos
from tlsearch.cli.studies import STORE_VARIABLE, study_lock
from tlsearch.devices import choose_devices
from tlsearch.execution.local import LocalExecutor
from tlsearch.execution.lock import StudyLock
from tlsearch.execution.pool import WorkerPool
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.paths import DATABASE, cache_root, run_folder
from tlsearch.progress import LiveState
from tlsearch.report.load import load_summary
from tlsearch.report.terminal import render
from tlsearch.runner import Outcome, Places, run_study
from tlsearch.store.store import Store
from tlsearch.study import StudyConfig, load_study
from tlsearch.work import WorkerContext

OUT_OF_TIME = "the search ended when its time was used up; a larger study.budget.time continues it"


def run(study: Path, overrides: Sequence[str], store: str | None, plugins: tuple[Path, ...], pool: WorkerPool) -> None:
    """Run a study file's study to its end.

    Args:
        study: The file.
        overrides: KEY=VALUE in TOML's words.
        store: The store's URL, where one was named.
        plugins: Files to load as well.
        pool: Of workers; closed once the search has ended.
    """
    # a plugin's observer that raises is told as a notice; without a handler its traceback would be shown as well
    logging.getLogger("tlsearch").addHandler(logging.NullHandler())
    host = PluginHost.load(files=plugins)
    config = load_study(study, overrides=overrides, host=host)
    folder = run_folder(config.study.name)
    usual = f"sqlite:///{folder / DATABASE}"
    url = store or os.environ.get(STORE_VARIABLE) or config.run.store or usual
    refuse_run_among_photos(config)
    choose_devices(config.run.devices)  # one that is not there is refused before anything is made
    name = config.study.name
    with made_folder(folder, store=url, study=name), StudyLock(study_lock(url, name)), Store.open(url) as opened:
        outcome = _run_live(config, host=host, store=opened, places=_places(folder, plugins), pool=pool)
        _tell(outcome, opened, places_options(None if url == usual else url, plugins))


def _run_live(config: StudyConfig, *, host: PluginHost, store: Store, places: Places, pool: WorkerPool) -> Outcome:
    logs = places.folder / "logs"

    def workers(contexts: Sequence[WorkerContext]) -> LocalExecutor:
        pool.keep_logs(logs)  # a study that is complete has no workers, and makes no file
        return LocalExecutor(contexts, results=places.folder / "results", logs=logs, pool=pool)

    view = LiveView(err(), config.study.name)
    with view, pool:
        return run_study(
            config,
            host=host,
            store=store,
            places=places,
            hubs=Hubs(notice=view.notice),
            observer=_Shown(view),
            make_executor=workers,
            warm_up=pool.warm_up,
        )


class _Shown:
    """Shows a run's progress in a live view."""

    def __init__(self, view: LiveView) -> None:
        self._view = view

    def progress(self, state: LiveState) -> None:
        self._view.update(state)

    def notice(self, text: str) -> None:
        self._view.notice(text)


def _tell(outcome: Outcome, store: Store, options: Sequence[str]) -> None:
    console = out()
    if outcome.was_complete:
        console.print(line(f"study '{outcome.study}' is complete: nothing is left to run, and nothing was repeated"))
    render(load_summary(store, outcome.study), console)
    console.print()
    if outcome.why == "time":
        console.print(line(OUT_OF_TIME))
    export = shlex.join(["tlsearch", "export-best", outcome.study, *options, "--to"])
    console.print(line("next: ", (f"{export} DIR", "bold")), soft_wrap=True)


def _places(folder: Path, files: tuple[Path, ...]) -> Places:
    return Places(folder=folder, cache=cache_root(), plugins=tuple(file.resolve() for file in files))
