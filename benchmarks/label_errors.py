"""Labels exchanged on purpose: how many of them stand in the first tenth of the ranking of suspicious labels.

    python benchmarks/label_errors.py           # 10 seeds; writes benchmarks/results/label-errors.md
    python benchmarks/label_errors.py --quick   # 2 seeds on the drawings alone; writes nothing

Each seed exchanges 5 % of the labels for another class at random. The ranking is that of the job that
`tlsearch data check` and every study run, on all pictures, through the same workbench. Solar cells are those of whose
label its labellers were sure; the others would count as found errors, or hide some. What stands in the first tenth by
chance is a tenth.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arguments import count
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.paths import cache_root
from tlsearch.runner import Places
from tlsearch.runner.checking import check_job
from tlsearch.runner.chosen import choose_backbones, kept_px
from tlsearch.runner.looking import look_at
from tlsearch.runner.setup import load_dataset
from tlsearch.runner.survey import check_context
from tlsearch.stats import wilson
from tlsearch.stats.labels import suspicion_order
from tlsearch.study import check_study
from tlsearch.work import RowResult, WorkerContext
from tlsearch.workbench import open_workbench

RESULT = Path(__file__).parent / "results" / "label-errors.md"
EXCHANGED = 0.05  # of all labels
FIRST = 0.1  # of the ranking
LITE = "efficientnet_lite0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Pictures, the networks that look at them, and the share that must be found."""

    name: str
    data: dict[str, Any]
    backbones: list[dict[str, Any]]
    promised: float


@dataclass(slots=True, kw_only=True)
class Found:
    """What became of one case, over all seeds."""

    pictures: int = 0
    exchanged: int = 0
    first: int = 0
    seconds: list[float] = field(default_factory=list)  # of the job, once features are cached

    @property
    def share(self) -> float:
        """Exchanged labels in the first tenth."""
        return self.first / self.exchanged


DRAWINGS = Case(name="celebs_demo", data={"source": "celebs_demo"}, backbones=[{"name": LITE}], promised=0.9)
CASES = (
    DRAWINGS,
    replace(
        DRAWINGS,
        name="celebs_demo, with the side of its study",
        backbones=[{"name": LITE, "image_px": 160}],
    ),
    replace(
        DRAWINGS,
        name="celebs_demo, two networks",
        backbones=[{"name": LITE, "image_px": 160}, {"name": "mobilenet_v2", "image_px": 160}],
    ),
    Case(
        name="solar, labels 0 and 1",
        data={"source": "solar", "labels": "certain"},
        backbones=[{"name": LITE}],
        promised=0.5,
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the table, and write it; returns 1 where a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two seeds on the drawings alone; write nothing")
    parser.add_argument("--seeds", type=count, default=10)
    given = parser.parse_args(arguments)
    cases, seeds = (CASES[:1], 2) if given.quick else (CASES, given.seeds)
    table = ["| pictures | networks | exchanged | in the first tenth | 95 % sure | promised | one check |"]
    table += ["|---|---|---|---|---|---|---|"]
    kept = True
    for case in cases:
        found = run(case, seeds)
        kept = kept and found.share >= case.promised
        table.append(row(case, found, seeds))
        print(table[-1], flush=True)
    if not given.quick:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(page(table, seeds), encoding="utf-8")
        print(f"written: {RESULT}")
    return 0 if kept else 1


def run(case: Case, seeds: int) -> Found:
    """Exchange labels, and look for them."""
    host = PluginHost.load(files=())
    raw: dict[str, Any] = {"study": {"name": "labels", "metric": "accuracy"}}
    raw |= {"data": dict(case.data), "backbones": case.backbones, "search": {"augment": ["none", "flip"]}}
    config = check_study(raw, case.name, host)
    found, cache = Found(), cache_root()
    with TemporaryDirectory() as folder:
        places = Places(folder=Path(folder), cache=cache)
        chosen = choose_backbones(config, None, host=host, cache=cache, hubs=Hubs())
        dataset = load_dataset(config, host, cache / "datasets" / config.data.source)
        shorter_px = kept_px(config, None, chosen)
        looked = look_at(config.data, dataset, shorter_px=shorter_px, cache_dir=cache / "pixels")
        context = check_context(config, looked, chosen, "accuracy", host, places)
        keys = [looked.keys[index] for index in looked.readable]
        checked(context, host, keys)  # fills the cache of features
        truth = np.array(context.labels)[looked.readable]
        for seed in range(seeds):
            labels, exchanged = exchange(truth, len(context.classes), seed)
            every = np.array(context.labels)
            every[looked.readable] = labels
            began = time.monotonic()
            result = checked(replace(context, labels=tuple(every.tolist())), host, keys)
            found.seconds.append(time.monotonic() - began)
            assert result.log_probs is not None, result.detail
            first = suspicion_order(result.log_probs, labels)[: ceil(FIRST * len(labels))]
            found.first += int(np.isin(exchanged, first).sum())
            found.exchanged += len(exchanged)
    found.pictures = len(truth)
    return found


def checked(context: WorkerContext, host: PluginHost, keys: Sequence[str]) -> RowResult:
    """The result of the job that checks a context's pictures."""
    results: list[RowResult] = []

    def emit(event: object) -> None:
        if isinstance(event, RowResult):
            results.append(event)

    open_workbench(context).run(check_job(host, list(context.backbones), keys), emit)
    return results[0]


def exchange(truth: NDArray[np.int64], classes: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Labels of which 5 % are another class, and the rows of those."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(truth), size=round(EXCHANGED * len(truth)), replace=False)
    labels = truth.copy()
    labels[rows] = (labels[rows] + rng.integers(1, classes, size=len(rows))) % classes
    return labels, rows


def row(case: Case, found: Found, seeds: int) -> str:
    """A line of the table."""
    networks = ", ".join(f"{one['name']} at {one.get('image_px', 'its own')} px" for one in case.backbones)
    sure = wilson(found.first, found.exchanged)
    return (
        f"| {case.name} ({found.pictures}) | {networks} | {found.exchanged // seeds} of {found.pictures} "
        f"| {100 * found.share:.1f} % ({found.first} of {found.exchanged}) "
        f"| {100 * sure.low:.0f} to {100 * sure.high:.0f} % | {100 * case.promised:.0f} % "
        f"| {np.median(found.seconds):.1f} s |"
    )


def page(table: Sequence[str], seeds: int) -> str:
    """The file that is kept."""
    day = datetime.now(UTC).date().isoformat()
    lines = ["# Labels exchanged on purpose", ""]
    lines += [f"`python benchmarks/label_errors.py --seeds {seeds}`, {day}. By chance 10 % stand in the first tenth."]
    return "\n".join([*lines, "", *table, ""])


if __name__ == "__main__":
    sys.exit(main())
