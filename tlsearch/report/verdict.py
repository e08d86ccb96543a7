"""What won, by how much, and how that held up on pictures that nobody chose by."""

from collections.abc import Sequence
from math import sqrt

from tlsearch.records import Event, Json, TrialKind, TrialRecord, TrialState
from tlsearch.report.entries import entry, unfrozen
from tlsearch.report.evidence import Evidence
from tlsearch.report.values import Baseline, Best, Holdout, Truth
from tlsearch.stats import Difference, Interval, SelectionEstimate, selection_differences
from tlsearch.stats.floors import Reached

GAIN_NOISE = 1.5  # variances of a score over folds and seeds: the mean of two scores less a baseline's one


def best(evidence: Evidence) -> Best | None:
    """The chosen configuration; before a run has chosen, the best score so far; None where nothing completed."""
    event = evidence.last("chosen")
    if event is None:
        ranked = evidence.admitted() or evidence.ranked()
        if not ranked:
            return None
        so_far = entry(evidence, ranked[0])
        return Best(entry=so_far, chosen=False, reason="", alike=(), estimate=None)
    return Best(
        entry=entry(evidence, evidence_trial(evidence, int(event.data["trial"]))),
        chosen=True,
        reason=str(event.data.get("reason", "")),
        alike=tuple(int(number) for number in event.data.get("indistinguishable", ())),
        estimate=_estimate(event.data.get("estimate")),
        handicap=_handicap(event),
    )


def baselines(evidence: Evidence) -> tuple[Baseline, ...]:
    """Every baseline that ended, with what the search gained over it."""
    ended = [t for t in evidence.trials if t.kind is TrialKind.BASELINE and t.state.ended]
    return compared(evidence, ended)


def frozen_linear(evidence: Evidence) -> Baseline | None:
    """The best linear head on a fully frozen backbone; None where a baseline is one, or no trial was."""
    frozen = [t for t in evidence.ranked() if t.recipe["head"] == "linear" and unfrozen(t) == 0]
    if not frozen or any(trial.kind is TrialKind.BASELINE for trial in frozen):
        return None
    return compared(evidence, frozen[:1])[0]


def compared(evidence: Evidence, references: Sequence[TrialRecord]) -> tuple[Baseline, ...]:
    """Trials with what the named configuration gains over each, the luck of the search taken out."""
    known = [t for t in references if t.state is TrialState.COMPLETED and t.number in evidence.predictions]
    competitors = evidence.competitors() if known else []
    gains: dict[int, Difference] = {}
    if competitors:
        less, noise = _against_the_bootstrapped(evidence.last("chosen"))
        found = selection_differences(
            competitors,
            [evidence.predictions[trial.number] for trial in known],
            evidence.labels,
            evidence.metric,
            noise=noise,
            groups=evidence.groups,
        )
        gains = {trial.number: gain.lowered(less) for trial, gain in zip(known, found, strict=True)}
    return tuple(Baseline(entry=entry(evidence, trial), gain=gains.get(trial.number)) for trial in references)


def floors(evidence: Evidence) -> tuple[Reached, ...]:
    """What the chosen configuration reached of each floor; empty without floors, or before a run has chosen."""
    event = evidence.last("chosen")
    told = () if event is None else event.data.get("floors", ())
    return tuple(Reached(**{key: value for key, value in one.items() if key != "holds"}) for one in told)


def truth(evidence: Evidence) -> Truth | None:
    """The present final model on fresh drawings, where it was scored on them."""
    scored = _of_the_chosen(evidence, "truth_scored")
    if not scored:
        return None
    event = scored[-1]
    return Truth(
        n=int(event.data["n"]),
        score=float(event.data["score"]),
        accuracy=float(event.data["accuracy"]),
        interval=_interval(event),
    )


def holdout(evidence: Evidence) -> Holdout | None:
    """What the holdout said of the model that is now the final one; None while it is closed for it."""
    opened = _of_the_chosen(evidence, "holdout_opened")
    if not opened:
        return None
    event = opened[-1]
    return Holdout(
        n=int(event.data["n"]),
        accuracy=float(event.data["accuracy"]),
        score=float(event.data["score"]),
        interval=_interval(event),
        opened=event.at,
    )


def holdout_seen(evidence: Evidence) -> bool:
    """Whether the holdout had been opened before the search went on or chose again."""
    opened = evidence.all("holdout_opened")
    later = [event for kind in ("told", "chosen") if (event := evidence.last(kind)) is not None]
    return bool(opened) and any(event.seq > opened[0].seq for event in later)


def evidence_trial(evidence: Evidence, number: int) -> TrialRecord:
    """The trial of a number; raises KeyError where the store and its events contradict each other."""
    for trial in evidence.trials:
        if trial.number == number:
            return trial
    raise KeyError(f"trial {number} was chosen, and the store has no such trial")


def _of_the_chosen(evidence: Evidence, kind: str) -> list[Event]:
    """Events about the trial that is chosen now; those about an earlier winner's model are left out."""
    chosen = evidence.last("chosen")
    now = None if chosen is None else chosen.data["trial"]
    return [event for event in evidence.all(kind) if event.data.get("trial", now) == now]


def _handicap(chosen: Event | None) -> float:
    return 0.0 if chosen is None else float(chosen.data.get("handicap", 0.0))


def _against_the_bootstrapped(chosen: Event | None) -> tuple[float, float]:
    """How far the named configuration lies below a bootstrapped winner, and what folds and seeds add to a gain."""
    estimate = None if chosen is None else _estimate(chosen.data.get("estimate"))
    if estimate is None:
        return 0.0, 0.0
    below = estimate.bootstrapped - estimate.score + _handicap(chosen)
    return below, estimate.noise * sqrt(GAIN_NOISE)


def _estimate(data: Json) -> SelectionEstimate | None:
    return None if data is None else SelectionEstimate(**data)


def _interval(event: Event) -> Interval:
    return Interval(low=float(event.data["low"]), high=float(event.data["high"]))
