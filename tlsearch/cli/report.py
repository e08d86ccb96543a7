"""`tlsearch report`: what a study found, and how sure one can be. Loads neither torch nor optuna."""

from pathlib import Path
from typing import Annotated

import typer

from tlsearch.cli.output import line, out, print_json
from tlsearch.cli.studies import StoredStudy, find_study
from tlsearch.errors import NothingCompletedError
from tlsearch.report.as_json import to_json
from tlsearch.report.load import load_summary
from tlsearch.report.terminal import render
from tlsearch.report.values import Summary
from tlsearch.store.reading import StoreReader


def report_command(
    study: Annotated[
        str | None,
        typer.Argument(metavar="STUDY", help="A study file or a name under runs/; left out, the newest run."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    html: Annotated[
        bool, typer.Option("--html", help="Write one page to open in a browser, and print its path.")
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FILE", help="Where --html writes; left out, report.html in the run's folder."),
    ] = None,
    final: Annotated[
        bool, typer.Option("--final", help="Open the holdout: once, for the final model, and on the record.")
    ] = False,
    store: Annotated[str | None, typer.Option("--store", metavar="URL", help="Where the study is stored.")] = None,
) -> None:
    """Tell what a study found, and how sure one can be of it."""
    if as_json and html:
        raise typer.BadParameter("--json and --html are two reports: ask for one")
    if to is not None and not html:
        raise typer.BadParameter("--to says where --html writes: ask for --html as well")
    found = find_study(study, store)
    if final:
        _open(found)
    summary = _write_page(found, to) if html else _load(found)
    if as_json:
        print_json(to_json(summary))
    elif not html:
        render(summary, out())
    if summary.best is None:
        failed = summary.failures[0] if summary.failures else None
        first = f"; the first failure: {failed.reason}: {failed.detail}" if failed else ""
        raise NothingCompletedError(f"no trial of study '{found.name}' completed{first}")


def _load(found: StoredStudy) -> Summary:
    with StoreReader.open(found.store) as opened:
        return load_summary(opened, found.name)


def _write_page(found: StoredStudy, to: Path | None) -> Summary:
    from tlsearch.report.html import NAME, write_html  # loads a template engine, which no other report needs

    target = to or found.folder / NAME
    with StoreReader.open(found.store) as opened:
        summary = write_html(opened, found.name, target)
    out().print(line(str(target)), soft_wrap=True)
    return summary


def _open(found: StoredStudy) -> None:
    from tlsearch.holdout import (
        final_folder,
        open_holdout,
    )  # with the lock and what writes, which no other report needs
    from tlsearch.store.store import Store

    with Store.open(found.store) as opened:
        folder = final_folder(opened, found.name)
        if folder is None:
            raise NothingCompletedError(
                f"study '{found.name}' has no final model yet", hint="run it to its end: tlsearch run"
            )
        open_holdout(opened, found.name, folder, found.lock)
