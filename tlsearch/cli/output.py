"""Consoles: what every command prints on, and the one form of an error."""

import json
import os
import shutil
import sys
from typing import IO, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tlsearch.text import safe

PIPE_WIDTH = 100  # where no terminal tells: rich's own 80 folds file names


def out() -> Console:
    """The console for answers. Texts are taken as they are: no markup, no emoji codes, no guessed colours."""
    return _console(stderr=False)


def err() -> Console:
    """The console for progress, notes and errors."""
    return _console(stderr=True)


def line(*parts: str | tuple[str, str]) -> Text:
    """One line of safe text from plain parts and `(text, style)` pairs."""
    text = Text()
    for part in parts:
        words, style = (part, "") if isinstance(part, str) else part
        text.append(safe(words), style)
    return text


def plain_table(*columns: str) -> Table:
    """A table without frames; where the terminal is narrow every cell but those of the first column folds."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=index == 0)
    return table


def print_json(value: Any) -> None:
    """One JSON object for programs, on the standard output."""
    try:
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _print_to_nobody(sys.stdout)


def print_error(message: str, hint: str | None) -> None:
    """An error as every command shows it: what, got what, and the way out."""
    console = err()
    lines = safe(message, keep_lines=True).splitlines() or [""]
    if len(lines) == 1:
        console.print(Text.assemble(("error: ", "bold red"), lines[0]), soft_wrap=True)
    else:
        console.print(Text(f"error: {len(lines)} faults", style="bold red"))
        for one in lines:
            console.print(Text(f"  {one}"), soft_wrap=True)
    if hint:
        console.print(Text.assemble(("hint: ", "bold"), safe(hint)), soft_wrap=True)


class _Console(Console):
    """One whose reader may leave, as `| head` does: the rest is not shown, and the command goes on to its end."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        _print_to_nobody(self.file)


def _print_to_nobody(stream: IO[str]) -> None:
    nobody = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nobody, stream.fileno())  # else Python complains at its end about what it could not flush
    os.close(nobody)


def _console(*, stderr: bool) -> Console:
    console = _Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console = _Console(
            stderr=stderr,
            markup=False,
            emoji=False,
            highlight=False,
            width=shutil.get_terminal_size((PIPE_WIDTH, 24))[0],
        )
    return console
