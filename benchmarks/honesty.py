"""Whether tlsearch's own interval holds: whole searches on drawn feature sets, each held to the truth.

    python benchmarks/honesty.py                  # 300 searches, and 200 among equals; writes results/honesty.md
    python benchmarks/honesty.py --quick          # 12 and 6, writes nothing; fails where intervals plainly do not hold

Each search is `run_study`: 20 head-only trials on another world of `honesty_sets.py`, in which classes, sizes, skew,
difficulty and groups vary, and folds or one part are scored; the five best are scored again, one is named, its final
model fitted. The truth is that model's score on 20 000 fresh pictures of the same world. An interval that is right
95 % of the time holds it in 91 to 98 % of 300 searches; the naive one, of the best score as if nothing had been
searched, stands beside it.

Among equals every trial is the same small network, and only its seed differs: whatever is called better there is luck.
Counted are searches in which one of the confirmed five is told apart from the best, and those in which the search is
said to be better than a baseline, which is the same network again.
"""

import argparse
import platform
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from arguments import count
from honesty_tables import Claims, Held, claims_table, held_table, holds
from searches import search, side_by_side
from tlsearch.host import PluginHost
from tlsearch.model import load_final
from tlsearch.plugin_sources import load_file
from tlsearch.report.load import load_summary
from tlsearch.stats import Interval, Verdict, score
from tlsearch.store.store import Store
from tlsearch.study import check_study

HERE = Path(__file__).parent
SETS = HERE / "honesty_sets.py"
NAME = "honesty"
TRIALS, FRESH, FRESH_SEED = 20, 20_000, 1
COVERED = (0.91, 0.98)  # of 300 intervals of 95 %
CLAIMED = 0.07  # of searches among equals, at most
EQUAL, EQUAL_RATE = "projection_48", 1e-2  # what every equal is


def search_varied(world: int) -> Held:
    """One search over heads, sizes, rates and epochs, and the truth about what it named."""
    began = time.monotonic()
    space = {
        "heads": ["linear", "mlp"],
        "epochs": {"low": 2, "high": 6},
        "batch_size": [32, 64],
        "head": {"mlp": {"hidden": [32, 64, 128], "layers": 1}},
    }
    with tempfile.TemporaryDirectory(prefix="tlsearch-honesty-") as scratch, searched(world, space, scratch) as store:
        summary = load_summary(store, NAME)
        best = summary.best
        assert best is not None, "a search names one"
        assert best.estimate is not None, "a finished search has an estimate"
        assert best.score is not None, "and a score"
        assert best.interval is not None, "and its interval"
        truth = truth_of(Path(store.events(NAME, ["final_fitted"])[-1].data["folder"]), world, summary.metric)
    return Held(
        world=world,
        groups=law(world).groups,
        one_part=law(world).one_part,
        rarest=min(law(world).counts),
        pictures=best.estimate.n,
        expected=best.score,
        interval=best.interval,
        naive=best.estimate.naive_score,
        naive_interval=Interval(low=best.estimate.naive_low, high=best.estimate.naive_high),
        truth=truth,
        seconds=time.monotonic() - began,
    )


def search_equals(world: int) -> Claims:
    """One search among equal configurations, and what it claims."""
    began = time.monotonic()
    recipe = {"weight_decay": 1e-4, "label_smoothing": 0.0, "imbalance": "none", "epochs": 4, "batch_size": 32}
    space = {"heads": ["ticket"], "head": {"ticket": {"learning_rate": EQUAL_RATE}}, **recipe}
    equal = {"name": "an equal", "backbone": EQUAL, "head": "ticket", "learning_rate": EQUAL_RATE, **recipe}
    with (
        tempfile.TemporaryDirectory(prefix="tlsearch-honesty-") as scratch,
        searched(world, space, scratch, backbones=[EQUAL], baselines=[equal]) as store,
    ):
        chosen = store.events(NAME, ["chosen"])[-1].data
        (gain,) = (one.gain for one in load_summary(store, NAME).baselines)
    assert gain is not None, "every trial completed"
    return Claims(
        world=world,
        told_apart=len(chosen["indistinguishable"]) < len(chosen["confirmed"]),
        better_than_baseline=gain.verdict is Verdict.BETTER,
        seconds=time.monotonic() - began,
    )


