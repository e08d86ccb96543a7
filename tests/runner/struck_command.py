"""The command line, sent a signal at one exact moment of its run: a process of its own, started by `command_run`.

The moment is right after its journal logs an event of that kind ("log"; the store may not know of it yet), or right
after the store keeps it ("event"). A signal from outside would come a little later, at a moment that varies.
"""

import json
import os
import signal
import sys
from typing import Any

from tlsearch.cli import main
from tlsearch.runner.journal import Journal


def strike_after(method: str, signum: int, kind: str, fields: dict[str, Any]) -> None:
    """Send this process the signal once `Journal.METHOD` has written such an event."""
    write = getattr(Journal, method)
    struck = []

    def write_and_strike(journal: Journal, what: str, **data: Any) -> Any:
        written = write(journal, what, **data)
        if not struck and what == kind and all(data[name] == value for name, value in fields.items()):
            struck.append(what)
            os.kill(os.getpid(), signum)
        return written

    setattr(Journal, method, write_and_strike)


if __name__ == "__main__":
    signum, method, kind, fields = sys.argv[1:5]
    strike_after(method, signal.Signals[signum], kind, json.loads(fields))
    sys.exit(main(sys.argv[5:]))
