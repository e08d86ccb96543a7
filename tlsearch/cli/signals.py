"""How a signal ends a command that takes its time: once in order, with the right exit code; a second time at once."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tlsearch.errors import StoppedError

NAMES_OF_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
SIGNALS = tuple(signal.Signals[name] for name in NAMES_OF_SIGNALS if hasattr(signal, name))
SHOW_CURSOR = b"\x1b[?25h"


@contextmanager
def stopped_by_signals(way_on: str) -> Iterator[None]:
    """Turn the first signal into StoppedError, after what is in work had time to end; a second one leaves at once.

    Args:
        way_on: What a person may do next, with the command that does it.
    """

    def stop(signum: int, _: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, _leave_at_once)
        raise _Signalled(signum)

    before = {each: signal.signal(each, stop) for each in SIGNALS}
    try:
        yield
    except _Signalled as stopped:
        name = signal.Signals(stopped.signum).name
        raise StoppedError(f"stopped by {name}", signum=stopped.signum, hint=way_on) from None
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


class _Signalled(BaseException):
    """The first signal. No `except Exception` on its way, a plugin's least of all, takes it for its own."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def _leave_at_once(signum: int, _: FrameType | None) -> None:
    if os.isatty(2):
        os.write(2, SHOW_CURSOR)  # the live view hid it
    os._exit(128 + signum)  # workers see their standard input end, and leave too
