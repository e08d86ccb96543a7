"""`tlsearch run`: a whole study, live; the same command continues it."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from tlsearch.cli.again import places_options
from tlsearch.cli.signals import stopped_by_signals
from tlsearch.text import toml_text


def run_command(
    study: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a value, such as search.epochs.high=5."),
    ] = None,
    new_study: Annotated[
        str | None, typer.Option("--new-study", metavar="NAME", help="Run it as another study, under this name.")
    ] = None,
    store: Annotated[str | None, typer.Option("--store", metavar="URL", help="Where the study is stored.")] = None,
    plugins: Annotated[
        list[Path] | None, typer.Option("--plugin", metavar="FILE", help="A plugin file to load as well.")
    ] = None,
) -> None:
    """Search, choose and fit; the same command continues where an earlier run stopped."""
    files = tuple(plugins or ())
    changed = [*(overrides or []), *([f"study.name={toml_text(new_study)}"] if new_study else [])]
    named = ["--new-study", new_study] if new_study else []
    named += [part for override in overrides or [] for part in ("--set", override)]
    again = shlex.join(["tlsearch", "run", str(study), *named, *places_options(store, files)])
    with stopped_by_signals(f"continue with: {again}"):
        from tlsearch.execution.pool import WorkerPool  # not at the top: a help does not wait for it

        with WorkerPool() as pool:
            if study.is_file():
                pool.start_first()  # it imports torch beside what is imported here
            from tlsearch.cli.running import run

            run(study, changed, store, files, pool)