def searched(
    world: int,
    space: Mapping[str, Any],
    folder: str,
    *,
    backbones: Sequence[str] = ("projection_16", EQUAL),
    baselines: Sequence[Mapping[str, Any]] = (),
) -> Store:
    """Run one study to its end; returns its store, open."""
    host = plugins()
    study = {
        "study": {"name": NAME, "seed": world, "budget": {"trials": TRIALS}},
        "data": {"source": "worlds", "world": world, "holdout": 0.0, "folds": 1 if law(world).one_part else "auto"},
        "backbones": [{"name": name, "weights": "random"} for name in backbones],
        "search": {"unfrozen": 0, **space},
        "baselines": baselines,
        "run": {"devices": ["cpu"]},
    }
    store = Store.open(f"sqlite:///{folder}/study.db")
    config = check_study(study, NAME, host)
    search(config, host=host, store=store, folder=Path(folder), cache=Path(folder) / "cache", plugin=SETS)
    return store


def plugins() -> PluginHost:
    """The two heads of the house, and this benchmark's file: no network of real weights is near."""
    return PluginHost.load(files=[SETS], allow=["linear", "mlp"])


def truth_of(folder: Path, world: int, metric: str) -> float:
    """The final model's score on fresh pictures, drawn and scored without any of the code that made the estimate."""
    pixels, labels = law(world).fresh(FRESH, FRESH_SEED)
    with torch.inference_mode():
        probabilities = load_final(folder, plugins()).network(torch.from_numpy(pixels)).numpy()
    return score(metric, np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)), labels)


def law(world: int) -> Any:
    """The law that a world's pictures follow."""
    return load_file(SETS).namespace.World.of(world)  # type: ignore[attr-defined]


def write_results(tables: Sequence[str], command: str, seconds: Sequence[float], target: Path) -> None:
    """Write the tables with what they were made by."""
    versions = ", ".join(f"{each} {version(each)}" for each in ("tlsearch", "torch", "optuna", "numpy"))
    text = "\n\n".join(
        [
            "# Do the intervals hold?",
            f"{datetime.now(UTC):%Y-%m-%d}; Python {platform.python_version()}, {versions}.\n"
            f"Command: `{command}`; {np.mean(seconds):.1f} s a search.\n"
            "What is measured stands at the top of `honesty.py`. Behind each share stands what so many searches can\n"
            "say of it (95 %).",
            *tables,
        ]
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text + "\n", encoding="utf-8")


def plainly_wrong(held: Sequence[Held], claims: Sequence[Claims]) -> bool:
    """Whether a few searches suffice to see that something is broken."""
    missed = sum(not holds(one.interval, one.truth) for one in held)
    lucky = sum(one.told_apart or one.better_than_baseline for one in claims)
    return missed > len(held) // 3 or lucky > len(claims) // 2


def main() -> None:
    """Search as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=count, default=300)
    parser.add_argument("--equals", type=count, default=200, help="searches among equals")
    parser.add_argument("--seed", type=int, default=0, help="number of the first world")
    parser.add_argument("--workers", type=count, default=2, help="searches side by side, on one core each")
    parser.add_argument("--quick", action="store_true", help="few, nothing written, failing where plainly wrong")
    parser.add_argument("--to", type=Path, default=HERE / "results" / "honesty.md", metavar="FILE")
    given = parser.parse_args()
    varied, equals = (12, 6) if given.quick else (given.searches, given.equals)
    run = partial(side_by_side, workers=given.workers)
    held = run(search_varied, range(given.seed, given.seed + varied), said="searches")
    claims = run(search_equals, range(given.seed, given.seed + equals), said="searches among equals")
    tables = [held_table(held), claims_table(claims, TRIALS)]
    print("\n\n".join(tables))
    if given.quick:
        raise SystemExit(plainly_wrong(held, claims))
    asked = f"--searches {given.searches} --equals {given.equals} --seed {given.seed}"
    took = [one.seconds for one in held] + [one.seconds for one in claims]
    write_results(tables, f"python benchmarks/honesty.py {asked}", took, given.to)
    print(f"written to {given.to}")
    covered = np.mean([holds(one.interval, one.truth) for one in held])
    lucky = max(np.mean([one.told_apart for one in claims]), np.mean([one.better_than_baseline for one in claims]))
    raise SystemExit(not COVERED[0] <= covered <= COVERED[1] or lucky > CLAIMED)


if __name__ == "__main__":
    main()
