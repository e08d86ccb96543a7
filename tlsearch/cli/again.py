"""The words that a later command needs to mean the same study."""

from collections.abc import Sequence
from pathlib import Path


def places_options(store: str | None, plugins: Sequence[Path]) -> list[str]:
    """What finds the same store and plugins."""
    options = ["--store", store] if store else []
    return options + [part for file in plugins for part in ("--plugin", str(file))]
