"""What a person wants to know first, in two sentences."""

from tlsearch.records import TrialState
from tlsearch.report.text import Words, article, join, plural, trained
from tlsearch.report.values import Baseline, Best, Summary
from tlsearch.stats import Verdict

EXPECTATION = {
    "accuracy": "{score} right answers",
    "balanced_accuracy": "{score} right answers with every class counting alike",
    "macro_f1": "a macro F1 of {score}",
    "log_loss": "a log loss of {score}",
}
MOST_NAMED = 4
WHY_NOT = {
    TrialState.COMPLETED: "has no stored answers",
    TrialState.PRUNED: "was pruned",
    TrialState.FAILED: "failed",
}


def headline(summary: Summary, words: Words) -> tuple[str, str]:
    """What won and how good it is; by how much, and against what."""
    if summary.best is None:
        counts = summary.trials
        return (
            f"No trial has completed yet: {counts.failed} failed, {counts.pruned} pruned, {counts.running} running.",
            "There is nothing to choose from.",
        )
    return _what_won(summary, summary.best, words), _by_how_much(summary, summary.best, words)


def others_alike(best: Best, words: Words) -> str:
    """Which other trials could have been named as well, and why this one was; "" where there is none."""
    others = [number for number in best.alike if number != best.entry.trial]
    if not others:
        return ""
    named = f"{'trial' if len(others) == 1 else 'trials'} {join([str(n) for n in others])}"
    if len(others) > MOST_NAMED:
        named = plural(len(others), "other trial")
    if best.entry.score is None or best.estimate is None or best.entry.score >= best.estimate.naive_score:
        return f"From {named} it cannot be told apart; none of them is cheaper to run."
    own, highest = words.score(best.entry.score), words.score(best.estimate.naive_score)
    return (
        f"It scored {own} while searching, where the best score was {highest}: from {named} it cannot be told apart, "
        "and it is the cheapest of them to run."
    )


def _what_won(summary: Summary, best: Best, words: Words) -> str:
    entry = best.entry
    what = (
        f"{words.name(entry.backbone)} with {article(str(words.name(entry.head)))} {words.name(entry.head)} head and "
        f"{trained(entry.unfrozen, entry.stages)}"
    )
    expected = EXPECTATION[summary.metric].format(score=words.score(best.score))
    named = f"{_begun(best)} {what} (trial {entry.trial})"
    if best.estimate is None:
        said = f"{named}: {expected} while searching, not yet corrected for luck."
    else:
        said = f"{named}: expect {expected} on new pictures like these (95 % sure: {words.span(best.interval)})."
    return f"{said} Continue the run to choose again." if best.outdated else said


def _begun(best: Best) -> str:
    """How a sentence about the named configuration begins; one that later trials may beat is not called the winner."""
    if best.outdated:
        return f"Chosen before {plural(best.later, 'later trial')} ended:"
    return "The winner is" if best.chosen else "The best so far is"


def _by_how_much(summary: Summary, best: Best, words: Words) -> str:
    frozen = [] if summary.frozen_linear is None else [summary.frozen_linear]
    others = [one for one in (*summary.baselines, *frozen) if one.entry.trial != best.entry.trial]
    if not others:
        return "There was no baseline to compare it with."
    return f"It {join([_against(one, words) for one in others])}."


def _against(baseline: Baseline, words: Words) -> str:
    entry = baseline.entry
    name = (
        f'"{words.name(entry.name)}"' if entry.name else f"the best frozen network, linear head (trial {entry.trial})"
    )
    gain = baseline.gain
    if gain is None:
        return f"cannot be compared with {name}, which {WHY_NOT[baseline.entry.state]}"
    span = f"95 % sure: {words.gain(gain.low)} to {words.gain(gain.high)}"
    if gain.verdict is Verdict.ALIKE:
        which = ", which scored higher" if gain.value < 0 else ""
        return f"cannot be told apart from {name}{which} ({words.gain(gain.value)}; {span})"
    return f"is {gain.verdict.value} than {name} by {words.size(gain.value)} ({span})"
