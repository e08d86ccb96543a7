"""Pictures a second through a frozen network, all cuts kept: tlsearch beside eager PyTorch.

    python benchmarks/extraction.py [--rounds 5] [--pictures 2624] [--json FILE] [--folder FOLDER]

2 624 photographs (ELPV) at 160 px; the cuts before each of the last four stages, and the pooled features. The two
run in processes of their own, one after the other: PyTorch with the environment that a person has, tlsearch with that
of its workers. PyTorch gets its squares ready-made and keeps its values in memory; tlsearch makes the squares from
decoded pixels and writes its values to disk, with checksums. Seconds are of one pass without start-up; the first
pass of all, with rates measured and the network exported, is told apart.
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
from tlsearch.devices import KEEP_FREED_MEMORY, computing_environment

WAYS = Path(__file__).with_name("extraction_ways.py")
BACKBONES = ("mobilenet_v2", "efficientnet_lite0", "mobilenet_v2_keras")
TARGET, STRETCH = 3.0, 4.0  # times eager PyTorch
DRIFT = 0.2  # of the control loop, from which on a round is repeated


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One backbone.

    Args:
        backbone: Its name.
        pictures: How many went through.
        eager: Pictures a second in PyTorch, a round each.
        ours: In tlsearch, in the same rounds.
        first: Seconds of tlsearch's very first pass.
        runtime: That tlsearch chose.
        differences: By cut, relative L2 and largest difference.
    """

    backbone: str
    pictures: int
    eager: Sequence[float]
    ours: Sequence[float]
    first: float
    runtime: str
    differences: dict[str, tuple[float, float]]

    @property
    def ratio(self) -> float:
        """The median over the rounds."""
        return median(ours / eager for ours, eager in zip(self.ours, self.eager, strict=True))


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
def started(way: str, backbone: str, folder: Path, pictures: int) -> Iterator[Way]:
    """A process with the environment that its way has in life."""
    plain = {name: value for name, value in os.environ.items() if name not in KEEP_FREED_MEMORY}
    environment = computing_environment() if way == "tlsearch" else {**plain, "KERAS_BACKEND": "torch"}
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
            drift = max(before, after := machine.control()) / min(before, after) - 1
            if drift <= DRIFT or 2 * rounds - tried <= rounds - len(rates):
                rates.append((_rate(told[eager]), _rate(told[ours])))
            print(f"{backbone}: eager {_rate(told[eager]):.0f}, tlsearch {_rate(told[ours]):.0f} a second", flush=True)
            if len(rates) == rounds:
                break
        differences = {cut: (both[0], both[1]) for cut, both in ours.ask("compare").items()}
    plain, fast = zip(*rates, strict=True)
    return Row(
        backbone=backbone,
        pictures=first["pictures"],
        eager=plain,
        ours=fast,
        first=first["seconds"],
        runtime=first["runtime"],
        differences=differences,
    )


def _rate(told: dict[str, Any]) -> float:
    return float(told["pictures"] / told["seconds"])


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown."""
    lines = [
        f"{machine.machine()}; {machine.versions('torch', 'onnxruntime', 'keras')}.",
        "",
        "| network | pictures at 160 px, 5 cuts | eager | tlsearch | times | target | stretch | first pass "
        "| runtime | rel. L2 (1e-5) | max (1e-4) |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        relative, largest = (max(both[place] for both in row.differences.values()) for place in (0, 1))
        lines.append(
            f"| {row.backbone} | {row.pictures} | {median(row.eager):.0f}/s | {median(row.ours):.0f}/s "
            f"| {row.ratio:.2f} | {TARGET:.0f} | {STRETCH:.0f} | {row.first:.1f} s | {row.runtime} "
            f"| {relative:.1e} | {largest:.1e} |"
        )
    return "\n".join(lines)


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The rows for a table of several benchmarks."""
    return [
        {
            "row": f"extraction of all cuts, {row.backbone}, against eager channels_last float32 PyTorch",
            "target": TARGET,
            "stretch": STRETCH,
            "measured": round(row.ratio, 2),
            "unit": "times",
        }
        for row in rows
    ]


def main() -> None:
    """Measure every backbone and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", type=int, default=2624, help="fewer give a quick look")
    parser.add_argument("--backbones", nargs="+", default=BACKBONES)
    parser.add_argument("--json", type=Path, help="write the rows there")
    parser.add_argument("--folder", type=Path, help="keep decoded pictures and weights there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        rows = [measured(backbone, given.rounds, folder, given.pictures) for backbone in given.backbones]
    print(table(rows))
    if given.json is not None:
        given.json.write_text(json.dumps(as_json(rows), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
