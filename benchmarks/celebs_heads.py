"""Fifty head-only trials on the pictures of celebs_demo: tlsearch beside a plain Optuna and PyTorch loop.

    python benchmarks/celebs_heads.py            # three rounds; writes benchmarks/results/<machine>.md
    python benchmarks/celebs_heads.py --quick    # one round; writes nothing; fails under ten times B1

All three have the same pictures (resized on disk beforehand), split, network, weights, space and epochs, and are timed
as processes, from start to end, imports included. The plain loop that sends every picture through the frozen network
in every epoch is timed on a few trials; the time of fifty is what it took, and 46 times the mean of those after the
first, which carries one-off costs. tlsearch is the command `tlsearch run` with an empty cache: decoding, features,
fifty trials, the confirmation of the best five, the final fit and the report are in its time.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import mean, median

import numpy as np

from tlsearch.data.pillow_rules import cropped_from_px, decode, shrink
from tlsearch.devices import cpu_threads
from tlsearch.host import PluginHost
from tlsearch.store.reading import StoreReader

HERE = Path(__file__).parent
IMAGE_PX, CROP_FRACTION = 160, 0.875  # of EfficientNet-Lite0's weights
EPOCHS, TRIALS, TIMED = 5, 50, 4
HOLDOUT, VALIDATION = 6, 5  # of each person's 30 pictures, as holdout = 0.2 and folds = 1 would deal them
DRIFT = 0.2  # of the control loop, from which on a round is repeated
TARGET = 10.0
STUDY = """
[study]
name = "heads"
metric = "balanced_accuracy"
budget = {{ trials = {trials} }}
seed = {seed}

[data]
source = "folder"
path = "{pictures}"
folds = 1

[[backbones]]
name = "efficientnet_lite0"
image_px = {image_px}

[search]
unfrozen = 0
heads = ["linear", "mlp"]
epochs = {epochs}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One process from start to end.

    Args:
        seconds: Of all trials; where only some were run, multiplied.
        measured: Of the process as it ran.
        best: The best validation score of the trials that ran.
        each: Seconds of each trial, where the process tells them.
    """

    seconds: float
    measured: float
    best: float
    each: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """All three, one after another, with the control loop's seconds before and after."""

    plain: Timed
    by_hand: Timed
    ours: Timed
    control: tuple[float, float]

    @property
    def steady(self) -> bool:
        """Whether the machine was equally fast at both ends."""
        return max(self.control) <= (1 + DRIFT) * min(self.control)


def prepare_pictures(folder: Path) -> None:
    """Draw celebs_demo and save it resized, so that only the centre crop is left to do: train/ val/ test/ by person."""
    spec = PluginHost.load().dataset("celebs_demo")
    dataset = spec.load(spec.options(), folder / "drawn")
    for number, image in enumerate(dataset.images):
        turn = number % 30
        part = "test" if turn < HOLDOUT else "val" if turn < HOLDOUT + VALIDATION else "train"
        target = folder / "pictures" / part / dataset.classes[image.label] / f"{turn:02}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shrink(decode(image.path), cropped_from_px(IMAGE_PX, CROP_FRACTION)).save(target)


def time_plain(pictures: Path, *, trials: int, seed: int) -> Timed:
    """B1, timed on a few trials."""
    shape = ["--epochs", str(EPOCHS), "--image-px", str(IMAGE_PX), "--seed", str(seed)]
    command = [sys.executable, str(HERE / "plain_loop.py"), str(pictures), "--trials", str(trials), *shape]
    took, shown = timed(command, pictures)
    told = json.loads(shown)
    rest = (TRIALS - trials) * mean(told["seconds"][1:])
    return Timed(seconds=took + rest, measured=took, best=max(told["scores"]), each=tuple(told["seconds"]))


def time_by_hand(pictures: Path, *, seed: int) -> Timed:
    """B2: all trials on features that were extracted once."""
    shape = ["--epochs", str(EPOCHS), "--image-px", str(IMAGE_PX), "--seed", str(seed)]
    command = [sys.executable, str(HERE / "plain_loop.py"), str(pictures), "--features-once", *shape]
    took, shown = timed([*command, "--trials", str(TRIALS)], pictures)
    told = json.loads(shown)
    return Timed(seconds=took, measured=took, best=max(told["scores"]), each=tuple(told["seconds"]))


def time_tlsearch(pictures: Path, scratch: Path, *, seed: int) -> Timed:
    """The command as a user runs it, in a folder of its own with an empty cache."""
    scratch.mkdir()
    study = STUDY.format(trials=TRIALS, seed=seed, pictures=pictures, image_px=IMAGE_PX, epochs=EPOCHS)
    (scratch / "heads.toml").write_text(study, encoding="utf-8")
    tlsearch = str(Path(sys.executable).with_name("tlsearch"))
    took, _ = timed([tlsearch, "run", "heads.toml"], scratch)
    with StoreReader.open(f"sqlite:///{scratch}/runs/heads/study.db") as store:
        scores = [trial.score for trial in store.trials("heads") if trial.counted and trial.score is not None]
    if len(scores) != TRIALS:
        raise SystemExit(f"tlsearch completed {len(scores)} trials of {TRIALS}")
    return Timed(seconds=took, measured=took, best=max(scores))  # as the others: before the search's luck is taken out


