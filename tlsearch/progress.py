"""How far a run has come, as plain values: what the runner tells and a live view shows."""

from dataclasses import dataclass

from tlsearch.records import TrialState


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningTrial:
    """A trial in work.

    Args:
        number: Of the trial.
        what: Its configuration in a few words, such as "mobilenet_v2, mlp, 2 stages trained".
        seconds: Since it was dispatched.
    """

    number: int
    what: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedTrial:
    """A trial that ended in this run.

    Args:
        number: Of the trial.
        state: How it ended.
        what: As in RunningTrial.
        score: Greater is better; None unless completed.
        seconds: Training and scoring.
        note: What else is to be said: a baseline's name, a duplicate, why it failed; else "".
    """

    number: int
    state: TrialState
    what: str
    score: float | None = None
    seconds: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveState:
    """A run at one moment.

    Args:
        phase: Such as "data", "features", "search", "confirmation", "final fit".
        metric: What scores mean.
        trials_done: Counted trials, over all runs.
        trials_budget: What `budget.trials` allows.
        seconds_used: Over all runs.
        seconds_budget: What `budget.time` allows; None without a limit.
        best: The trial with the best score so far; None before the first has completed.
        running: Trials in work.
        activity: What a worker is doing, such as "mobilenet_v2: 240 of 480 pictures"; "" where nothing is told.
        activity_done: Of `activity_total`.
        activity_total: 0 where it is not known.
        trials_per_minute: Of this run; None before the first has ended.
        cache_hits: Reads answered from the feature cache.
        cache_misses: Reads that had to be computed.
        pruned: Of the counted trials.
        failed: Likewise.
        ended: Every trial that ended in this run, or at least the newest 100 of them, oldest first.
    """

    phase: str
    metric: str
    trials_done: int
    trials_budget: int
    seconds_used: float
    seconds_budget: float | None = None
    best: EndedTrial | None = None
    running: tuple[RunningTrial, ...] = ()
    activity: str = ""
    activity_done: int = 0
    activity_total: int = 0
    trials_per_minute: float | None = None
    cache_hits: int = 0
    cache_misses: int = 0
    pruned: int = 0
    failed: int = 0
    ended: tuple[EndedTrial, ...] = ()
