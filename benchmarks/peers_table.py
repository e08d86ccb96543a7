"""The page of results: one table of targets, one table a row with its rounds, the row of quality, phases of time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import machine
from peers_quality import best_peer, differences
from peers_rounds import OURS, Round, counted, middle, rounds_in
from peers_rows import ROWS, WHO, Contender, Row

NOT_WORSE, BETTER = -0.5, 0.0  # points of accuracy
LESS_IS_BETTER = ("s", "ms", "MB", "%", "trials", "times as long", "times as much")  # units of other benchmarks


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row of the table of targets; other benchmarks write theirs with `--json`, under these names.

    Args:
        row: What was measured.
        target: What is promised, in words.
        stretch: What is hoped for, in words.
        measured: The figure, or words.
        unit: Of the figure.
        reached: "target", "stretch", "no", or "" where the figure alone does not say.
    """

    row: str
    target: str
    stretch: str
    measured: str
    unit: str = ""
    reached: str = ""


def page(raw: Mapping[str, Any]) -> str:
    """The whole page as Markdown."""
    parts = [
        "# tlsearch beside its peers",
        f"{machine.machine()}; {machine.versions('tlsearch', 'torch', 'optuna', 'keras', 'keras-tuner', 'numpy')}.",
        "`python benchmarks/peers.py`; what is in each time stands at the top of that file and of the contenders'.\n"
        "Ratios are medians over steady rounds: how often tlsearch's time fits into the other's.",
        "\n".join(f"- **{who}**: {what}" for who, what in WHO.items()),
        "![Best score against time](" + machine.file_name() + ".svg)",
        table_of_targets([*lines(raw), *gathered(raw)]),
        *(section(row, rounds) for row in ROWS if (rounds := rounds_in(raw, row.name))),
        *([quality(raw["quality"])] if len(raw.get("quality", [])) > 1 else []),
    ]
    return "\n\n".join(parts) + "\n"


def lines(raw: Mapping[str, Any]) -> Iterator[Line]:
    """The targets of this benchmark's own rows."""
    for row in ROWS:
        rounds = rounds_in(raw, row.name)
        for who, how in row.contenders.items():
            if rounds and who != OURS:
                yield target_line(row, who, how, middle(rounds, who))
    if len(raw.get("quality", [])) > 1:
        peer = best_peer(raw["quality"])
        value, low, high = differences(raw["quality"])[peer]
        yield Line(
            row=f"score of the chosen configuration, against {peer}",
            target=f"not worse by {-NOT_WORSE:g} points",
            stretch="better",
            measured=f"{value:+.2f} (95 %: {low:+.2f} to {high:+.2f})",
            unit="points",
            reached=reached(value, NOT_WORSE, BETTER),
        )


def target_line(row: Row, who: str, how: Contender, ratio: float) -> Line:
    """One peer of one row."""
    return Line(
        row=f"{row.title}, against {who}",
        target="" if how.target is None else f"{how.target:g}",
        stretch="" if how.stretch is None else f"{how.stretch:g}",
        measured=figure(ratio),
        unit="times",
        reached="" if how.target is None else reached(ratio, how.target, how.stretch),
    )


def reached(value: float, target: float, stretch: float | None) -> str:
    """Which of two goals a figure has reached."""
    if stretch is not None and value >= stretch:
        return "stretch"
    return "target" if value >= target else "no"


def gathered(raw: Mapping[str, Any]) -> Iterator[Line]:
    """The rows that other benchmarks measured."""
    for one in raw.get("gathered", []):
        words = {key: "" if value is None else shown(value) for key, value in one.items()}
        known = {key: words.get(key, "") for key in ("row", "target", "stretch", "measured", "unit")}
        yield Line(**known, reached=reached_elsewhere(one))


def reached_elsewhere(one: Mapping[str, Any]) -> str:
    """Which goal a row of another benchmark has reached; "" where units don't say whether more is better."""
    unit, value, target, stretch = (one.get(key) for key in ("unit", "measured", "target", "stretch"))
    if not isinstance(value, float | int) or not isinstance(target, float | int):
        return ""
    if unit in LESS_IS_BETTER:
        return reached(-value, -target, None if stretch is None else -stretch)
    return reached(value, target, stretch) if str(unit).startswith("times") else ""


def shown(value: Any) -> str:
    """A figure of another benchmark, in words."""
    return figure(value) if isinstance(value, float) else str(value)


