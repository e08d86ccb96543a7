"""How the time and the disk of `tlsearch run` grow: with pictures, trials, classes, networks and trained stages.

    python benchmarks/growth.py                      # two rounds of every case; writes results/growth.md
    python benchmarks/growth.py --rounds 1           # a look; writes nothing

Each case is one run of the command from an empty cache, on drawings of 64 px that a network sees at 160, with random
weights (time does not depend on them); it differs from the first case in one thing. Of the rounds the faster one
counts, phase by phase: what else the machine does only adds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import machine
from arguments import count
from memory import draw_pictures
from provenance import Provenance, now

RESULT = Path(__file__).parent / "results" / "growth.md"
SHOWN = ("data", "features", "search")
STUDY = """
[study]
name = "growth"
metric = "accuracy"
budget = {{ trials = {trials} }}

[data]
source = "folder"
path = "{pictures}"

{backbones}

[search]
unfrozen = {unfrozen}
heads = ["linear"]
epochs = 5
batch_size = [16, 32, 64]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One study.

    Args:
        name: What it shows.
        images: Pictures in its folder.
        classes: Of them.
        trials: Its budget.
        backbones: Networks.
        unfrozen: Stages that every trial trains.
    """

    name: str
    images: int = 1000
    classes: int = 10
    trials: int = 50
    backbones: tuple[str, ...] = ("mobilenet_v2",)
    unfrozen: int = 0

    def write(self, folder: Path) -> Path:
        """Draw the pictures and write the study file."""
        draw_pictures(folder / "pictures", self.images, self.classes)
        tables = [f'[[backbones]]\nname = "{name}"\nweights = "random"\nimage_px = 160' for name in self.backbones]
        file = folder / "growth.toml"
        told = {"trials": self.trials, "pictures": folder / "pictures", "unfrozen": self.unfrozen}
        file.write_text(STUDY.format(**told, backbones="\n\n".join(tables)), encoding="utf-8")
        return file


CASES = (
    Case(name="to compare with"),
    Case(name="four times the pictures", images=4000),
    Case(name="ten times the trials", trials=500),
    Case(name="ten times the classes", classes=100),
    Case(name="three networks", backbones=("mobilenet_v2", "efficientnet_lite0", "resnet18")),
    Case(name="the last stage trained, 4 trials", unfrozen=1, trials=4),
    Case(name="the last four stages trained, 2 trials", unfrozen=4, trials=2),
    Case(name="a quarter of the pictures, all 19 stages trained, 1 trial", images=250, unfrozen=19, trials=1),
)


@dataclass(slots=True)
class Found:
    """What one case took.

    Args:
        seconds: By phase, and "all" of the command; the least of the rounds.
        megabytes: On disk, by folder of the cache.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    megabytes: dict[str, float] = field(default_factory=dict)

    def take(self, seconds: dict[str, float], megabytes: dict[str, float]) -> None:
        """See a round."""
        self.seconds = {name: min(value, self.seconds.get(name, value)) for name, value in seconds.items()}
        self.megabytes = megabytes


def played(case: Case, folder: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Run a case in an empty folder; its seconds and megabytes.

    Raises:
        RuntimeError: Where the run fails; holds what it said.
    """
    study = case.write(folder)
    program = Path(sys.executable).parent / "tlsearch"
    environment = {**os.environ, "TLSEARCH_CACHE": str(folder / "cache"), "TLSEARCH_OFFLINE": "1"}
    began = time.monotonic()
    done = subprocess.run(
        [program, "run", study], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    seconds = {"all": time.monotonic() - began}
    if done.returncode:
        raise RuntimeError(f"the run of '{case.name}' failed:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
    for line in (folder / "runs" / "growth" / "logs" / "events.jsonl").read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["kind"] == "phase_timed":
            seconds[event["phase"]] = seconds.get(event["phase"], 0.0) + event["seconds"]
    parts = sorted(part for part in (folder / "cache").iterdir() if part.is_dir())
    return seconds, {part.name: _size(part) / 1e6 for part in parts}


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def page(found: Sequence[Found], rounds: int) -> str:
    """The file that is kept."""
    made = Provenance.of_now()
    lines = [
        "# How time and disk grow",
        "",
        f"`python benchmarks/growth.py --rounds {rounds}`, {now()[:10]}, commit {made.commit}; {made.machine}; "
        f"{made.versions}.",
        "",
        "MobileNetV2 at 160 px, 1 000 drawings of 10 classes, 50 trials of linear heads, 5 epochs, empty cache, but for"
        " what the first column says. Which pictures are copies, the check of labels, confirmation, final fit and"
        " pictures for the report are in the whole time.",
        "",
        f"| case | whole, s | {', s | '.join(SHOWN)}, s | a trial, s | decoded pictures, MB | features, MB "
        "| exported network, MB |",
        "|---" * (6 + len(SHOWN)) + "|",
    ]
    for case, one in zip(CASES, found, strict=True):
        cells = [case.name, *(f"{one.seconds[name]:.1f}" for name in ("all", *SHOWN))]
        cells.append(f"{one.seconds['search'] / case.trials:.3f}")
        cells += [f"{one.megabytes.get(part, 0.0):.1f}" for part in ("pixels", "features", "prefixes")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Play the rounds and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=count, default=2, help="of each case")
    rounds = parser.parse_args().rounds
    found = [Found() for _ in CASES]
    for number in range(rounds):
        for case, one in zip(CASES, found, strict=True):
            with tempfile.TemporaryDirectory(prefix="tlsearch-growth-") as folder:
                one.take(*played(case, Path(folder)))
            print(f"round {number + 1}, {case.name}: {one.seconds['all']:.1f} s", flush=True)
    text = page(found, rounds)
    print(text)
    if rounds > 1:
        RESULT.write_text(text, encoding="utf-8")
        print(f"written to {RESULT} on {machine.machine()}")


if __name__ == "__main__":
    main()
