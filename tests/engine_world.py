"""A study in the small, for tests of the engine: drawn pictures on disk, what a worker is told of them, and jobs."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from engine_nets import CLASSES, draw
from PIL import Image

from tlsearch.data.pixels import PixelStore, fit
from tlsearch.records import EpochRecord
from tlsearch.specs import Preprocessing
from tlsearch.training.recipe import Phase, Recipe
from tlsearch.work import BackboneChoice, Job, JobKind, Progress, Row, RowResult, WorkerContext
from tlsearch.workbench.bench import StudyBench

PLUGIN = Path(__file__).with_name("engine_nets.py")
DEVELOPMENT, HOLDOUT = 45, 9
LABELS = tuple(index % len(CLASSES) for index in range(DEVELOPMENT + HOLDOUT))
RULES = Preprocessing(crop_fraction=0.9, mean=(0.45, 0.45, 0.4), std=(0.2, 0.25, 0.2))
STORED_PX = 36
SEED = 7


def draw_store(folder: Path, *, seed: int = 0) -> PixelStore:
    """Draw every picture into a file, and decode them."""
    rng = np.random.default_rng(seed)
    (folder / "pictures").mkdir(parents=True)
    files = [folder / "pictures" / f"{index}.png" for index in range(len(LABELS))]
    for file, label in zip(files, LABELS, strict=True):
        Image.fromarray(draw(rng, label)).save(file)
    return PixelStore.build(files, STORED_PX, folder / "pixels")


def choice(name: str, *, image_px: int = 32) -> BackboneChoice:
    """A backbone with random weights."""
    return BackboneChoice(
        name=name,
        params={},
        image_px=image_px,
        source="random",
        path="",
        digest=str(SEED),
        variant="",
        preprocessing=asdict(RULES),
        trained_on="nothing",
        license="",
    )


def context_of(
    store: PixelStore, folder: Path, *, backbones: Iterable[str] = ("small",), **changes: Any
) -> WorkerContext:
    """A study over the pictures with two folds, and three in its second repeat."""
    groups = range(DEVELOPMENT // len(CLASSES))  # one picture of each class
    partitions = [[group % folds for group in groups for _ in CLASSES] for folds in (2, 3)]
    context = WorkerContext(
        study="small",
        seed=SEED,
        metric="accuracy",
        classes=CLASSES,
        pixels=str(store.folder),
        pixels_digest=store.digest,
        labels=LABELS,
        development=tuple(range(DEVELOPMENT)),
        holdout=tuple(range(DEVELOPMENT, DEVELOPMENT + HOLDOUT)),
        folds=tuple(map(tuple, partitions)),
        backbones={name: choice(name) for name in backbones},
        augments=("none", "flip"),
        views=3,
        unfrozen=(0, 1, 2),
        device="cpu",
        threads=1,
        cache=str(folder / "cache"),
        cache_bytes=10**9,
        models=str(folder / "models"),
        deterministic=False,
        plugins=(str(PLUGIN),),
        versions={},
        dataset={"source": "blotches", "options": {}, "cache": str(folder)},
    )
    return replace(context, **changes)


def recipe(unfrozen: int | None = 0, **changes: Any) -> Recipe:
    """A short one: 4 epochs in batches of 8, the suffix at the head's own rate."""
    rate = changes.pop("learning_rate", 0.02)
    phase = Phase(epochs=changes.pop("epochs", 4), unfrozen=unfrozen, learning_rate=rate, suffix_lr_scale=1.0)
    values: dict[str, Any] = {"backbone": "small", "head": "linear", "phases": (phase,), "batch_size": 8, **changes}
    return Recipe(**values)


def row(plan: Recipe, trial: int = 0, **changes: Any) -> Row:
    return Row(trial=trial, attempt=1, recipe=plan, **{"seed_key": trial, **changes})


def job(*rows: Row, kind: JobKind = JobKind.TRIALS, **changes: Any) -> Job:
    return Job(id="job", kind=kind, rows=rows, **changes)


def do(bench: StudyBench, work: Job) -> tuple[list[RowResult], list[EpochRecord]]:
    """Run a job: its results, and the epochs that it told of."""
    events: list[EpochRecord | RowResult | Progress] = []
    bench.run(work, events.append)
    return (
        [event for event in events if isinstance(event, RowResult)],
        [event for event in events if isinstance(event, EpochRecord)],
    )


def result_of(context: WorkerContext, plan: Recipe, **changes: Any) -> RowResult:
    """What becomes of one trial on a workbench of its own."""
    ((result,), _) = do(StudyBench(context), job(row(plan, **changes)))
    return result


def squares(store: PixelStore, indices: Iterable[int], rules: Preprocessing = RULES) -> np.ndarray:
    """Pictures as the networks get them, uint8 `(n, 32, 32, 3)`."""
    return np.stack([fit(store[index], rules, 32) for index in indices])
