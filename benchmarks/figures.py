"""Figures of one benchmark for the table of all: what `--json FILE` writes, and `peers.py --gather FILE` takes in."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row.

    Args:
        row: What was measured.
        target: What is promised; None where nothing is.
        stretch: What is hoped for.
        measured: In the unit.
        unit: Says whether more is better: "times" is, "times as long" is not (`peers_table.LESS_IS_BETTER`).
    """

    row: str
    target: float | None
    stretch: float | None
    measured: float
    unit: str


def save(figures: Sequence[Figure], file: Path) -> None:
    """Write them as JSON."""
    file.write_text(json.dumps([asdict(one) for one in figures], indent=1) + "\n", encoding="utf-8")
