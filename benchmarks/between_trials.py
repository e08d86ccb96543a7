"""What happens between trials: storing, asking, and how long a worker waits for it.

    python benchmarks/between_trials.py [--json FILE]

Fails over a target. Storing: the coordinator's own ledger takes up, dispatches and tells 2 000 trials of five epochs
with the answers for a fifth of 2 076 pictures, in jobs of 50, each transaction synced; the file is on the disk of this
folder. Asking: rounds of 50 proposals in the space of studies/celebs.toml with so many trials behind them, what is made
anew for each round included. Waiting: a study of 100 linear heads on 300 drawn pictures with a real worker, which notes
when each job begins and ends: the share of the search in which it had none. Each is told as the median over rounds.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from figures import Figure, save
from tlsearch.execution.local import LocalExecutor
from tlsearch.execution.results import ResultWriter
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.progress import LiveState
from tlsearch.records import EpochRecord, StudyRecord, TrialKind, TrialRecord, TrialState
from tlsearch.runner import Places, run_study
from tlsearch.runner.journal import Journal
from tlsearch.runner.ledger import Ledger
from tlsearch.search import SearchSpace
from tlsearch.search.jobs import Known, Proposal, next_round
from tlsearch.store.store import Store
from tlsearch.study import StudyConfig, load_study
from tlsearch.training.recipe import Phase, Recipe
from tlsearch.work import Job, JobKind, Row, RowResult, WorkerContext
from tlsearch.workbench import open_workbench

HERE = Path(__file__).parent
ROUNDS = 5
TRIALS, ROWS, PICTURES, EPOCHS = 2_000, 50, 2_076, 5  # pictures as of solar, with a fifth held out
RECIPE = Recipe(backbone="mobilenet_v2", head="linear", phases=(Phase(epochs=EPOCHS),))
JOBS = "TLSEARCH_BENCHMARK_JOBS"  # where a worker notes its jobs
STUDY = """
[study]
name = "waiting"
metric = "accuracy"
budget = {{ trials = 100 }}
seed = {seed}
[data]
source = "folder"
path = {pictures}
folds = 1
[[backbones]]
name = "efficientnet_lite0"
image_px = 64
[search]
unfrozen = 0
heads = ["linear"]
epochs = 5
[run]
devices = ["cpu"]
"""


def store_trials(folder: Path) -> tuple[list[float], list[float]]:
    """Milliseconds a trial of each job: in the coordinator's ledger, and of its synced result lines in the worker."""
    log_probs = np.full((PICTURES, 2), np.nan, dtype=np.float32)  # one part: most pictures are only ever trained on
    log_probs[: PICTURES // 5] = np.log(np.random.default_rng(0).dirichlet((1, 1), size=PICTURES // 5))
    stored, written = [], []
    with Store.open(f"sqlite:///{folder / 'study.db'}") as store:
        store.define_study(StudyRecord(name="s", config={}, definition={}, context={}, created=""))
        with Journal(store, "s", folder / "events.jsonl", began=time.monotonic()) as journal:
            ledger = Ledger(store, "s", journal)
            for first in range(0, TRIALS, ROWS):
                job = _job(first)
                results = [
                    RowResult.of(job, row, TrialState.COMPLETED, score=0.5, fold_scores=(0.5,), log_probs=log_probs)
                    for row in job.rows
                ]
                began = time.perf_counter()
                with ResultWriter(folder / f"{job.id}.jsonl") as writer:
                    writer.append(*results)
                between = time.perf_counter()
                ledger.add([_waiting(row.trial) for row in job.rows], [row.trial for row in job.rows])
                ledger.start(job)
                ledger.tell(results, [_epoch(row, n) for row in job.rows for n in range(EPOCHS)])
                stored.append((time.perf_counter() - between) / ROWS * 1e3)
                written.append((between - began) / ROWS * 1e3)
    return stored, written


def _job(first: int) -> Job:
    rows = tuple(Row(trial=first + n, attempt=1, recipe=RECIPE) for n in range(ROWS))
    return Job(id=f"trials-{first}", kind=JobKind.TRIALS, rows=rows)


def _waiting(number: int) -> TrialRecord:
    params = {"epochs": EPOCHS, "batch_size": 32, "linear.learning_rate": 1e-2, "linear.dropout": 0.2}
    waiting = TrialState.WAITING
    return TrialRecord(
        number=number, kind=TrialKind.SEARCH, state=waiting, params=params, recipe=RECIPE.to_json(), name=""
    )


def _epoch(row: Row, epoch: int) -> EpochRecord:
    return EpochRecord(
        trial=row.trial, attempt=row.attempt, repeat=0, fold=0, epoch=epoch, train_loss=0.5, seconds=0.01
    )


class Searched:
    """The space of studies/celebs.toml, and trials in it."""

    def __init__(self) -> None:
        host = PluginHost.load()
        budget = ("study.budget.trials=5000", "search.unfrozen=0")  # rows of a job are heads
        self.config: StudyConfig = load_study(HERE.parent / "studies" / "celebs.toml", overrides=budget, host=host)
        backbones = [host.backbone(table.name) for table in self.config.backbones]
        heads = {name: host.head(name) for name in self.config.search.heads}
        self.space = SearchSpace.build(self.config, backbones, heads, metric="accuracy")
        self.known = Known()

    def ask(self, history: Sequence[TrialRecord]) -> list[Proposal]:
        """One round."""
        config = self.config.model_copy(update={"baselines": []})
        found = next_round(self.space, history, config=config, probe_scores={}, room=ROWS, known=self.known)
        assert isinstance(found, list)
        return found

    def history(self, trials: int) -> list[TrialRecord]:
        """Trials that ended, drawn as start-up trials are."""
        rng = np.random.default_rng(0)
        found: list[TrialRecord] = []
        while len(found) < trials:
            for proposal in self.ask(found):
                record = TrialRecord(
                    number=len(found),
                    kind=TrialKind.STARTUP,
                    state=TrialState.COMPLETED,
                    params=proposal.params,
                    recipe=proposal.recipe.to_json(),
                    score=float(rng.normal()),
                )
                found.append(record)
        return [*found[: trials - 1], replace(found[trials - 1], kind=TrialKind.SEARCH)]  # start-up is over


def ask_after(searched: Searched, trials: int) -> float:
    """Milliseconds a proposal, in a round of as many as a job holds."""
    history = searched.history(trials)
    searched.ask(history)  # what is known of a trial for good is known by now
    began = time.perf_counter()
    found = searched.ask(history)
    return (time.perf_counter() - began) / len(found) * 1e3


class TimedBench:
    """The real workbench of a worker, which notes when its trials' jobs begin and end."""

    def __init__(self, context: WorkerContext) -> None:
        self._bench = open_workbench(context)

    def run(self, job: Job, emit: Callable[[Any], None]) -> None:
        """Run it."""
        began = time.monotonic()
        try:
            self._bench.run(job, emit)
        finally:
            with Path(os.environ[JOBS]).open("a") as file:
                file.write(json.dumps([job.kind, began, time.monotonic(), len(job.rows)]) + "\n")


def open_timed(context: WorkerContext) -> TimedBench:
    """For the executor."""
    return TimedBench(context)


class Nobody:
    """Watches a run."""

    def progress(self, state: LiveState) -> None:
        """Nothing."""

    def notice(self, text: str) -> None:
        """Nothing."""


def wait_of_a_worker(folder: Path, cache: Path, seed: int) -> tuple[float, float]:
    """Percent of the search, and of the run, in which a worker had no job of the search though there were more."""
    file = folder / "waiting.toml"
    file.write_text(STUDY.format(seed=seed, pictures=json.dumps(str(cache / "drawn"))))
    noted = folder / "jobs.jsonl"
    os.environ[JOBS] = str(noted)
    host = PluginHost.load()
    began = time.monotonic()

    def make(contexts: Sequence[WorkerContext]) -> LocalExecutor:
        results, logs = folder / "results", folder / "logs"
        return LocalExecutor(contexts, results=results, logs=logs, workbench="between_trials:open_timed")

    with Store.open(f"sqlite:///{folder / 'study.db'}") as store:
        places = Places(folder=folder, cache=cache, plugins=())
        config = load_study(file, overrides=(), host=host)
        hubs = Hubs(offline=True)
        run_study(config, host=host, store=store, places=places, hubs=hubs, observer=Nobody(), make_executor=make)
    took = time.monotonic() - began
    jobs = [json.loads(line) for line in noted.read_text().splitlines()]
    trials = sorted((start, end) for kind, start, end, _ in jobs if kind == JobKind.TRIALS)
    search = trials[-1][1] - trials[0][0]
    waited = search - sum(end - start for start, end in trials)
    return 100 * waited / search, 100 * waited / took


def draw_pictures(folder: Path) -> None:
    """Two classes of noise, 150 pictures each, a shade apart."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(("dark", "light")):
        (folder / name).mkdir(parents=True)
        for picture in range(150):
            noise = rng.integers(0, 200, size=(64, 64, 3)) + 10 * number
            Image.fromarray(noise.astype(np.uint8)).save(folder / name / f"{picture:03d}.png")


def measure() -> list[Figure]:
    """All rows."""
    searched = Searched()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as scratch:
        cache = Path(scratch) / "cache"
        draw_pictures(cache / "drawn")
        folders = [Path(scratch) / str(n) for n in range(2 * ROUNDS)]
        for folder in folders:
            folder.mkdir()
        stored, asked, waited = [], [], []
        for n in range(ROUNDS):
            stored.append(store_trials(folders[2 * n]))
            asked.append((ask_after(searched, 200), ask_after(searched, 1_000)))
            waited.append(wait_of_a_worker(folders[2 * n + 1], cache, n))
    grown = median(median(jobs[-10:]) / median(jobs[:10]) for jobs, _ in stored)
    rows = [
        ("store, a trial, durable", 1.0, 0.5, median(median(jobs) for jobs, _ in stored), "ms"),
        ("the last 500 of 2 000 trials against the first", 1.5, 1.1, grown, "times as long"),
        ("synced result lines, a trial", 1.0, 0.5, median(median(lines) for _, lines in stored), "ms"),
        ("TPE, an ask at 200 trials", 4.0, 3.0, median(few for few, _ in asked), "ms"),
        ("TPE, an ask at 1 000 trials", 4.0, 3.0, median(many for _, many in asked), "ms"),
        ("a worker waits, of the search of 100 heads", 5.0, 2.0, median(search for search, _ in waited), "%"),
        ("a worker waits between trials, of that run", 5.0, 2.0, median(whole for _, whole in waited), "%"),
    ]
    return [Figure(row=row, target=t, stretch=s, measured=m, unit=unit) for row, t, s, m, unit in rows]


def main() -> int:
    """Print the table; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    given = parser.parse_args()
    rows = measure()
    print("| | measured | target | stretch |\n|---|---|---|---|")
    for row in rows:
        told = f"{row.measured:.2f} {row.unit}"
        print(f"| {row.row} | {told} | {row.target:g} | {row.stretch:g} |")
    if given.json:
        save(rows, given.json)
    return int(any(row.target is not None and row.measured > row.target for row in rows))


if __name__ == "__main__":
    sys.exit(main())
