"""What cross-validation costs: one study of the celebs pictures scored in one part, and in five folds.

    python benchmarks/folds.py                 # three rounds of fifty head-only trials; fails over 1.6 times
    python benchmarks/folds.py --rounds 1 --tuned 0    # a quick look, without fine-tuning trials

Both are the command `tlsearch run` from start to end, with the same pictures, holdout, networks, space and seed, and
a folder of their own; features were cached before. A factor is the median over rounds in which both ran one after the
other; that of the search alone is printed beside it, since start-up, the final fit and the truth cost both the same.
Fine-tuning trials train each fold on its own: their factor has no promise, and is printed to be known.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from arguments import count
from tlsearch.records import TrialState
from tlsearch.store.reading import StoreReader

PROMISED = 1.6
HEAD_TRIALS = 50
FOLDS = 5
STUDY = """
[study]
name = "{name}"
metric = "balanced_accuracy"
budget = {{ trials = {trials} }}
seed = 7

[data]
source = "celebs_demo"
holdout = 0.2
folds = {folds}

[[backbones]]
name = "efficientnet_lite0"
image_px = 160

[[backbones]]
name = "mobilenet_v2"
image_px = 160

[search]
unfrozen = {unfrozen}
heads = ["linear", "mlp"]
epochs = {{ low = 2, high = 10 }}
augment = ["none", "flip"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One run, in seconds: the whole command, its search alone, and all that its trials told of themselves."""

    whole: float
    search: float
    trials: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The same study in one part and in folds, run one after the other."""

    one_part: Timed
    folds: Timed

    @property
    def whole(self) -> float:
        """How often the run in one part fits into the run in folds."""
        return self.folds.whole / self.one_part.whole

    @property
    def search(self) -> float:
        """The same of the search alone."""
        return self.folds.search / self.one_part.search


def run(scratch: Path, name: str, *, folds: int, unfrozen: int, trials: int) -> Timed:
    """Run a study in a fresh folder with the cache of all."""
    folder = scratch / name
    folder.mkdir()
    text = STUDY.format(name=name, trials=trials, folds=folds, unfrozen=unfrozen)
    (folder / "study.toml").write_text(text, encoding="utf-8")
    environment = {**os.environ, "TLSEARCH_CACHE": str(scratch / "cache"), "TLSEARCH_OFFLINE": "1"}
    tlsearch = str(Path(sys.executable).with_name("tlsearch"))
    began = time.monotonic()
    done = subprocess.run(
        [tlsearch, "run", "study.toml"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    took = time.monotonic() - began
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    return told(folder, name, took)


def told(folder: Path, name: str, took: float) -> Timed:
    """What the run's own store says of its time."""
    with StoreReader.open(f"sqlite:///{folder}/runs/{name}/study.db") as store:
        phases = store.events(name, ["phase_timed"])
        ended = [trial for trial in store.trials(name) if trial.state is TrialState.COMPLETED]
    search = sum(float(event.data["seconds"]) for event in phases if event.data["phase"] == "search")
    return Timed(whole=took, search=search, trials=sum(trial.seconds for trial in ended))


def pairs(scratch: Path, *, rounds: int, unfrozen: int, trials: int) -> list[Pair]:
    """Both runs, alternating, after one that fills the cache for both."""
    run(scratch, f"warm-{unfrozen}", folds=FOLDS, unfrozen=unfrozen, trials=2)
    found = []
    for number in range(rounds):
        one, many = (
            run(scratch, f"u{unfrozen}-{number}-{folds}", folds=folds, unfrozen=unfrozen, trials=trials)
            for folds in (1, FOLDS)
        )
        found.append(Pair(one_part=one, folds=many))
        shown = f"round {number + 1}: {one.whole:.1f} s in one part, {many.whole:.1f} s in {FOLDS} folds"
        print(f"{shown}; the search {one.search:.1f} and {many.search:.1f} s", flush=True)
    return found


def show(what: str, found: list[Pair]) -> float:
    """Print the median factors; returns that of the whole run."""
    whole = median(pair.whole for pair in found)
    print(f"{what}: {FOLDS} folds cost {whole:.2f} times one part; the search alone ", end="")
    print(f"{median(pair.search for pair in found):.2f} times", flush=True)
    return whole


def main() -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=count, default=3)
    parser.add_argument("--trials", type=count, default=HEAD_TRIALS)
    parser.add_argument("--tuned", type=int, default=6, help="fine-tuning trials; 0 leaves them out")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tlsearch-benchmark-") as scratch:
        heads = pairs(Path(scratch), rounds=given.rounds, unfrozen=0, trials=given.trials)
        factor = show(f"{given.trials} head-only trials", heads)
        if given.tuned:
            tuned = pairs(Path(scratch), rounds=1, unfrozen=1, trials=given.tuned)
            show(f"{given.tuned} trials that train the last stage", tuned)
    if factor > PROMISED:
        raise SystemExit(f"promised: at most {PROMISED:g} times")


if __name__ == "__main__":
    main()
