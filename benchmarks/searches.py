"""Whole searches as benchmarks run them: silent, in this process on one thread, many side by side."""

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from tlsearch.execution.inline import InlineExecutor
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.progress import LiveState
from tlsearch.runner import Places, run_study
from tlsearch.store.store import Store
from tlsearch.study import StudyConfig
from tlsearch.work import Workbench, WorkerContext
from tlsearch.workbench import open_workbench

Asked = TypeVar("Asked")
Found = TypeVar("Found")


class Silent:
    """An observer that says nothing."""

    def progress(self, state: LiveState) -> None:
        """Where the run stands."""

    def notice(self, text: str) -> None:
        """What a person must not miss."""


def search(
    config: StudyConfig,
    *,
    host: PluginHost,
    store: Store,
    folder: Path,
    cache: Path,
    plugin: Path,
    executor: type[InlineExecutor] = InlineExecutor,
) -> None:
    """Run one study to its end.

    Args:
        config: What is searched.
        host: That the study was checked with.
        store: To write it into, open.
        folder: Of the run.
        cache: May be shared with searches that run beside this one.
        plugin: File of the plugin that brings its pictures.
        executor: What its jobs go through.
    """

    def inline(contexts: Sequence[WorkerContext]) -> InlineExecutor:
        return executor(bench(contexts), results=folder / "results")

    run_study(
        config,
        host=host,
        store=store,
        places=Places(folder=folder, cache=cache, plugins=(plugin,)),
        hubs=Hubs(offline=True),
        observer=Silent(),
        make_executor=inline,
    )


def bench(contexts: Sequence[WorkerContext]) -> Workbench:
    """The real workbench on one thread, so that a seed gives the same bits again and searches run side by side."""
    (context,) = contexts
    return open_workbench(replace(context, threads=1))


def side_by_side(work: Callable[[Asked], Found], asked: Sequence[Asked], *, workers: int, said: str) -> list[Found]:
    """Work on everything that is asked, in processes of their own, and say how far it is.

    Returns:
        What was found, in the order of `asked`.
    """
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        running = [pool.submit(work, one) for one in asked]
        for done, finished in enumerate(as_completed(running), start=1):
            finished.result()
            print(f"\r{said}: {done} of {len(asked)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return [one.result() for one in running]
