"""Whether tlsearch's own interval holds: whole searches on drawn feature sets, each held to the truth.

    python benchmarks/honesty.py                  # 300 searches, and 200 among equals; writes results/honesty.md
    python benchmarks/honesty.py --quick          # 12 and 6, writes nothing; fails where intervals plainly do not hold

Each search is `run_study`: 20 head-only trials on another world of `honesty_sets.py`, in which classes, sizes, skew,
difficulty and groups vary; the five best are scored again, one is named, its final model fitted. The truth is that
model's score on 20 000 fresh pictures of the same world. An interval that is right 95 % of the time holds it in 91 to
98 % of 300 searches; the naive one, of the best score as if nothing had been searched, stands beside it.

Among equals every trial is the same small network, and only its seed differs: whatever is called better there is luck.
Counted are searches in which one of the confirmed five is told apart from the best, and those in which the search is
said to be better than a baseline; the baseline is the last of 21 trials, whatever it scored.
"""

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from tlsearch.execution.inline import InlineExecutor
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.model import load_final
from tlsearch.plugin_sources import load_file
from tlsearch.progress import LiveState
from tlsearch.records import TrialKind, TrialRecord
from tlsearch.report.summary import Summary, summarise
from tlsearch.runner import Places, run_study
from tlsearch.stats import Interval, Verdict, score, wilson
from tlsearch.store.store import Store
from tlsearch.study import check_study
from tlsearch.work import Workbench, WorkerContext
from tlsearch.workbench import open_workbench

HERE = Path(__file__).parent
SETS = HERE / "honesty_sets.py"
NAME = "honesty"
TRIALS, FRESH, FRESH_SEED = 20, 20_000, 1
COVERED = (0.91, 0.98)  # of 300 intervals of 95 %
CLAIMED = 0.07  # of searches among equals, at most
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One search's figures beside the truth.

    Args:
        world: Its number.
        groups: "none", "within" a class or "across" classes.
        pictures: That were searched on.
        expected: What the report expects of the final model.
        interval: Its interval.
        naive: The best score while searching.
        naive_interval: Of that score as if it had been the only one.
        truth: Of the final model on fresh pictures.
        seconds: Of the whole search.
    """

    world: int
    groups: str
    pictures: int
    expected: float
    interval: Interval
    naive: float
    naive_interval: Interval
    truth: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What one search among equals claimed."""

    world: int
    told_apart: bool
    better_than_baseline: bool
    seconds: float


class Quiet:
    """An observer that says nothing."""

    def progress(self, state: LiveState) -> None:
        """Say nothing."""

    def notice(self, text: str) -> None:
        """Say nothing."""


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
        summary = summary_of(store)
        best = summary.best
        assert best is not None, "a search names one"
        assert best.estimate is not None, "a finished search has an estimate"
        assert best.score is not None, "and a score"
        assert best.interval is not None, "and its interval"
        truth = truth_of(Path(store.events(NAME, ["final_fitted"])[-1].data["folder"]), world, summary.metric)
    return Held(
        world=world,
        groups=law(world).groups,
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
    space = {
        "heads": ["ticket"],
        "epochs": 4,
        "batch_size": 32,
        "weight_decay": 1e-4,
        "label_smoothing": 0.0,
        "imbalance": "none",
        "head": {"ticket": {"learning_rate": 1e-2}},
    }
    with (
        tempfile.TemporaryDirectory(prefix="tlsearch-honesty-") as scratch,
        searched(world, space, scratch, trials=TRIALS + 1, backbones=["projection_48"]) as store,
    ):
        chosen = store.events(NAME, ["chosen"])[-1].data
        baseline = store.trials(NAME)[-1].number
        summary = summary_of(store, baseline=baseline)
    (gain,) = (one.gain for one in summary.baselines)
    assert gain is not None, "every trial completed"
    return Claims(
        world=world,
        told_apart=len(chosen["indistinguishable"]) < len(chosen["confirmed"]),
        better_than_baseline=chosen["trial"] != baseline and gain.verdict is Verdict.BETTER,
        seconds=time.monotonic() - began,
    )


def searched(
    world: int,
    space: Mapping[str, Any],
    folder: str,
    *,
    trials: int = TRIALS,
    backbones: Sequence[str] = ("projection_16", "projection_48"),
) -> Store:
    """Run one study to its end; returns its store, open."""
    host = plugins()
    study = {
        "study": {"name": NAME, "seed": world, "budget": {"trials": trials}},
        "data": {"source": "worlds", "world": world, "holdout": 0.0},
        "backbones": [{"name": name, "weights": "random"} for name in backbones],
        "search": {"unfrozen": 0, **space},
        "run": {"devices": ["cpu"]},
    }
    store = Store.open(f"sqlite:///{folder}/study.db")
    run_study(
        check_study(study, NAME, host),
        host=host,
        store=store,
        places=Places(folder=Path(folder), cache=Path(folder) / "cache", plugins=(SETS,)),
        hubs=Hubs(offline=True),
        observer=Quiet(),
        make_executor=lambda contexts: InlineExecutor(bench(contexts), results=Path(folder) / "results"),
    )
    return store


def plugins() -> PluginHost:
    """The two heads of the house, and this benchmark's file: no network of real weights is near."""
    return PluginHost.load(files=[SETS], allow=["linear", "mlp"])


def bench(contexts: Sequence[WorkerContext]) -> Workbench:
    """A workbench on one thread: searches run side by side."""
    (context,) = contexts
    return open_workbench(replace(context, threads=1))


def summary_of(store: Store, *, baseline: int | None = None) -> Summary:
    """What a report would say; with a trial's number, as if that trial had been a baseline."""
    record = store.study(NAME)
    assert record is not None, "the study was run"

    def seen(trial: TrialRecord) -> TrialRecord:
        return replace(trial, kind=TrialKind.BASELINE, name="an equal") if trial.number == baseline else trial

    trials = [seen(trial) for trial in store.trials(NAME)]
    return summarise(record, trials, store.confirmations(NAME), store.events(NAME), store.predictions(NAME))


def truth_of(folder: Path, world: int, metric: str) -> float:
    """The final model's score on fresh pictures, drawn and scored without any of the code that made the estimate."""
    pixels, labels = law(world).fresh(FRESH, FRESH_SEED)
    with torch.inference_mode():
        probabilities = load_final(folder, plugins()).network(torch.from_numpy(pixels)).numpy()
    return score(metric, np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)), labels)


