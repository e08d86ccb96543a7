"""What `tlsearch report --json` prints."""

import math
from dataclasses import asdict

from tlsearch.records import Json
from tlsearch.report.values import Best, Entry, Holdout, Summary, Truth
from tlsearch.stats import Difference, Interval


def to_json(summary: Summary) -> dict[str, Json]:
    """One object that a program may rely on; scores are shares or negated losses: greater is better."""
    best = summary.best
    return {
        "study": summary.study,
        "metric": summary.metric,
        "trials": {
            "counted": summary.trials.counted,
            "completed": summary.trials.completed,
            "pruned": summary.trials.pruned,
            "failed": summary.trials.failed,
            "running": summary.trials.running,
        },
        "backbones": list(summary.completed_backbones),
        "best": None if best is None else _best_json(best),
        "baselines": [
            {
                "name": one.entry.name,
                **_entry_json(one.entry, one.entry.score, one.entry.interval),
                "gain": _gain_json(one.gain),
            }
            for one in summary.baselines
        ],
        "floors": [{**asdict(one), "holds": one.holds} for one in summary.floors],
        "truth": _fresh_json(summary.truth),
        "holdout": _fresh_json(summary.holdout),
        "holdout_seen": summary.holdout_seen,
        "calibration": None if summary.calibration is None else summary.calibration.to_json(),
        "findings": dict(summary.data.findings),
        "data_check": None if summary.check is None else summary.check.to_json(),
        "seconds": dict(summary.seconds),
    }


def _best_json(best: Best) -> dict[str, Json]:
    return {
        **_entry_json(best.entry, best.score, best.interval),
        "chosen": best.chosen,
        "outdated": best.outdated,
        "alike": list(best.alike),
        "optimism": None if best.estimate is None else _number(best.estimate.optimism),
    }


def _entry_json(shown: Entry, score: float | None, interval: Interval | None) -> dict[str, Json]:
    return {
        "trial": shown.trial,
        "backbone": shown.backbone,
        "weights": shown.weights,
        "head": shown.head,
        "freeze_depth": shown.freeze_depth,
        "unfrozen": shown.unfrozen,
        "params": dict(shown.params),
        "score": _number(score),
        "interval": _interval_json(interval),
    }


def _gain_json(gain: Difference | None) -> dict[str, Json] | None:
    if gain is None:
        return None
    ends = Interval(low=gain.low, high=gain.high)
    return {"value": _number(gain.value), "interval": _interval_json(ends), "verdict": gain.verdict.value}


def _fresh_json(scored: Truth | Holdout | None) -> dict[str, Json] | None:
    """The final model on pictures that nobody chose by."""
    if scored is None:
        return None
    return {
        "n": scored.n,
        "accuracy": _number(scored.accuracy),
        "score": _number(scored.score),
        "interval": _interval_json(scored.interval),
    }


def _interval_json(interval: Interval | None) -> list[float | None] | None:
    return None if interval is None else [_number(interval.low), _number(interval.high)]


def _number(value: float | None) -> float | None:
    # JSON knows no NaN and no infinity
    return None if value is None or not math.isfinite(value) else value
