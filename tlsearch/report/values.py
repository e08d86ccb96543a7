"""The numbers of a report, as plain frozen values: all that a terminal, a page or a program may show of a study."""

from collections.abc import Mapping
from dataclasses import dataclass

from tlsearch.records import Json, TrialState
from tlsearch.report.data_check import DataCheck
from tlsearch.report.lessons import Answers, BackboneSummary, CacheSummary, DepthResponse, Failure, Importance
from tlsearch.space import ParamValue
from tlsearch.stats import Calibration, Difference, Interval, SelectionEstimate
from tlsearch.stats.floors import Reached


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSummary:
    """What was searched on.

    Args:
        classes: Names in label order.
        development: Pictures used to choose.
        holdout: Pictures kept back.
        folds: Parts of the development pictures; 1: one part of them scores every trial.
        notes: Sentences that every report of these data must show.
        findings: What checking the pictures found, by name.
        skew: What was decided for the user since the classes are of unequal size; "" where nothing was.
        grouped: How many groups they come in, in a sentence; "" where none is named.
    """

    classes: tuple[str, ...]
    development: int
    holdout: int
    folds: int
    notes: tuple[str, ...]
    findings: Mapping[str, Json]
    skew: str = ""
    grouped: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialCounts:
    """How the trials ended. Baselines and duplicates stand apart: counted = completed + pruned + failed."""

    counted: int
    completed: int
    pruned: int
    failed: int
    running: int
    duplicates: int
    baselines: int
    budget: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One trial as reports name it.

    Args:
        trial: Its number.
        name: A baseline's name, else "".
        state: How it ended.
        backbone: As the study lists it.
        weights: The weights source's name.
        head: The head's name.
        unfrozen: Stages that are trained, counted from the head; None: all, before a worker has counted them.
        stages: Of the backbone; None before a worker has seen it.
        epochs: Of the whole schedule.
        learning_rate: Of the head, in the last phase.
        params: What the sampler chose; of a baseline, its recipe's own values.
        score: Plain, over all out-of-fold predictions; None unless completed.
        interval: Of that score, without any correction; None where no predictions are stored.
        confirmed: Scores with other folds and seeds, in order of repeats.
        parameters: Of backbone and head; None before a worker has counted them.
        trained_parameters: The share of them that was trained, likewise.
        macs: Multiply-accumulates for one picture, likewise.
        seconds: Training and scoring.
        detail: Why it did not complete.
    """

    trial: int
    name: str
    state: TrialState
    backbone: str
    weights: str
    head: str
    unfrozen: int | None
    stages: int | None
    epochs: int
    learning_rate: float
    params: Mapping[str, ParamValue | Json]
    score: float | None
    interval: Interval | None
    confirmed: tuple[float, ...]
    parameters: int | None
    trained_parameters: int | None
    macs: int | None
    seconds: float
    detail: str

    @property
    def freeze_depth(self) -> int | None:
        """How many stages, counted from the input, are frozen."""
        if self.stages is None or self.unfrozen is None:
            return None
        return self.stages - self.unfrozen


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The configuration that is named best.

    Args:
        entry: The trial.
        chosen: Whether the run came to choosing; else it is only the best so far.
        reason: Why it was chosen.
        alike: Trials that cannot be told apart from the best score, itself included.
        estimate: What to expect of the best score on new pictures, corrected for the selection.
        handicap: How much less than that is expected of this one, which need not have had the best score; negative
            where it is more.
        later: How many trials ended after it was chosen, one of which may be better: the run has yet to choose again.
    """

    entry: Entry
    chosen: bool
    reason: str
    alike: tuple[int, ...]
    estimate: SelectionEstimate | None
    handicap: float = 0.0
    later: int = 0

    @property
    def outdated(self) -> bool:
        """Whether trials ended after it was chosen."""
        return self.later > 0

    @property
    def score(self) -> float | None:
        """What to expect: corrected where that was computed, less the handicap; else plain."""
        return self.entry.score if self.estimate is None else self.estimate.lowered(self.handicap)[0]

    @property
    def interval(self) -> Interval | None:
        """Of `score`."""
        return self.entry.interval if self.estimate is None else self.estimate.lowered(self.handicap)[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A recipe to beat.

    Args:
        entry: Its trial.
        gain: By how much the named configuration exceeds it, the luck of the search taken out; None where one of
            them has no predictions.
    """

    entry: Entry
    gain: Difference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """The final model on freshly drawn pictures: what it is really worth, where pictures can be drawn."""

    n: int
    score: float
    accuracy: float
    interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """The final model on the pictures that were kept back.

    Args:
        n: Pictures.
        accuracy: Share of right answers.
        score: The study's metric.
        interval: Of the score; covers other pictures like these.
        opened: When, UTC, ISO 8601.
    """

    n: int
    accuracy: float
    score: float
    interval: Interval
    opened: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A study in numbers.

    Args:
        study: Its name.
        metric: What "score" means; greater is better, a log loss is negated.
        data: What was searched on.
        trials: How the trials ended.
        backbones: Networks, best first; those without a completed trial last.
        completed_backbones: Names of those with a completed trial, baselines counting.
        left_out: Backbones that the study lists and the run could not use: name and why.
        best: None where nothing completed.
        floors: What the named configuration reached of each floor; empty without floors, or before one is named.
        baselines: In the order of their trials.
        frozen_linear: The best linear head on a fully frozen backbone, where no baseline is one.
        truth: None where no fresh pictures can be drawn, or the final model is not there yet.
        holdout: None while it is closed.
        holdout_seen: Whether the holdout had been opened before the search went on or chose again.
        leaderboard: Ranked trials, best first, baselines among them.
        importance: None before the run has ended.
        depths: By number of trained stages.
        answers: None without stored predictions of the best.
        calibration: Of the best's probabilities; None before a choice, or where there was too little to tell by.
        check: What probes said of labels and of the amount of data; None where nothing was checked.
        seconds: By phase, in the order in which phases began.
        cache: None where nothing was told of it.
        failures: Most frequent first.
    """

    study: str
    metric: str
    data: DataSummary
    trials: TrialCounts
    backbones: tuple[BackboneSummary, ...]
    completed_backbones: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    best: Best | None
    floors: tuple[Reached, ...]
    baselines: tuple[Baseline, ...]
    frozen_linear: Baseline | None
    truth: Truth | None
    holdout: Holdout | None
    holdout_seen: bool
    leaderboard: tuple[Entry, ...]
    importance: Importance | None
    depths: tuple[DepthResponse, ...]
    answers: Answers | None
    calibration: Calibration | None
    check: DataCheck | None
    seconds: Mapping[str, float]
    cache: CacheSummary | None
    failures: tuple[Failure, ...]
