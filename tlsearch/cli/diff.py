"""`tlsearch diff`: two studies or trials on the pictures that both know. Loads neither torch nor optuna."""

import re
from pathlib import Path
from typing import Annotated

import typer

from tlsearch.cli.output import out, print_json
from tlsearch.cli.studies import find_study
from tlsearch.paths import DATABASE
from tlsearch.report.contender import Contender, load_contender
from tlsearch.report.diff import compare
from tlsearch.report.diff_json import diff_json
from tlsearch.report.diff_terminal import render_diff
from tlsearch.store.reading import StoreReader

SIDE_HELP = "A study file, a name or folder under runs/; with :12 its trial 12, else the best it found."
TRIAL = re.compile(r"(?P<study>.+):(?P<trial>\d+)", re.DOTALL)


def diff_command(
    a: Annotated[str, typer.Argument(metavar="A", help=SIDE_HELP, show_default=False)],
    b: Annotated[str, typer.Argument(metavar="B", help="What to compare it with, likewise.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="What to compare by; left out, A's own metric.")
    ] = None,
    store: Annotated[str | None, typer.Option("--store", metavar="URL", help="Where both studies are stored.")] = None,
) -> None:
    """Tell which of two models is better, on the pictures that both know, and how sure that is."""
    diff = compare(_contender(a, store), _contender(b, store), metric=metric)
    if as_json:
        print_json(diff_json(diff))
    else:
        render_diff(diff, out())


def _contender(named: str, store: str | None) -> Contender:
    """What STUDY or STUDY:TRIAL names; a folder is one that holds a run's database."""
    with_trial = TRIAL.fullmatch(named)
    study, trial = (named, None) if with_trial is None else (with_trial["study"], int(with_trial["trial"]))
    database = Path(study) / DATABASE
    if store is None and database.is_file():
        found = find_study(None, f"sqlite:///{database}")
    else:
        found = find_study(study, store)
    with StoreReader.open(found.store) as opened:
        return load_contender(opened, found.name, trial)
