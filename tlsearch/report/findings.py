"""What the search taught: networks, freeze depth, parameters, classes, mistakes, and where the time went."""

import json
from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np

from tlsearch.records import Event, Json, TrialRecord, by_run, used_seconds
from tlsearch.report.cells import worst_mistakes
from tlsearch.report.data_check import DataCheck
from tlsearch.report.entries import unfrozen
from tlsearch.report.evidence import Evidence
from tlsearch.report.lessons import (
    Answers,
    BackboneSummary,
    Branch,
    CacheSummary,
    DepthResponse,
    Importance,
    Mistake,
)
from tlsearch.stats import confusion_matrix, per_class

MISTAKES = 10
PARTS_OF_ONE_FOLD = 5  # with one part, 20 % of the development pictures are scored
UNFINISHED = "interrupted or in work"
NOTICED_S = 1.0  # of a run lie between its phases


def backbones(evidence: Evidence) -> tuple[BackboneSummary, ...]:
    """Networks, best first; the same network with the same weights in two frameworks is one."""
    families: dict[str, list[str]] = {}
    for name, facts in evidence.backbones.items():
        families.setdefault(_identity(name, facts), []).append(name)
    found = [_backbone(evidence, tuple(names)) for names in families.values()]
    return tuple(sorted(found, key=lambda one: -np.inf if one.best is None else one.best, reverse=True))


def importance(evidence: Evidence) -> Importance | None:
    """What `run` computed at its end."""
    if "importance" not in evidence.files:
        return None
    data = json.loads(evidence.files["importance"])
    return Importance(
        shares=_largest_first(data["shared"]),
        branches=tuple(
            Branch(where=where, trials=int(branch["n"]), shares=_largest_first(branch["shares"]))
            for where, branch in data["branches"].items()
        ),
        withheld=data["withheld"] or "",
    )


def check(evidence: Evidence) -> DataCheck | None:
    """What probes said of the data before the search."""
    return DataCheck.from_json(json.loads(evidence.files["data_check"])) if "data_check" in evidence.files else None


def depths(evidence: Evidence) -> tuple[DepthResponse, ...]:
    """Scores by the number of trained stages, over the searched trials that completed."""
    by_depth: dict[int, list[float]] = {}
    for trial in evidence.searched():
        depth = unfrozen(trial)
        if depth is not None and trial.score is not None:
            by_depth.setdefault(depth, []).append(trial.score)
    return tuple(
        DepthResponse(unfrozen=depth, trials=len(scores), best=max(scores), median=median(scores))
        for depth, scores in sorted(by_depth.items())
    )


def answers(evidence: Evidence, trial: int) -> Answers | None:
    """How a trial answers, class by class, with the surest of its mistakes; None without its predictions."""
    if trial not in evidence.predictions:
        return None
    log_probs, labels = evidence.predictions[trial], evidence.labels
    matrix = confusion_matrix(log_probs, labels)
    return Answers(
        confusion=tuple(tuple(int(count) for count in row) for row in matrix),
        per_class=per_class(log_probs, labels),
        mistakes=_mistakes(evidence, trial),
        wrong=int(matrix.sum() - np.trace(matrix)),
    )


def seconds(evidence: Evidence) -> Mapping[str, float]:
    """By phase, over all runs; what a run took beyond the phases that it noted stands last."""
    spent: dict[str, float] = {}
    for event in evidence.all("phase_timed"):
        phase = str(event.data["phase"])
        spent[phase] = spent.get(phase, 0.0) + float(event.data["seconds"])
    unfinished = sum(_unfinished(run) for run in by_run(evidence.events))
    return {**spent, UNFINISHED: unfinished} if unfinished >= NOTICED_S else spent


def cache(evidence: Evidence) -> CacheSummary | None:
    """What the feature cache did, over all runs."""
    told = [event.data for event in evidence.all("cache")]
    if not told:
        return None
    return CacheSummary(
        hits=sum(int(data["hits"]) for data in told),
        misses=sum(int(data["misses"]) for data in told),
        pictures=sum(int(data["images"]) for data in told),
        seconds=sum(float(data["seconds"]) for data in told),
        pictures_without=_passes(evidence),
    )


def _unfinished(run: Sequence[Event]) -> float:
    """What a run took whose last phase nobody timed: it was killed, or is still at it."""
    if any(event.kind == "run_ended" for event in run):
        return 0.0
    noted = sum(float(event.data["seconds"]) for event in run if event.kind == "phase_timed")
    return max(0.0, used_seconds(run) - noted)


def _identity(name: str, facts: Mapping[str, Json]) -> str:
    if facts.get("source") == "random" or not facts.get("digest"):
        return name  # random networks share nothing but their seed
    rules = json.dumps(facts.get("preprocessing"), sort_keys=True)
    return f"{facts['digest']} {facts.get('image_px')} {rules}"


def _backbone(evidence: Evidence, names: tuple[str, ...]) -> BackboneSummary:
    facts = evidence.backbones[names[0]]
    completed = [trial for trial in evidence.searched() if trial.recipe["backbone"] in names]
    scores = [trial.score for trial in completed if trial.score is not None]
    return BackboneSummary(
        names=names,
        frameworks=tuple(str(evidence.backbones[name].get("framework", "")) for name in names),
        weights=str(facts.get("source", "")),
        trained_on=str(facts.get("trained_on", "")),
        license=str(facts.get("license", "")),
        image_px=int(facts.get("image_px") or 0),
        completed=len(completed),
        fine_tuned=sum(unfrozen(trial) != 0 for trial in completed),
        best=max(scores, default=None),
        median=median(scores) if scores else None,
    )


def _mistakes(evidence: Evidence, trial: int) -> tuple[Mistake, ...]:
    log_probs, labels = evidence.predictions[trial], evidence.labels
    classes, files = evidence.study.context["classes"], evidence.study.context["files"]
    answers = np.nan_to_num(log_probs, nan=-np.inf).argmax(axis=1)
    return tuple(
        Mistake(
            file=str(files[place]),
            truth=str(classes[labels[place]]),
            predicted=str(classes[answers[place]]),
            probability=float(np.exp(log_probs[place, answers[place]])),
        )
        for place in worst_mistakes(log_probs, labels, MISTAKES)
    )


def _passes(evidence: Evidence) -> int:
    """Pictures that plain loops would send through frozen parts: each epoch's training part, then the rest."""
    n, folds = evidence.labels.size, int(evidence.study.context.get("folds", 1))
    held_out = n / (folds if folds > 1 else PARTS_OF_ONE_FOLD)
    return sum(
        round(len(trial.fold_scores) * (_epochs(trial) * (n - held_out) + held_out))
        for trial in evidence.trials
        if trial.facts is None or trial.facts.cut != "input"
    )


def _epochs(trial: TrialRecord) -> int:
    return sum(int(phase["epochs"]) for phase in trial.recipe["phases"])


def _largest_first(shares: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(((name, float(share)) for name, share in shares.items()), key=lambda pair: -pair[1]))
