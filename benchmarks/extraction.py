"""Pictures a second through a frozen network, all cuts kept: tlsearch beside eager passes of the same network.

    python benchmarks/extraction.py [--rounds 5] [--pictures 2624] [--json FILE] [--folder FOLDER]

2 624 photographs (ELPV) at 160 px; the cuts before each of the last four stages, and the pooled features. The two
run in processes of their own, one after the other: eager passes with the environment that a person has, tlsearch with
that of its workers; one eager pass more with the workers' memory settings says what these bring. Eager passes get their
squares ready-made and keep their values in memory; tlsearch makes the squares from decoded pixels and writes its values
to disk, with checksums. Seconds are of one pass without start-up; the first pass of all, with rates measured and the
network exported, is told apart. PyTorch's networks run in channels_last; Keras's as its torch backend has them.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import machine
from arguments import count
from figures import Figure, save, table
from tlsearch.devices import KEEP_FREED_MEMORY, computing_environment

WAYS = Path(__file__).with_name("extraction_ways.py")
BACKBONES = ("mobilenet_v2", "efficientnet_lite0", "mobilenet_v2_keras")
TARGET, STRETCH = 3.0, 4.0  # times eager PyTorch
EAGER = {"mobilenet_v2_keras": "eager Keras on its torch backend"}  # of all others channels_last float32 PyTorch
PLAIN = "eager channels_last float32 PyTorch"
LEAST_L2, LEAST_LARGEST = 1e-5, 1e-4  # contract C2


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One backbone.

    Args:
        backbone: Its name.
        pictures: How many went through.
        eager: Pictures a second of eager passes, a round each.
        kept: Of one such pass with the workers' memory settings.
        ours: Of tlsearch, in the same rounds.
        first: Seconds of tlsearch's very first pass.
        runtime: That tlsearch chose.
        differences: By cut, relative L2 and largest difference.
    """

    backbone: str
    pictures: int
    eager: Sequence[float]
    kept: float
    ours: Sequence[float]
    first: float
    runtime: str
    differences: dict[str, tuple[float, float]]

    @property
    def ratio(self) -> float:
        """The median over the rounds."""
        return median(ours / eager for ours, eager in zip(self.ours, self.eager, strict=True))

    @property
    def worst(self) -> tuple[float, float]:
        """The largest of both differences over all cuts."""
        relative, largest = zip(*self.differences.values(), strict=True)
        return max(relative), max(largest)

    def figures(self) -> Iterator[Figure]:
        """The rows of the common table; what is promised is promised of PyTorch's networks."""
        target, stretch = (None, None) if self.backbone in EAGER else (TARGET, STRETCH)
        peer = f"{self.backbone}, against {EAGER.get(self.backbone, PLAIN)}"
        first = self.pictures / self.first / median(self.eager)
        told = f"{median(self.ours):.0f} against {median(self.eager):.0f} pictures a second, {self.runtime}"
        goals: dict[str, Any] = {"target": target, "stretch": stretch, "unit": "times"}
        free: dict[str, Any] = {**goals, "target": None, "stretch": None}
        yield Figure(row=f"extraction of all cuts, {peer}", measured=self.ratio, told=told, **goals)
        kept = median(self.ours) / self.kept
        yield Figure(row=f"the same, {peer} with our workers' memory settings", measured=kept, told="1 round", **goals)
        yield Figure(row=f"the very first pass, export included, {peer}", measured=first, **free)
        names = ("relative L2", "relative"), ("largest difference", "of the largest value")
        for (what, unit), value, most in zip(names, self.worst, (LEAST_L2, LEAST_LARGEST), strict=True):
            row = f"{what} over all cuts, {self.backbone}"
            yield Figure(row=row, target=most, stretch=None, measured=value, unit=unit)


class Way:
    """A process that answers lines."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._answer()

    def ask(self, what: str) -> dict[str, Any]:
        """Let it do something, and wait."""
        assert self._process.stdin is not None
        print(what, file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"a process ended with {self._process.wait()}: its own words stand above")
        return dict(json.loads(line))


@contextmanager
def started(way: str, backbone: str, folder: Path, pictures: int, *, keeps: bool = False) -> Iterator[Way]:
    """A process with the environment that its way has in life; `keeps` gives it our workers' memory settings."""
    plain = {name: value for name, value in os.environ.items() if name not in KEEP_FREED_MEMORY}
    environment = computing_environment() if way == "tlsearch" or keeps else {**plain, "KERAS_BACKEND": "torch"}
    command = [sys.executable, str(WAYS), way, backbone, str(folder), str(pictures)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield Way(process)
        finally:
            process.terminate()


def measured(backbone: str, rounds: int, folder: Path, pictures: int) -> Row:
    """Alternate the two for so many steady rounds, or twice as many of any kind."""
    given = (backbone, folder, pictures)
    with started("tlsearch", *given) as ours, started("eager", *given) as eager:
        first = ours.ask("first")
        eager.ask("run")
        rates: list[tuple[float, float]] = []
        for tried in range(2 * rounds):
            before = machine.control()
            asked = (eager, ours) if tried % 2 == 0 else (ours, eager)
            told = {way: way.ask("run") for way in asked}
            if machine.steady(before, machine.control()) or 2 * rounds - tried <= rounds - len(rates):
                rates.append((_rate(told[eager]), _rate(told[ours])))
            print(f"{backbone}: eager {_rate(told[eager]):.0f}, tlsearch {_rate(told[ours]):.0f} a second", flush=True)
            if len(rates) == rounds:
                break
        differences = {cut: (both[0], both[1]) for cut, both in ours.ask("compare").items()}
    with started("eager", *given, keeps=True) as kept:
        kept.ask("run")
        with_settings = _rate(kept.ask("run"))
    plain, fast = zip(*rates, strict=True)
    return Row(
        backbone=backbone,
        pictures=first["pictures"],
        eager=plain,
        kept=with_settings,
        ours=fast,
        first=first["seconds"],
        runtime=first["runtime"],
        differences=differences,
    )


def _rate(told: dict[str, Any]) -> float:
    return float(told["pictures"] / told["seconds"])


def main() -> None:
    """Measure every backbone and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=count, default=5, help="steady ones of each network")
    parser.add_argument("--pictures", type=count, default=2624, help="fewer give a quick look")
    parser.add_argument("--backbones", nargs="+", default=BACKBONES)
    parser.add_argument("--json", type=Path, help="write the rows there")
    parser.add_argument("--folder", type=Path, help="keep decoded pictures and weights there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        rows = [measured(backbone, given.rounds, folder, given.pictures) for backbone in given.backbones]
    figures = [figure for row in rows for figure in row.figures()]
    print(f"{machine.machine()}; {rows[0].pictures} pictures at 160 px, 5 cuts\n\n{table(figures)}")
    if given.json is not None:
        save(figures, given.json, by="extraction")


if __name__ == "__main__":
    main()