def law(world: int) -> Any:
    """The law that a world's pictures follow."""
    return load_file(SETS).namespace.World.of(world)  # type: ignore[attr-defined]


def side_by_side(work: Callable[[int], Found], worlds: Sequence[int], *, workers: int, said: str) -> list[Found]:
    """Run searches in processes of their own, and say how far they are."""
    found = []
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(work, world) for world in worlds]):
            found.append(done.result())
            print(f"\r{said}: {len(found)} of {len(worlds)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def share(hits: Sequence[bool]) -> str:
    """A share of searches, with what so many searches can say of it."""
    interval = wilson(sum(hits), len(hits))
    return f"{np.mean(hits):.1%} ({interval.low:.0%} to {interval.high:.0%})"


def holds(interval: Interval, truth: float) -> bool:
    """Whether the truth lies in it."""
    return interval.low <= truth <= interval.high


def held_table(found: Sequence[Held]) -> str:
    """How often each interval held the truth, over all and by kind."""
    kinds: dict[str, Callable[[Held], bool]] = {
        "all": lambda one: True,
        "single pictures": lambda one: one.groups == "none",
        "groups within a class": lambda one: one.groups == "within",
        "groups across classes": lambda one: one.groups == "across",
        "under 250 pictures": lambda one: one.pictures < 250,
        "250 to 700": lambda one: 250 <= one.pictures < 700,
        "700 and more": lambda one: one.pictures >= 700,
    }
    lines = [
        "| searches | how many | corrected interval holds the truth | naive interval holds it "
        "| corrected score less the truth | naive score less the truth | width: corrected, naive |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, belongs in kinds.items():
        these = [one for one in found if belongs(one)]
        if these:
            lines.append(f"| {' | '.join([name, *_row(these)])} |")
    return "\n".join(lines)


def _row(these: Sequence[Held]) -> list[str]:
    bias, naive_bias = (np.mean([at(one) - one.truth for one in these]) for at in (_expected, _naive))
    widths = (np.mean([of.high - of.low for of in each]) for each in zip(*map(_intervals, these), strict=True))
    return [
        str(len(these)),
        share([holds(one.interval, one.truth) for one in these]),
        share([holds(one.naive_interval, one.truth) for one in these]),
        f"{100 * bias:+.2f} points",
        f"{100 * naive_bias:+.2f} points",
        ", ".join(f"{100 * width:.1f}" for width in widths),
    ]


def _expected(one: Held) -> float:
    return one.expected


def _naive(one: Held) -> float:
    return one.naive


def _intervals(one: Held) -> tuple[Interval, Interval]:
    return one.interval, one.naive_interval


def claims_table(found: Sequence[Claims]) -> str:
    """How often luck was called better."""
    return "\n".join(
        [
            f"| among {TRIALS} equal configurations | of {len(found)} searches |",
            "|---|---|",
            f"| one of the confirmed five is told apart from the best | {share([one.told_apart for one in found])} |",
            "| the search is called better than a baseline, its equal | "
            f"{share([one.better_than_baseline for one in found])} |",
        ]
    )


def write_results(tables: Sequence[str], command: str, seconds: Sequence[float], target: Path) -> None:
    """Write the tables with what they were made by."""
    versions = ", ".join(f"{each} {version(each)}" for each in ("tlsearch", "torch", "optuna", "numpy"))
    text = "\n\n".join(
        [
            "# Do the intervals hold?",
            f"{datetime.now(UTC):%Y-%m-%d}; Python {platform.python_version()}, {versions}. Command: `{command}`;\n"
            f"{np.mean(seconds):.1f} s a search. What is measured stands at the top of `honesty.py`. Behind each\n"
            "share stands what so many searches can say of it (95 %).",
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
    parser.add_argument("--searches", type=int, default=300)
    parser.add_argument("--equals", type=int, default=200, help="searches among equals")
    parser.add_argument("--seed", type=int, default=0, help="number of the first world")
    parser.add_argument("--workers", type=int, default=2, help="searches side by side, on one core each")
    parser.add_argument("--quick", action="store_true", help="few, nothing written, failing where plainly wrong")
    parser.add_argument("--to", type=Path, default=HERE / "results" / "honesty.md", metavar="FILE")
    given = parser.parse_args()
    varied, equals = (12, 6) if given.quick else (given.searches, given.equals)
    run = partial(side_by_side, workers=given.workers)
    held = run(search_varied, range(given.seed, given.seed + varied), said="searches")
    claims = run(search_equals, range(given.seed, given.seed + equals), said="searches among equals")
    tables = [held_table(held), claims_table(claims)]
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
