"""Rounds: contenders one after another, with a control loop before and after; their raw numbers; ratios of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import machine
from peers_processes import Timed
from peers_rows import Contender, Row
from provenance import Provenance

OURS = "tlsearch"
QUALITY = "quality"


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round of a row.

    Args:
        row: Its name.
        terms: All that its time depends on, as `Row.terms` had it.
        times: By contender, in the order in which they ran.
        kept: Peers once more, with the memory settings of tlsearch's workers; in most rounds none.
        control: The control loop's seconds before and after.
        made: What was measured, on what.
        date: UTC, ISO 8601.
    """

    row: str
    terms: Mapping[str, Any]
    times: Mapping[str, Timed]
    kept: Mapping[str, Timed] = field(default_factory=dict)
    control: tuple[float, float]
    made: Provenance
    date: str

    def ratio(self, who: str) -> float:
        """How often tlsearch fits into another's time."""
        return self.times[who].seconds / self.times[OURS].seconds

    def kept_ratio(self, who: str) -> float:
        """The same where the other has the memory settings of tlsearch's workers."""
        return self.kept[who].seconds / self.times[OURS].seconds

    def searched_ratio(self, who: str) -> float:
        """The same up to the last trial's result of each: what tlsearch does afterwards, no peer does."""
        return self.times[who].last_trial_s / self.times[OURS].last_trial_s

    def unraced_ratio(self, who: str) -> float:
        """The same had tlsearch stopped no trial early."""
        ours = self.times[OURS]
        return self.times[who].seconds / (ours.seconds if ours.unraced_s is None else ours.unraced_s)


def order(contenders: Mapping[str, Contender], number: int) -> list[str]:
    """Who runs when: every second round in the opposite order."""
    return list(contenders) if number % 2 == 0 else list(contenders)[::-1]


def steady(rounds: Sequence[Round]) -> list[Round]:
    """Those in which the machine did not change from end to end.

    A ratio is of one round, whose contenders ran minutes apart: that a machine was faster on another day is no fault
    of it, and the page shows each round's control loop.
    """
    return [one for one in rounds if machine.steady(*one.control)]


def counted(rounds: Sequence[Round]) -> list[Round]:
    """The steady ones, where there are any."""
    return steady(rounds) or list(rounds)


def middle(rounds: Sequence[Round], who: str) -> float:
    """The median ratio over the rounds that count."""
    return float(median(one.ratio(who) for one in counted(rounds)))


def too_slow(rounds: Sequence[Round], recorded: Mapping[str, float]) -> list[str]:
    """Why a change may not land: what is true in two of three rounds, in words.

    Args:
        rounds: Of a quick look.
        recorded: The ratios in the committed results, by contender; none where there are none yet.
    """
    least = {who: ratio / 2 for who, ratio in recorded.items() if who in rounds[0].times}
    least["B2"] = max(1.0, least.get("B2", 0.0))
    found = []
    for who, bound in least.items():
        ratios = [one.ratio(who) for one in rounds]
        if sum(ratio < bound for ratio in ratios) * 3 >= len(ratios) * 2:
            shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
            found.append(f"{who} / tlsearch is under {bound:.2f} in two of three rounds: {shown}")
    return found


def load(file: Path) -> dict[str, Any]:
    """The raw numbers of a machine; empty where nothing was measured."""
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}


def newest(raw: Mapping[str, Any], row: str) -> Provenance | None:
    """What the last round of a row, or the last seed of the row of quality, was made with; None where there is none."""
    played = [one for one in raw.get("rounds", []) if one["row"] == row] if row != QUALITY else raw.get(QUALITY, [])
    return Provenance(**max(played, key=lambda one: str(one["date"]))["made"]) if played else None


def rounds_in(raw: Mapping[str, Any], row: Row, made: Provenance | None) -> list[Round]:
    """The rounds of a row that may be counted together: of one code on one machine, as the row is now."""
    found = [_round(one) for one in raw.get("rounds", []) if one["row"] == row.name]
    return [one for one in found if one.made == made and one.terms == row.terms]


def _round(one: Mapping[str, Any]) -> Round:
    return Round(
        row=one["row"],
        terms=one["terms"],
        times=_times(one["times"]),
        kept=_times(one["kept"]),
        control=(one["control"][0], one["control"][1]),
        made=Provenance(**one["made"]),
        date=one["date"],
    )


def _times(told: Mapping[str, Mapping[str, Any]]) -> dict[str, Timed]:
    return {who: Timed(**{**one, "curve": [(t, s) for t, s in one["curve"]]}) for who, one in told.items()}


def save(file: Path, raw: Mapping[str, Any]) -> None:
    """Write the raw numbers, whole or not at all, each round in a line of its own."""
    parts = [f"{json.dumps(key)}: {_lines(value)}" for key, value in raw.items()]
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".part")
    unfinished.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")
    unfinished.replace(file)


def _lines(value: Any) -> str:
    """JSON; a list has a line for each of what it holds."""
    if not isinstance(value, list):
        return json.dumps(value)
    return "[\n" + ",\n".join(json.dumps(each) for each in value) + "\n]" if value else "[]"


def as_json(one: Round) -> dict[str, Any]:
    """A round as its raw numbers: seconds to the millisecond, scores to four digits."""
    rounded: dict[str, Any] = _rounded(asdict(one))
    return rounded


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    return [_rounded(each) for each in value] if isinstance(value, list | tuple) else value
