"""The command line, sent a signal at one exact moment of its run: a process of its own, started by `command_run`.

The moment is right after its journal logs an event of that kind ("logged"; the store does not know of it yet), or
right after the transaction that keeps it ("stored"). A signal from outside would come a little later, at a moment that
varies.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tlsearch.cli import main
from tlsearch.runner.journal import Journal
from tlsearch.store.transactions import Transactions


def strike_when(moment: str, signum: int, kind: str, fields: dict[str, Any]) -> None:
    """Send this process the signal at that moment of the first such event."""
    log, run, together = Journal.log, Transactions.run, Transactions.together
    seen: list[str] = []
    open_transactions: list[str] = []

    def strike() -> None:
        if seen == [kind] and not open_transactions:
            seen.append("struck")
            os.kill(os.getpid(), signum)

    def log_and_strike(journal: Journal, what: str, **data: Any) -> None:
        log(journal, what, **data)
        if not seen and what == kind and all(data[name] == value for name, value in fields.items()):
            seen.append(kind)
            if moment == "logged":
                seen.append("struck")
                os.kill(os.getpid(), signum)

    def run_and_strike(transactions: Transactions, work: Callable[[Any], Any]) -> Any:
        done = run(transactions, work)
        strike()
        return done

    @contextmanager
    def together_and_strike(transactions: Transactions) -> Iterator[None]:
        with together(transactions):
            open_transactions.append(kind)
            try:
                yield
            finally:
                open_transactions.clear()
        strike()

    Journal.log = log_and_strike  # type: ignore[method-assign]
    if moment == "stored":
        Transactions.run = run_and_strike  # type: ignore[assignment,method-assign]
        Transactions.together = together_and_strike  # type: ignore[assignment,method-assign]


if __name__ == "__main__":
    signum, moment, kind, fields = sys.argv[1:5]
    strike_when(moment, signal.Signals[signum], kind, json.loads(fields))
    sys.exit(main(sys.argv[5:]))
