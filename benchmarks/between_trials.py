"""What happens between trials: storing, asking, and how long a worker waits for it.

    python benchmarks/between_trials.py [--json FILE]

Fails over a target. Storing: the coordinator's own ledger takes up, dispatches and tells 2 000 trials of five epochs
with the answers for a fifth of 2 076 pictures, each transaction synced; the file is on the disk of this folder. A job
holds 50 trials, or 8, as it does where its rows must share one of many combinations. Asking: the last round of studies
of 200 and of 1 000 head-only trials in the space of studies/celebs.toml, of as many trials as such a study asks for at
once; what is made anew for each round is in the time of a trial. Waiting: a study of 100 linear heads on 300 drawn
pictures with a real worker, which notes when each job begins and ends: the share of the search in which it had none.
Each is told as the median over rounds.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from figures import Figure, save, table
from last_rounds import Asked, Searched, ask_last
from tlsearch.execution.local import LocalExecutor
from tlsearch.execution.results import ResultWriter
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.progress import LiveState
from tlsearch.records import EpochRecord, StudyRecord, TrialKind, TrialRecord, TrialState
from tlsearch.runner import Places, run_study
from tlsearch.runner.journal import Journal
from tlsearch.runner.ledger import Ledger
from tlsearch.store.store import Store
from tlsearch.study import load_study
from tlsearch.training.recipe import Phase, Recipe
from tlsearch.work import Job, JobKind, Row, RowResult, WorkerContext
from tlsearch.workbench import open_workbench

ROUNDS = 5
TRIALS, PICTURES, EPOCHS = 2_000, 2_076, 5  # pictures as of solar, with a fifth held out
ROWS = (50, 8)  # of a job: where all share one batch size and backbone, and where they may share one of many
BUDGETS = (200, 1_000)  # trials of the studies whose last round is asked for
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


def store_trials(folder: Path, rows: int) -> tuple[list[float], list[float]]:
    """Milliseconds a trial of each job: in the coordinator's ledger, and of its synced result lines in the worker."""
    log_probs = np.full((PICTURES, 2), np.nan, dtype=np.float32)  # one part: most pictures are only ever trained on
    log_probs[: PICTURES // 5] = np.log(np.random.default_rng(0).dirichlet((1, 1), size=PICTURES // 5))
    stored, written = [], []
    with Store.open(f"sqlite:///{folder / 'study.db'}") as store:
        store.define_study(StudyRecord(name="s", config={}, definition={}, context={}, created=""))
        with Journal(store, "s", folder / "events.jsonl", began=time.monotonic()) as journal:
            ledger = Ledger(store, "s", journal)
            for first in range(0, TRIALS, rows):
                job = _job(first, rows)
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
                stored.append((time.perf_counter() - between) / rows * 1e3)
                written.append((between - began) / rows * 1e3)
    return stored, written


def _job(first: int, rows: int) -> Job:
    held = tuple(Row(trial=first + n, attempt=1, recipe=RECIPE) for n in range(rows))
    return Job(id=f"trials-{first}", kind=JobKind.TRIALS, rows=held)


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
    studies = [(searched, searched.before_the_last_round()) for searched in map(Searched, BUDGETS)]
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as scratch:
        cache = Path(scratch) / "cache"
        draw_pictures(cache / "drawn")
        stored: dict[int, list[tuple[list[float], list[float]]]] = {rows: [] for rows in ROWS}
        asked, waited = [], []
        for n in range(ROUNDS):
            for rows in ROWS:
                stored[rows].append(store_trials(_folder(scratch, f"{rows}-{n}"), rows))
            asked.append([ask_last(*study) for study in studies])
            waited.append(wait_of_a_worker(_folder(scratch, f"waits-{n}"), cache, n))
    return [*stored_figures(stored), *asked_figures(asked), *waited_figures(waited)]


def _folder(scratch: str, name: str) -> Path:
    folder = Path(scratch) / name
    folder.mkdir()
    return folder


def stored_figures(stored: Mapping[int, Sequence[tuple[list[float], list[float]]]]) -> Iterator[Figure]:
    """What a trial costs the ledger and the worker's lines, by the rows of a job, a round each."""
    for rows, rounds in stored.items():
        for what, place in (("store, a trial, durable", 0), ("synced result lines, a trial", 1)):
            each = median(median(one[place]) for one in rounds)
            yield Figure(row=f"{what}, in jobs of {rows}", target=1.0, stretch=0.5, measured=each, unit="ms")
        quarter = TRIALS // rows // 4
        grown = median(median(jobs[-quarter:]) / median(jobs[:quarter]) for jobs, _ in rounds)
        what = f"the last 500 of {TRIALS} trials against the first, in jobs of {rows}"
        yield Figure(row=what, target=1.5, stretch=1.1, measured=grown, unit="times as long")


def asked_figures(asked: Sequence[Sequence[Asked]]) -> Iterator[Figure]:
    """What a trial of the last round of each study costs the sampler."""
    for trials, rounds in zip(BUDGETS, zip(*asked, strict=True), strict=True):
        told = f"{rounds[0].rows} a round, {median(one.took_ms for one in rounds):.1f} ms"
        each = median(one.each_ms for one in rounds)
        yield Figure(
            row=f"TPE, an ask at {trials} trials", target=4.0, stretch=3.0, measured=each, unit="ms", told=told
        )


def waited_figures(waited: Sequence[tuple[float, float]]) -> Iterator[Figure]:
    """How long a worker waits, of the search and of the run."""
    for row, place in (("of the search of 100 heads", 0), ("of that whole run", 1)):
        share = median(one[place] for one in waited)
        yield Figure(row=f"a worker waits between trials, {row}", target=5.0, stretch=2.0, measured=share, unit="%")


def main() -> int:
    """Print the table; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    given = parser.parse_args()
    rows = measure()
    print(table(rows))
    if given.json:
        save(rows, given.json, by="between_trials")
    return int(any(row.missed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