def figure(value: float) -> str:
    """Three digits of a figure."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table_of_targets(found: Sequence[Line]) -> str:
    """What is promised, and what was measured."""
    rows = [
        f"| {one.row} | {one.target} | {one.stretch} | {one.measured} | {one.unit} | {one.reached} |" for one in found
    ]
    return "\n".join(["| | target | stretch | measured | unit | reached |", "|---|---|---|---|---|---|", *rows])


def section(row: Row, rounds: Sequence[Round]) -> str:
    """A row's rounds, and where tlsearch's time went."""
    names = [who for who in WHO if who in row.contenders]
    heads = [f"{who}, s" for who in names] + [f"{who} / tlsearch" for who in names if who != OURS]
    heads += ["best score: " + ", ".join(names), "control loop, s"]
    table = [f"| round | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    table += [round_line(row, one, number) for number, one in enumerate(rounds, start=1)]
    return "\n\n".join([f"## {row.title}", row.setting + ".", "\n".join(table), *remarks(row, rounds)])


def round_line(row: Row, one: Round, number: int = 1) -> str:
    """One round as a line of its table."""
    names = [who for who in WHO if who in one.times]
    cells = [str(number)]
    cells += [f"{one.times[who].seconds:.1f}{part_measured(one, row, who)}" for who in names]
    cells += [figure(one.ratio(who)) for who in names if who != OURS]
    cells.append(", ".join(f"{one.times[who].best:.3f}" for who in names))
    cells.append(f"{one.control[0]:.2f}, {one.control[1]:.2f}" + ("" if one.steady else ": **not steady**"))
    return f"| {' | '.join(cells)} |"


def part_measured(one: Round, row: Row, who: str) -> str:
    """How much of a multiplied time was measured."""
    how = row.contenders[who]
    return f" ({one.times[who].measured:.1f} measured)" if how.trials or how.epochs else ""


def remarks(row: Row, rounds: Sequence[Round]) -> Iterator[str]:
    """What was multiplied, what a trial takes, when the last result was there, and the phases of a run."""
    told = []
    for who, how in row.contenders.items():
        if how.trials or how.epochs:
            ran = f"{how.trials or row.trials} of {row.trials} trials"
            ran += f", {how.epochs} of {row.epochs} epochs each" if how.epochs else ""
            told.append(f"{who} ran {ran}; the rest is multiplied")
    each = {who: median(one.times[who].trial_s for one in counted(rounds)) for who in row.contenders}
    told.append("A trial takes " + ", ".join(f"{who} {figure(seconds)} s" for who, seconds in each.items()))
    ours = [one.times[OURS] for one in counted(rounds)]
    told.append(f"tlsearch has its last trial's result after {median(one.last_trial_s for one in ours):.1f} s")
    if any(one.pruned for one in ours):
        told.append(f"It stopped {median(one.pruned for one in ours):g} of the trials that it ran early")
    yield sentences(told)
    phases = {name: median(one.phases.get(name, 0.0) for one in ours) for name in ours[0].phases}
    yield "Of tlsearch's time: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in phases.items()) + "."
    commits = sorted({one.commit for one in rounds})
    yield f"Commit{'s' if len(commits) > 1 else ''} {', '.join(commits)}; {rounds[-1].date[:10]}."


def sentences(parts: Sequence[str]) -> str:
    """Parts as sentences; names keep their letters."""
    return ". ".join(parts) + "."


def quality(measured: Sequence[Mapping[str, Any]]) -> str:
    """Every seed's scores, and the differences."""
    names = [who for who in WHO if who in measured[0]]
    table = [f"| seed | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for one in measured:
        table.append(f"| {one['seed']} | {' | '.join(f'{100 * one[who]:.2f} %' for who in names)} |")
    means = [f"{who} {100 * sum(one[who] for one in measured) / len(measured):.2f} %" for who in names]
    gains = [
        f"tlsearch less {who}: {value:+.2f} points (95 %: {low:+.2f} to {high:+.2f})"
        for who, (value, low, high) in differences([dict(one) for one in measured]).items()
    ]
    return "\n\n".join(
        [
            "## Score of what each contender hands its user",
            "What is measured stands at the top of `peers_quality.py`; B1's score is B2's.",
            "\n".join(table),
            f"Means: {', '.join(means)}. " + sentences(gains),
        ]
    )
