"""How long a person waits for a command that only tells: `tlsearch --help`, and `tlsearch report` of studies.

    python benchmarks/startup.py [--json FILE]

Each is a process of its own, from its start to its end, its output thrown away. Bytecode is kept, as it is where
tlsearch is installed: the first run of each is not counted. The median over seven rounds is told, in which all take
turns. The studies are written through the store (`written_study.py`): 150 pictures of 5 classes with 60 trials and with
2 000, and 2 000 pictures of 2 classes with 2 000 trials. Fails over a target.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from figures import Figure, save, table
from machine import machine
from written_study import WrittenStudy

ROUNDS = 7
PROGRAM = "from tlsearch.cli import program; program()"  # as the installed command does
STUDIES = (
    WrittenStudy(name="few", trials=60, images=150, classes=5),
    WrittenStudy(name="many", trials=2_000, images=150, classes=5),
    WrittenStudy(name="large", trials=2_000, images=2_000, classes=2),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command, with what is promised of it in seconds; None where nothing is."""

    row: str
    arguments: tuple[str, ...]
    target: float | None = None
    stretch: float | None = None


COMMANDS = (
    Command(row="`--help`", arguments=("--help",), target=0.3, stretch=0.15),
    Command(row="`report` at 60 trials", arguments=("report", "few"), target=1.0, stretch=0.5),
    Command(row="`report` at 2 000 trials", arguments=("report", "many"), target=3.0, stretch=1.0),
    Command(row="`report` at 2 000 trials, 2 000 pictures", arguments=("report", "large"), target=3.0, stretch=1.0),
    Command(row="`report --html` at 2 000 trials", arguments=("report", "many", "--html")),
    Command(row="`run --help`", arguments=("run", "--help")),
    Command(row="`plugins list`", arguments=("plugins", "list")),
)


def seconds(command: Command, folder: Path, environment: Mapping[str, str]) -> float:
    """Of one run of a command; raises CalledProcessError where it fails."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", PROGRAM, *command.arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


def measure(folder: Path) -> list[Figure]:
    """Write the studies into a folder, and time every command in turns."""
    for study in STUDIES:
        study.write(folder / "runs" / study.name)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    taken: dict[str, list[float]] = {command.row: [] for command in COMMANDS}
    for number in range(ROUNDS + 1):
        for command in COMMANDS:
            took = seconds(command, folder, environment)
            if number:  # the first round compiles
                taken[command.row].append(took)
    return [
        Figure(row=one.row, target=one.target, stretch=one.stretch, measured=median(taken[one.row]), unit="s")
        for one in COMMANDS
    ]


def main() -> int:
    """Print the table; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="startup-") as folder:
        rows = measure(Path(folder))
    print(f"{machine()}, median of {ROUNDS} rounds\n\n{table(rows)}")
    if given.json:
        save(rows, given.json, by="startup")
    return int(any(row.missed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
