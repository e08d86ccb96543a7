"""What happened, as plain frozen values: what the store keeps, reports read and observers are told."""

from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from tlsearch.space import ParamValue

Json = Any  # what json.loads returns; the shape is told beside each use


class Dataclass(Protocol):
    """Any value of a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


def fields_of(value: Dataclass) -> dict[str, Any]:
    """The fields of a value by name, as they are: `dataclasses.asdict` would copy all that is in them."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


class TrialState(StrEnum):
    """Where a trial stands."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    PRUNED = "pruned"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the trial."""
        return self in (TrialState.COMPLETED, TrialState.PRUNED, TrialState.FAILED)


class TrialKind(StrEnum):
    """Why a trial was run. Only start-up and search trials count against the budget."""

    BASELINE = "baseline"
    STARTUP = "startup"
    SEARCH = "search"
    DUPLICATE = "duplicate"  # an equal proposal, answered from the store


class FailureReason(StrEnum):
    """Why a trial did not complete."""

    NON_FINITE = "non_finite"
    OUT_OF_MEMORY = "out_of_memory"
    TIMEOUT = "timeout"
    EXCEPTION = "exception"
    EXITED = "exited"
    KILLED = "killed"
    CRASHED = "crashed"
    INTERRUPTED = "interrupted"  # of an attempt: the coordinator or the machine went away
    STOPPED = "stopped"  # of an attempt: the user or the run itself stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRecord:
    """One epoch of one trial on one fold."""

    trial: int
    attempt: int
    repeat: int  # 0 while searching; 1 and up in confirmations
    fold: int
    epoch: int
    train_loss: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a configuration costs, and which part of it is trained; measured by the worker that ran it."""

    unfrozen: int
    stages: int
    cut: str  # the last frozen layer's name, or "input" where the whole network is trained
    parameters: int
    trained_parameters: int
    macs: int  # of one picture, the head included
    trained_macs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One trial, as far as it has come.

    Args:
        number: Kept for life; 0-based.
        kind: Why it was run.
        name: A baseline's name, else "".
        state: Where it stands.
        params: What the sampler chose, by the names that Optuna knows ("mlp.hidden").
        recipe: What was trained, complete: the JSON of `training.recipe.Recipe`.
        score: The metric over all out-of-fold predictions, greater is better (a log loss is negated); None
            unless completed.
        fold_scores: In fold order, as many as were trained.
        rung_score: With one part: the score at half of the trial's own schedule.
        reason: Why it failed.
        detail: One line about the failure, or why it was pruned.
        duplicate_of: The trial whose result was told again.
        facts: Cost and frozen part, once a worker has seen them.
        seconds: Training and scoring.
        probe_seconds: What the shared probe cost, told apart.
        attempts: How many times it was dispatched.
    """

    number: int
    kind: TrialKind
    state: TrialState
    params: Mapping[str, ParamValue]
    recipe: Mapping[str, Json]
    name: str = ""
    score: float | None = None
    fold_scores: tuple[float, ...] = ()
    rung_score: float | None = None
    reason: FailureReason | None = None
    detail: str = ""
    duplicate_of: int | None = None
    facts: ModelFacts | None = None
    seconds: float = 0.0
    probe_seconds: float = 0.0
    attempts: int = 0

    @property
    def counted(self) -> bool:
        """Whether `budget.trials` speaks of it."""
        return self.state.ended and self.kind in (TrialKind.STARTUP, TrialKind.SEARCH)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRecord:
    """A study as the store knows it.

    Args:
        name: The study's name.
        config: The study file after all overrides, as plain JSON.
        definition: What may not change between runs, as hashes or texts, by name: "data", "metric", "seed" and so on.
        context: What was resolved when it began: classes, splits, weights sources, pixel size (JSON).
        created: UTC, ISO 8601.
    """

    name: str
    config: Mapping[str, Json]
    definition: Mapping[str, str]
    context: Mapping[str, Json]
    created: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened to a study, in order.

    Kinds: "run_started", "phase_timed", "cache", "prepared", "asked", "dispatched", "told", "attempt_ended",
    "confirmed", "final_fitted", "truth_scored", "pictured", "chosen", "run_ended", "run_stopped", "holdout_opened",
    "notice".
    """

    seq: int
    kind: str
    at: str  # UTC, ISO 8601
    data: Mapping[str, Json] = field(default_factory=dict)


def by_run(events: Iterable[Event]) -> list[list[Event]]:
    """Events in order, those of each run apart; what came before any run stands first."""
    runs: list[list[Event]] = [[]]
    for event in events:
        if event.kind == "run_started":
            runs.append([])
        runs[-1].append(event)
    return runs


def used_seconds(events: Iterable[Event]) -> float:
    """What all runs took, by the last event of each: a killed run's last moments are not known."""
    return sum(max((float(event.data.get("run_s", 0.0)) for event in run), default=0.0) for run in by_run(events))


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One dispatch of a trial.

    Args:
        trial: The trial's number.
        attempt: 1 for the first dispatch.
        job: The job that it travelled in; names the file of its result line.
        started: UTC, ISO 8601.
        ended: Likewise; None while the attempt is live.
        reason: Why it ended without completing; None while live, and where the trial completed or was pruned.
        detail: One line about that.
    """

    trial: int
    attempt: int
    job: str
    started: str
    ended: str | None = None
    reason: FailureReason | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationRecord:
    """One re-seeded scoring of a trial, with its own folds.

    Args:
        trial: The trial's number.
        repeat: 1 and up.
        score: As a trial's; None where the scoring failed.
        fold_scores: In fold order.
        seconds: Training and scoring.
        reason: Why it failed.
        detail: One line about that.
    """

    trial: int
    repeat: int
    score: float | None = None
    fold_scores: tuple[float, ...] = ()
    seconds: float = 0.0
    reason: FailureReason | None = None
    detail: str = ""
