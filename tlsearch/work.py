"""Jobs, and what comes back of them: plain values that travel as JSON between coordinator and worker."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tlsearch.records import EpochRecord, FailureReason, Json, ModelFacts, TrialState
from tlsearch.training.recipe import Recipe


class JobKind(StrEnum):
    """What a worker is asked to do."""

    ALIKE = "alike"  # compare all pictures of a dataset, before it is split
    PREPARE = "prepare"  # cache one backbone's features and score a linear probe on them
    TRIALS = "trials"  # score recipes over the folds of repeat 0
    CONFIRM = "confirm"  # score one recipe again, with the folds and seeds of another repeat
    FINAL = "final"  # fit one recipe on all development images, and save it
    TRUTH = "truth"  # score the final model on fresh pictures
    EXPLAIN = "explain"  # fit one recipe's fold models again, and map where their answers came from
    CHECK = "check"  # probe the labels and the amount of data on the cached features of each row's backbone


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One trial of a job.

    Args:
        trial: Its number; -1 in a PREPARE job.
        attempt: 1 for the first dispatch.
        recipe: What to train.
        seed_key: Decides initial weights, together with the study's seed and the repeat; dropout is that of all.
        prune_below: With several folds: end after the first fold with a lower score than this; with one part: end
            at half of the schedule likewise. None never prunes.
    """

    trial: int
    attempt: int
    recipe: Recipe
    seed_key: int = 0
    prune_below: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Trials that are trained together, or one other piece of work.

    Args:
        id: Unique in the study's life; names the file of result lines.
        kind: What to do with the rows.
        rows: At least one.
        repeat: Which fold partition and seeds: 0 while searching.
        timeout_s: For each row; rows that end together share the sum, and tell of an epoch within the time of one.
            Waiting for a pass that fills the cache is on no row's account. None waits for ever.
        options: What a kind needs beyond its rows, such as the name of the final model.
    """

    id: str
    kind: JobKind
    rows: tuple[Row, ...]
    repeat: int = 0
    timeout_s: float | None = None
    options: Mapping[str, Json] = field(default_factory=dict)

    @property
    def ends_together(self) -> bool:
        """Whether its rows train heads alone: a matter of moments, so results are told together, at the job's end."""
        return not any(row.recipe.fine_tunes for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary that `from_json` reads back."""
        rows = [
            {
                "trial": r.trial,
                "attempt": r.attempt,
                "recipe": r.recipe.to_json(),
                "seed_key": r.seed_key,
                "prune_below": r.prune_below,
            }
            for r in self.rows
        ]
        return {
            "id": self.id,
            "kind": self.kind.value,
            "rows": rows,
            "repeat": self.repeat,
            "timeout_s": self.timeout_s,
            "options": dict(self.options),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Job":
        """Read what `to_json` wrote."""
        rows = tuple(Row(**{**row, "recipe": Recipe.from_json(row["recipe"])}) for row in data["rows"])
        return cls(**{**data, "kind": JobKind(data["kind"]), "rows": rows})


@dataclass(frozen=True, slots=True, kw_only=True)
class RowResult:
    """How one row of a job ended: the content of one result line.

    Args:
        job: The job's id.
        kind: The job's kind.
        trial: As in the row.
        attempt: As in the row; a line of an attempt that is no longer live is never counted.
        repeat: As in the job.
        state: COMPLETED, PRUNED or FAILED.
        score: Over all out-of-fold predictions, greater is better.
        fold_scores: Of the folds that were trained, in order.
        rung_score: With one part: at half of the schedule.
        log_probs: Out-of-fold log-probabilities, float32 (development images, classes), in the order of the
            context's development images; rows that no fold predicted are NaN; None unless completed.
        reason: Why it failed.
        detail: One line.
        facts: Cost and frozen part.
        seconds: Training and scoring; of heads that learned side by side its share.
        side_by_side: How many heads shared that time, this one included.
        probe_seconds: Of probes that this row had to fit.
        extras: What a kind adds, as plain JSON: cache statistics, a probe's score, a final model's files.
    """

    job: str
    kind: JobKind
    trial: int
    attempt: int
    state: TrialState
    repeat: int = 0
    score: float | None = None
    fold_scores: tuple[float, ...] = ()
    rung_score: float | None = None
    log_probs: NDArray[np.float32] | None = None
    reason: FailureReason | None = None
    detail: str = ""
    facts: ModelFacts | None = None
    seconds: float = 0.0
    side_by_side: int = 1
    probe_seconds: float = 0.0
    extras: Mapping[str, Json] = field(default_factory=dict)

    @classmethod
    def of(cls, job: Job, row: Row, state: TrialState, **known: Any) -> "RowResult":
        """The result of a job's row; `known` are the fields that there is something to say of."""
        return cls(
            job=job.id, kind=job.kind, trial=row.trial, attempt=row.attempt, repeat=job.repeat, state=state, **known
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a worker is doing now, for the live view."""

    text: str  # such as "mobilenet_v2: 240 of 480 pictures"
    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnded:
    """A worker is done with a job, well or not; rows without a result did not end.

    Args:
        job: The job's id.
        reason: None where the worker lives on; else how it died.
        detail: One line: exit code, signal, last words of its log.
        blamed: The trial that was in work when the worker died, where it can be told.
    """

    job: str
    reason: FailureReason | None = None
    detail: str = ""
    blamed: int | None = None


WorkerEvent = EpochRecord | RowResult | Progress | JobEnded


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneChoice:
    """A backbone that the study searches, with its weights resolved.

    Args:
        name: A backbone plugin's name.
        params: The plugin's own parameters.
        image_px: Side of the network's input.
        source: The weights source's name, "random", or "file".
        path: The weights file; "" with random weights.
        digest: sha256 of that file; with random weights the seed's text.
        variant: Of the architecture, from the source.
        preprocessing: As JSON of `specs.Preprocessing`.
        trained_on: For reports.
        license: Of the weights.
    """

    name: str
    params: Mapping[str, Json]
    image_px: int
    source: str
    path: str
    digest: str
    variant: str
    preprocessing: Mapping[str, Json]
    trained_on: str
    license: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerContext:
    """All that a worker needs of a study; sent once, before the first job.

    Args:
        study: The study's name.
        seed: The study's seed.
        metric: As in the study file, resolved.
        classes: Names in label order.
        pixels: Folder of the decoded pictures (`data.pixels.PixelStore.open`).
        pixels_digest: What that store must hash to.
        labels: One a picture of the pixel store.
        development: Indices into the pixel store, in a fixed order.
        holdout: Likewise; only a FINAL job reads them.
        folds: For each repeat, the fold of each development image; -1: only ever trained on (a ready train part).
        backbones: By name.
        augments: The augmentations that may be asked for, so that one pass caches all their views.
        views: Cached views an image of "light".
        unfrozen: The freeze depths that may be asked for, so that one pass caches all their cuts.
        device: "cpu", "cuda:0" or "mps".
        threads: For computing on a CPU.
        cache: Folder of cached features.
        cache_bytes: What they may take.
        models: Folder for final models.
        deterministic: Whether equal bits are asked for.
        plugins: Plugin files given with `--plugin`.
        versions: Of tlsearch, the frameworks and every active plugin's distribution; checked before any import.
        dataset: Name and options of the dataset plugin, for TRUTH jobs.
        groups: A number for each development image, equal for images that belong together; empty: each is alone.
    """

    study: str
    seed: int
    metric: str
    classes: tuple[str, ...]
    pixels: str
    pixels_digest: str
    labels: tuple[int, ...]
    development: tuple[int, ...]
    holdout: tuple[int, ...]
    folds: tuple[tuple[int, ...], ...]
    backbones: Mapping[str, BackboneChoice]
    augments: tuple[str, ...]
    views: int
    unfrozen: tuple[int, ...]
    device: str
    threads: int
    cache: str
    cache_bytes: int
    models: str
    deterministic: bool
    plugins: tuple[str, ...]
    versions: Mapping[str, str]
    dataset: Mapping[str, Json]
    groups: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "WorkerContext":
        """Read what `to_json` wrote."""
        backbones = {name: BackboneChoice(**choice) for name, choice in data["backbones"].items()}
        lists = ("classes", "labels", "development", "holdout", "augments", "unfrozen", "plugins", "groups")
        tuples = {key: tuple(data[key]) for key in lists}
        folds = tuple(tuple(partition) for partition in data["folds"])
        return cls(**{**data, **tuples, "folds": folds, "backbones": backbones})


class Workbench(Protocol):
    """What a worker process runs jobs on. Opened once with the context, kept warm between jobs."""

    def run(self, job: Job, emit: Callable[[EpochRecord | RowResult | Progress], None]) -> None:
        """Do a job: emit each row's result as soon as it is known.

        An exception of a row is that row's FAILED result; only a fault of the workbench itself is raised, and what
        leaves it unable to go on, such as a lost device.

        Raises:
            TlsearchError: Where no job can run here: the disk is full.
        """
