"""The machine that a benchmark runs on: what it is called, and whether it is as fast as a moment ago."""

import platform
import re
import time
from importlib.metadata import distributions, version
from pathlib import Path
from statistics import median

import numpy as np

from tlsearch.devices import cpu_threads

DRIFT = 0.2  # of the control loop, from which on a round is repeated


def machine() -> str:
    """Cores and processor, in words."""
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else None
    return f"{cpu_threads()} cores, {found[1] if found else platform.processor() or platform.machine()}"


def file_name() -> str:
    """The machine's name as results are called after it, without an ending."""
    return re.sub(r"[^a-z0-9]+", "-", machine().lower()).strip("-")


def versions(*packages: str) -> str:
    """Python and packages with their versions, in words; packages that are not installed are left out."""
    there = [each for each in packages if any(True for _ in distributions(name=each))]
    return ", ".join([f"Python {platform.python_version()}", *(f"{each} {version(each)}" for each in there)])


def control() -> float:
    """Seconds of a fixed piece of work: the median of five."""
    matrix = np.random.default_rng(0).random((1200, 1200), dtype=np.float32)
    seconds = []
    for _ in range(5):
        began = time.monotonic()
        for _ in range(10):
            matrix @ matrix
        seconds.append(time.monotonic() - began)
    return median(seconds)


def steady(before: float, after: float) -> bool:
    """Whether a control loop says that the machine was equally fast at both ends of a round."""
    return max(before, after) <= (1 + DRIFT) * min(before, after)
