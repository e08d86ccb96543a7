"""The commands and their one-line helps; a command's module is imported only when it is invoked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from tlsearch import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Where a command lives: a function with typer's annotations, or a typer app of its own."""

    module: str
    attribute: str
    help: str


COMMANDS: Mapping[str, Entry] = {
    "init": Entry(
        module="tlsearch.cli.init", attribute="init_command", help="Write a study file for a folder of photos."
    ),
    "run": Entry(
        module="tlsearch.cli.run", attribute="run_command", help="Search, choose and fit; continue where it stopped."
    ),
    "report": Entry(
        module="tlsearch.cli.report", attribute="report_command", help="Tell what a study found, and how sure."
    ),
    "diff": Entry(
        module="tlsearch.cli.diff", attribute="diff_command", help="Compare two studies or trials, picture by picture."
    ),
    "data": Entry(
        module="tlsearch.cli.data",
        attribute="data_app",
        help="Check pictures and labels before a study is made of them.",
    ),
    "export-best": Entry(
        module="tlsearch.cli.export", attribute="export_command", help="Write the best model as verified files."
    ),
    "predict": Entry(
        module="tlsearch.cli.predict", attribute="predict_command", help="Name what pictures show, by a bundle."
    ),
    "doctor": Entry(
        module="tlsearch.cli.doctor", attribute="doctor_command", help="Show devices, plugins and weights in reach."
    ),
    "plugins": Entry(
        module="tlsearch.cli.plugins", attribute="plugins_app", help="Show what is installed to search with."
    ),
}


class LazyGroup(TyperGroup):
    """Lists every command by its one-line help, and imports the one that is invoked."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in COMMANDS.items():
            self.add_command(TyperCommand(name, help=entry.help))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Replace the listed command, now that it is known which one is meant, by its real self."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name is not None and name in COMMANDS else command, rest


def load_command(name: str) -> Any:
    """Import a command's module and make its typer command."""
    entry = COMMANDS[name]
    target = getattr(import_module(entry.module), entry.attribute)
    if isinstance(target, typer.Typer):
        app = target
    else:
        app = make_app()
        app.command(name=name)(target)
    command = get_command(app)
    command.name = name
    return command


def make_app(**settings: Any) -> typer.Typer:
    """A typer app that prints plain help: no frames, no markup, the same in a pipe."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        **settings,
    )


def run_app(arguments: Sequence[str]) -> int:
    """Run one command line; returns the exit code of what typer itself ends, such as `--help` and usage errors."""
    app = make_app(cls=LazyGroup, no_args_is_help=True)
    app.callback()(_program)
    try:
        get_command(app).main(args=list(arguments), prog_name="tlsearch")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tlsearch {__version__}")
        raise typer.Exit


def _program(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Find the best small image classifier that your photos can give.

    Start with: tlsearch init PHOTOS
    """
