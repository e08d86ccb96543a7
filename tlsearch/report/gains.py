"""What the search gained over the recipes that it was to beat."""

from collections.abc import Sequence

from tlsearch.records import TrialKind, TrialRecord, TrialState
from tlsearch.report.entries import entry, unfrozen
from tlsearch.report.evidence import Evidence
from tlsearch.report.values import Baseline, Best
from tlsearch.stats import Difference, difference, selection_differences
from tlsearch.stats.floors import floors_of
from tlsearch.training.recipe import LINEAR

TWICE, ONCE = 1.0, 2.0  # variances of a score over folds and seeds in a gain: of two means of two scores, of two scores


def baselines(evidence: Evidence, best: Best | None) -> tuple[Baseline, ...]:
    """Every baseline that ended, with what the search gained over it."""
    ended = [t for t in evidence.trials if t.kind is TrialKind.BASELINE and t.state.ended]
    return _compared(evidence, best, ended)


def frozen_linear(evidence: Evidence, best: Best | None) -> Baseline | None:
    """The best linear head on a fully frozen backbone.

    None where a baseline is one, where no trial was, and where it is itself the named configuration.
    """
    frozen = [t for t in evidence.ranked() if t.recipe["head"] == LINEAR and unfrozen(t) == 0]
    if not frozen or any(trial.kind is TrialKind.BASELINE for trial in frozen):
        return None
    if best is not None and best.entry.trial == frozen[0].number:
        return None
    return _compared(evidence, best, frozen[:1])[0]


def _compared(evidence: Evidence, best: Best | None, references: Sequence[TrialRecord]) -> tuple[Baseline, ...]:
    """Trials with what the named configuration gains over each, the luck of the search taken out."""
    gains = _gains(evidence, best, references)
    return tuple(Baseline(entry=entry(evidence, trial), gain=gains.get(trial.number)) for trial in references)


def _gains(evidence: Evidence, best: Best | None, references: Sequence[TrialRecord]) -> dict[int, Difference]:
    """By number of each reference whose answers are known."""
    known = [t for t in references if t.state is TrialState.COMPLETED and t.number in evidence.predictions]
    competed = evidence.competitors() if known else []
    if not competed:
        return {}
    found = selection_differences(
        competed,
        [evidence.predictions[trial.number] for trial in known],
        evidence.labels,
        evidence.metric,
        floors=floors_of(evidence.study.config.get("constraints", {}), evidence.study.context["classes"]),
        groups=evidence.groups,
    )
    if best is None or best.estimate is None:
        return {trial.number: gain for trial, gain in zip(known, found, strict=True)}
    return {trial.number: _of_the_named(evidence, best, trial, gain) for trial, gain in zip(known, found, strict=True)}


def _of_the_named(evidence: Evidence, best: Best, reference: TrialRecord, gain: Difference) -> Difference:
    """From the gain of the bootstrapped winner to that of the named configuration, with what folds and seeds add.

    Where both were scored again, the difference of those scores is a second measurement: each partition's own luck is
    on both sides of it, whether it holds the same pictures (folds) or others (one part). The interval is no narrower
    than that of the named one and the reference themselves: the winner may answer more like the reference than it does.
    """
    assert best.estimate is not None, "only a choice names a configuration"
    assert best.entry.score is not None, "a chosen trial has a score"
    bootstrapped = best.estimate.bootstrapped
    first = gain.value - (bootstrapped - min(bootstrapped, best.entry.score))
    mine, other = (evidence.predictions[number] for number in (best.entry.trial, reference.number))
    gain = gain.no_narrower(
        difference(mine, other, evidence.labels, evidence.metric, groups=evidence.groups, repeats=1000)
    )
    again, of_reference = (_again(evidence, number) for number in (best.entry.trial, reference.number))
    if again is None or of_reference is None:
        found = gain.moved(first).with_noise(best.estimate.noise * ONCE**0.5)
    else:
        found = gain.moved((first + again - of_reference) / 2).with_noise(best.estimate.noise * TWICE**0.5)
    return found.within_ends(evidence.metric)


def _again(evidence: Evidence, trial: int) -> float | None:
    return next((c.score for c in evidence.confirmations if c.trial == trial and c.score is not None), None)
