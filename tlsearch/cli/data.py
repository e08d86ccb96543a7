"""`tlsearch data check`: what is wrong or odd with pictures, before a study is made of them."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from tlsearch.cli.again import places_options
from tlsearch.cli.app import make_app
from tlsearch.cli.output import out, print_json
from tlsearch.cli.signals import stopped_by_signals

CHECK_FAILED = 5  # the exit code of a check that did not pass

data_app = make_app(no_args_is_help=True)


@data_app.callback()
def _data() -> None:
    """Look at pictures before a study is made of them."""


@data_app.command("check")
def check_command(
    place: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER|STUDY", help="A folder with one sub-folder a class, a study file, or a name under runs/."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, with complete lists.")] = False,
    plugins: Annotated[
        list[Path] | None, typer.Option("--plugin", metavar="FILE", help="A plugin file to load as well.")
    ] = None,
) -> None:
    """Find unreadable, odd and equal pictures, labels that look wrong, and whether more pictures would help.

    Looks at every picture, and changes nothing; features that it computes are kept in the cache. Ends with exit code 5
    where something keeps a study from running on the pictures, such as one picture in two classes, and with 2 where
    there is nothing to look at.
    """
    files = tuple(file.resolve() for file in plugins or ())
    again = shlex.join(
        ["tlsearch", "data", "check", place, *(["--json"] if as_json else []), *places_options(None, plugins or ())]
    )
    with stopped_by_signals(f"look again with: {again}"):
        from tlsearch.cli.looking import look  # all that it needs: nobody waits for it to read a help
        from tlsearch.report.survey import render_survey

        found = look(place, files)
    if as_json:
        print_json(found.to_json())
    else:
        render_survey(found, out())
    if found.faults:
        raise typer.Exit(CHECK_FAILED)
