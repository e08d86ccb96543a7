"""What `tlsearch diff --json` prints."""

from dataclasses import asdict

from tlsearch.records import Json
from tlsearch.report.contender import Contender
from tlsearch.report.diff import Diff


def diff_json(diff: Diff) -> dict[str, Json]:
    """One object that a program may rely on; scores are shares or negated losses: greater is better."""
    gain = diff.difference
    return {
        "metric": diff.metric,
        "a": _side_json(diff.a, diff.a_score),
        "b": _side_json(diff.b, diff.b_score),
        "difference": {"value": gain.value, "interval": [gain.low, gain.high], "verdict": gain.verdict.value},
        "scored_again": diff.again,
        "pictures": {**asdict(diff.pairing), "relabelled": list(diff.pairing.relabelled)},
        "classes": [asdict(one) for one in diff.classes],
        "a_right": [asdict(one) for one in diff.a_right],
        "b_right": [asdict(one) for one in diff.b_right],
    }


def _side_json(one: Contender, score: float) -> dict[str, Json]:
    return {
        "study": one.study,
        "trial": one.entry.trial,
        "backbone": one.entry.backbone,
        "head": one.entry.head,
        "unfrozen": one.entry.unfrozen,
        "score": score,
        "picked_from": one.picked_from,
        "outdated": one.later > 0,
    }
