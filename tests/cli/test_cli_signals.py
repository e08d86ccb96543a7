"""Signals that a system does not have are not waited for: Windows has no SIGHUP."""

import subprocess
import sys


def test_run_starts_where_there_is_no_hangup() -> None:
    code = (
        "import signal; del signal.SIGHUP\n"
        "from tlsearch.cli.signals import SIGNALS\n"
        "print(*(each.name for each in SIGNALS))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["SIGINT", "SIGTERM"], done.stderr
