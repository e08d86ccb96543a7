"""What won, by how much, and how that held up on pictures that nobody chose by."""

from tlsearch.records import Event, Json, TrialKind, TrialRecord
from tlsearch.report.entries import entry
from tlsearch.report.evidence import Evidence
from tlsearch.report.values import Best, Holdout, Truth
from tlsearch.stats import Interval, SelectionEstimate
from tlsearch.stats.floors import Reached


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
        later=len(evidence.later()),
    )


def floors(evidence: Evidence) -> tuple[Reached, ...]:
    """What the chosen configuration reached of each floor; empty without floors, or before a run has chosen."""
    event = evidence.last("chosen")
    told = () if event is None else event.data.get("floors", ())
    return tuple(Reached.from_json(one) for one in told)


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
    """Whether the holdout had been opened before the search went on, or another model was chosen."""
    opened = evidence.all("holdout_opened")
    if not opened:
        return False
    baselines = {trial.number for trial in evidence.trials if trial.kind is TrialKind.BASELINE}
    told = [event for event in evidence.all("told") if event.data["trial"] not in baselines]
    chosen = evidence.all("chosen")
    of_opened = [_model(event) for event in chosen if event.seq < opened[0].seq][-1:]
    others = [event for event in chosen if _model(event) not in of_opened]
    return any(event.seq > opened[0].seq for event in (*told, *others))


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


def _model(chosen: Event) -> tuple[int, float]:
    """What decides a final model: the trial, and the temperature that its logits are divided by."""
    calibration = chosen.data.get("calibration") or {}
    return int(chosen.data["trial"]), float(calibration.get("temperature", 1.0))


def _handicap(chosen: Event | None) -> float:
    return 0.0 if chosen is None else float(chosen.data.get("handicap", 0.0))


def _estimate(data: Json) -> SelectionEstimate | None:
    return None if data is None else SelectionEstimate(**data)


def _interval(event: Event) -> Interval:
    return Interval(low=float(event.data["low"]), high=float(event.data["high"]))
