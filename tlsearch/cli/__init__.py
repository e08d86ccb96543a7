"""The command line: where errors become text and exit codes, once for all commands."""

import atexit
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from tlsearch.errors import TlsearchError

INTERNAL_ERROR = 70  # EX_SOFTWARE of sysexits.h: the fault is ours


def program() -> NoReturn:
    """Run one command as this process, and end without taking it down.

    Python would take down, object by object, all that it has loaded, and nothing comes of it; a file that nobody closed
    is not flushed. Threads that are no daemons are waited for, and what is registered for the end is done, as always.
    """
    codes: list[int] = []
    atexit.register(_end_at_once, codes)  # the first to be registered is the last to be called
    codes.append(main())
    sys.exit(codes[0])


def _end_at_once(codes: Sequence[int]) -> None:
    """End this process with the code that its command came to, if it did."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        return  # Python has words for a stream that takes no more
    if codes:
        os._exit(codes[0])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: Without the program's name; None takes those of this process. `--debug`, anywhere before `--`,
            shows tracebacks.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    ours = given[: given.index("--")] if "--" in given else given
    debug = "--debug" in ours
    rest = [argument for argument in ours if argument != "--debug"] + given[len(ours) :]
    _never_fail_to_print()
    from tlsearch.cli.app import run_app

    try:
        return run_app(rest)
    except TlsearchError as error:
        if debug:
            raise
        _print_error(error.message, error.hint)
        return error.exit_code
    except Exception as error:
        if debug:
            raise
        _print_error(
            f"internal error: {type(error).__name__}: {error}",
            "this is a fault of tlsearch or of a plugin, not yours; the same command with --debug shows where",
        )
        return INTERNAL_ERROR


def _print_error(message: str, hint: str | None) -> None:
    from tlsearch.cli.output import print_error

    print_error(message, hint)


def _never_fail_to_print() -> None:
    """Write what the terminal's encoding lacks as an escape: a name must not end a command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
