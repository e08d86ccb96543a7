"""What the closed-form probes bring: how many trials a search of linear heads needs for one score, with and without.

    python benchmarks/probes.py                          # both sets; writes benchmarks/results/probes.md
    python benchmarks/probes.py --sets drawings --seeds 3   # a quick look; writes nothing

Fifty trials of a linear head on EfficientNet-Lite0's features at 160 px: 150 drawings of five people in 5 folds, and
the 2 624 ELPV photographs in one part. Every seed has pictures, folds and a search of its own. With probes a head
begins from the closed form of its fold, and the first trial is little else; without, the same search begins every
head from random weights, and a first trial that is made for the closed form is not counted against it. What is told:
the best score of each after 1, 10 and 50 trials, and after how many trials with probes the 50 without them are
reached.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arguments import count
from figures import Figure, save
from machine import machine, versions
from tlsearch.data.split import fold_partitions
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.paths import cache_root
from tlsearch.records import TrialRecord, TrialState
from tlsearch.runner import Places
from tlsearch.runner.chosen import choose_backbones, kept_px
from tlsearch.runner.looking import look_at
from tlsearch.runner.setup import load_dataset
from tlsearch.runner.survey import check_context
from tlsearch.search import Proposal, SearchSpace, next_round
from tlsearch.study import StudyConfig, check_study
from tlsearch.work import Job, JobKind, Row, RowResult, Workbench, WorkerContext
from tlsearch.workbench import open_workbench

RESULT = Path(__file__).parent / "results" / "probes.md"
LITE = "efficientnet_lite0"
TRIALS, TOLD = 50, (1, 10, 50)
RESAMPLES = 10_000
PEOPLE = str(Path(__file__).with_name("drawn_people.py"))
Bests = NDArray[np.float64]  # (trials,) the best score so far


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """A set of pictures.

    Args:
        name: As the table has it.
        data: `[data]` of its study.
        used: So many, drawn anew for every seed; None: all.
        folds: That they are scored in.
    """

    name: str
    data: dict[str, Any]
    used: int | None
    folds: int


SETS = {
    "drawings": Pictures(
        name="150 drawings, 5 folds", data={"source": "drawn_people", "options": {"pictures": 60}}, used=150, folds=5
    ),
    "solar": Pictures(name="2 624 photographs, one part", data={"source": "solar"}, used=None, folds=1),
}


class Searched:
    """A set with its features cached, to be searched again and again."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures
        host = PluginHost.load(files=(Path(PEOPLE),))
        raw: dict[str, Any] = {"study": {"name": "probes", "metric": "accuracy", "budget": {"trials": TRIALS}}}
        raw |= {"data": pictures.data, "backbones": [{"name": LITE, "image_px": 160}]}
        raw |= {"search": {"unfrozen": 0, "heads": ["linear"]}}
        self.config: StudyConfig = check_study(raw, pictures.name, host)
        heads = {"linear": host.head("linear")}
        self.space = SearchSpace.build(self.config, [host.backbone(LITE)], heads, metric="accuracy")
        cache = cache_root()
        with tempfile.TemporaryDirectory() as folder:
            places = Places(folder=Path(folder), cache=cache, plugins=(Path(PEOPLE),))
            chosen = choose_backbones(self.config, None, host=host, cache=cache, hubs=Hubs(offline=True))
            dataset = load_dataset(self.config, host, cache / "datasets" / self.config.data.source)
            px = kept_px(self.config, None, chosen)
            looked = look_at(self.config.data, dataset, shorter_px=px, cache_dir=cache / "pixels")
            self._context = check_context(self.config, looked, chosen, "accuracy", host, places)
        self._keys = looked.keys

    def bests(self, seed: int, *, probes: bool) -> Bests:
        """The best score after each of the trials of one search."""
        bench = open_workbench(self._dealt(seed))
        config = self.config.model_copy(update={"study": self.config.study.model_copy(update={"seed": seed})})
        records: list[TrialRecord] = []
        while True:
            found = next_round(self.space, records, config=config, probe_scores={LITE: 0.0}, room=TRIALS)
            if not isinstance(found, list) or not found:
                break
            records += self._ended(bench, found, len(records), probes=probes)
        scores = [record.score if record.score is not None else 0.0 for record in records]
        if not probes:  # made for a start that it does not have
            scores = scores[1:]
        return np.maximum.accumulate(scores)

    def _ended(self, bench: Workbench, found: Sequence[Proposal], first: int, *, probes: bool) -> list[TrialRecord]:
        records: dict[int, TrialRecord] = {}
        jobs: dict[int, list[Row]] = {}
        for number, one in enumerate(found, start=first):
            recipe = one.recipe if probes else replace(one.recipe, start="random")
            jobs.setdefault(one.group, []).append(Row(trial=number, attempt=1, recipe=recipe, seed_key=number))
            kept = one.recipe.to_json()
            records[number] = TrialRecord(
                number=number, kind=one.kind, name="", state=TrialState.WAITING, params=one.params, recipe=kept
            )

        def emit(event: object) -> None:
            if isinstance(event, RowResult):
                records[event.trial] = replace(records[event.trial], state=event.state, score=event.score)

        for group, rows in jobs.items():
            bench.run(Job(id=f"{first}-{group}", kind=JobKind.TRIALS, rows=tuple(rows)), emit)
        return [records[number] for number in sorted(records)]

    def _dealt(self, seed: int) -> WorkerContext:
        """The study's context with pictures and folds of a seed."""
        context = self._context
        rows = np.array(context.development)
        if self.pictures.used is not None:
            rows = np.sort(np.random.default_rng(seed).permutation(rows)[: self.pictures.used])
        labels = [context.labels[row] for row in rows]
        folds = fold_partitions(labels, [self._keys[row] for row in rows], self.pictures.folds, 1, seed)
        return replace(context, development=tuple(rows.tolist()), folds=folds, seed=seed, groups=())