def timed(command: list[str], folder: Path) -> tuple[float, str]:
    """Run a command in a folder; returns its seconds and what it printed."""
    environment = {**os.environ, "TLSEARCH_CACHE": str(folder / "cache"), "TLSEARCH_OFFLINE": "1"}
    began = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    took = time.monotonic() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return took, done.stdout


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


def play_round(folder: Path, number: int) -> Round:
    """Time all three; every second round in the opposite order."""
    pictures = folder / "pictures"
    before = control()
    found: dict[str, Timed] = {}
    players = {
        "plain": lambda: time_plain(pictures, trials=TIMED, seed=number),
        "by_hand": lambda: time_by_hand(pictures, seed=number),
        "ours": lambda: time_tlsearch(pictures, folder / f"round-{number}", seed=number),
    }
    for name in list(players) if number % 2 == 0 else list(reversed(players)):
        found[name] = players[name]()
    return Round(**found, control=(before, control()))


def table(rounds: list[Round]) -> str:
    """The rounds as Markdown, and the medians of their ratios."""
    lines = [
        f"| round | B1, plain loop: {TRIALS} trials | of it measured ({TIMED} trials) | B2, features once by hand "
        "| tlsearch | B1 / tlsearch | B2 / tlsearch | best score: B1, B2, tlsearch | control loop before, after |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for number, one in enumerate(rounds):
        each = ", ".join(f"{seconds:.1f}" for seconds in one.plain.each)
        cells = [
            str(number + 1),
            f"{one.plain.seconds:.1f} s",
            f"{one.plain.measured:.1f} s (trials: {each})",
            f"{one.by_hand.seconds:.1f} s",
            f"{one.ours.seconds:.1f} s",
            f"{one.plain.seconds / one.ours.seconds:.1f}",
            f"{one.by_hand.seconds / one.ours.seconds:.2f}",
            f"{one.plain.best:.3f}, {one.by_hand.best:.3f}, {one.ours.best:.3f}",
            f"{one.control[0]:.2f} s, {one.control[1]:.2f} s" + ("" if one.steady else ": **not steady**"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    b1, b2 = (ratio(rounds, name) for name in ("plain", "by_hand"))
    return "\n".join([*lines, "", f"Medians of steady rounds: B1 / tlsearch {b1:.1f}, B2 / tlsearch {b2:.2f}."])


def ratio(rounds: list[Round], name: str) -> float:
    """The median of how often tlsearch fits into another's time, over steady rounds where there are any."""
    counted = [one for one in rounds if one.steady] or rounds
    return float(median(getattr(one, name).seconds / one.ours.seconds for one in counted))


def machine() -> str:
    """Cores and processor, in words."""
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else None
    return f"{cpu_threads()} cores, {found[1] if found else platform.processor() or platform.machine()}"


def write_results(rounds: list[Round], folder: Path) -> Path:
    """Write the table under the machine's name."""
    name = re.sub(r"[^a-z0-9]+", "-", machine().lower()).strip("-")
    versions = ", ".join(f"{each} {version(each)}" for each in ("tlsearch", "torch", "optuna", "numpy", "pillow"))
    told = [
        f"# {TRIALS} head-only trials on celebs_demo",
        "",
        f"{machine()}; Python {platform.python_version()}, {versions}; {datetime.now(UTC):%Y-%m-%d}.",
        f"EfficientNet-Lite0, {IMAGE_PX} px, {EPOCHS} epochs, 95 pictures to train on, 25 to score on. Command:",
        "`python benchmarks/celebs_heads.py`. What is in each time stands at the top of that file.",
        "",
        table(rounds),
        "",
    ]
    target = folder / f"{name}.md"
    folder.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(told), encoding="utf-8")
    return target


def main() -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round, nothing written, the target checked")
    parser.add_argument("--to", type=Path, default=HERE / "results", metavar="FOLDER")
    given = parser.parse_args()
    rounds: list[Round] = []
    with tempfile.TemporaryDirectory(prefix="tlsearch-benchmark-") as scratch:
        prepare_pictures(Path(scratch))
        for number in range(1 if given.quick else 2 * given.rounds):
            one = play_round(Path(scratch), number)
            print(table([one]), flush=True)
            rounds.append(one)
            if sum(each.steady for each in rounds) == given.rounds:
                break
    print(table(rounds))
    if given.quick:
        raise SystemExit(ratio(rounds, "plain") < TARGET)
    print(f"written to {write_results(rounds, given.to)}")


if __name__ == "__main__":
    main()
