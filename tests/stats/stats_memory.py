"""How much memory a computation takes at most, as Python's allocator sees it: arrays are told to it."""

import tracemalloc
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def peak_of(compute: Callable[[], Found]) -> tuple[int, Found]:
    """The bytes that a call held at most beside what was there before, and what it returned."""
    tracemalloc.start()
    try:
        found = compute()
        return tracemalloc.get_traced_memory()[1], found
    finally:
        tracemalloc.stop()