def compare(pictures: Pictures, seeds: int) -> tuple[str, Figure]:
    """Search with every seed, with probes and without: a line of the table, and the row for other programs."""
    searched = Searched(pictures)
    ways: dict[bool, list[Bests]] = {True: [], False: []}
    for seed in range(seeds):
        for probes in (True, False) if seed % 2 else (False, True):
            ways[probes].append(searched.bests(seed, probes=probes))
        print(pictures.name, seed, *(f"{way[-1][[0, 9, -1]].round(3)}" for way in ways.values()), flush=True)
    wanted = [float(plain[-1]) for plain in ways[False]]
    needed = np.array([reached(ours, goal) for ours, goal in zip(ways[True], wanted, strict=True)])
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(needed, (RESAMPLES, seeds)), axis=1)
    low, high = np.quantile(medians, [0.025, 0.975])
    cells = [pictures.name]
    for probes in (False, True):
        means = [100 * np.mean([way[min(told, len(way)) - 1] for way in ways[probes]]) for told in TOLD]
        cells.append(" / ".join(f"{mean:.1f}" for mean in means))
    cells.append(f"{shown(float(np.median(needed)))} ({shown(low)} to {shown(high)})")
    median = float(np.median(needed))
    row = Figure(
        row=f"trials with probes for the score of {TRIALS} without: {pictures.name}",
        target=TRIALS / 2,
        stretch=TRIALS / 10,
        measured=median,
        unit="trials",
    )
    return f"| {' | '.join(cells)} |", row


def reached(bests: Bests, goal: float) -> int:
    """After how many trials a score is reached; one more than all where it never is."""
    there = np.flatnonzero(bests >= goal)
    return int(there[0]) + 1 if len(there) else len(bests) + 1


def shown(count: float) -> str:
    """A number of trials in words."""
    return f"over {TRIALS}" if count > TRIALS else f"{count:g}"


def main() -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--seeds", type=count, default=10, help="searches of each set, with and without")
    parser.add_argument("--json", type=Path, help="where to write the rows")
    given = parser.parse_args()
    found = [compare(SETS[name], given.seeds) for name in given.sets]
    print("\n".join(line for line, _ in found))
    if given.json:
        save([row for _, row in found], given.json, by="probes")
    if given.sets == list(SETS):
        RESULT.write_text(page([line for line, _ in found], given.seeds), encoding="utf-8")
        print(f"written: {RESULT}")


def page(table: Sequence[str], seeds: int) -> str:
    """The results as Markdown."""
    lines = [
        "# What closed-form probes bring",
        "",
        f"`python benchmarks/probes.py`, {seeds} seeds, on {machine()}; {versions('tlsearch', 'torch', 'optuna')}.",
        f"Mean best scores after {', '.join(map(str, TOLD))} trials in %, out of fold; the trials that a search with",
        f"probes takes to reach what the same search without them reaches in {TRIALS}: median over seeds, 95 % sure.",
        "",
        "| pictures | without | with probes | trials needed |",
        "|---|---|---|---|",
        *table,
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
