"""The page of results: every target with what was measured, one table a row with its rounds, the row of quality."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

import machine
from figures import Figure, digits, table
from gpu_rows import GPU, promised
from peers_quality import REFITTED, SEEDS, best_peer, difference, scores_in
from peers_rounds import OURS, QUALITY, Round, counted, middle, newest, rounds_in, steady
from peers_rows import ROWS, WHO, Contender, Row
from provenance import Provenance

NOT_WORSE, BETTER = -0.5, 0.0  # points of accuracy
# Whose figures `--gather` takes in, with what they are of.
OTHERS = {
    "extraction": "extraction of all cuts against eager PyTorch",
    "suffix": "a trial alone that trains the last stages, from cached cuts",
    "between_trials": "store, a trial; TPE, an ask; a worker waits",
    "startup": "`--help` and `report`",
    "memory": "private memory with 100 000 images",
    "probes": "trials that closed-form probes save",
    "racing": "what racing costs",
}

WORDS = """In the tables:

- *with our workers' memory settings*: the allocator of the peers keeps what is freed, as tlsearch's workers set it
- *up to the last trial's result of each*: without what a run does after its search, which the peers do not do
- *all trials trained to their end*: had tlsearch stopped no trial early
- *fitted anew*: on all development pictures, as tlsearch's final model"""


def page(raw: Mapping[str, Any]) -> str:
    """The whole page as Markdown."""
    made = {name: newest(raw, name) for name in (*(row.name for row in ROWS), QUALITY)}
    played = [(row, rounds_in(raw, row, made[row.name])) for row in ROWS]
    scores = scores_in(raw, made[QUALITY])
    parts = [
        "# tlsearch beside its peers",
        measured_with([rounds[-1].made for _, rounds in played if rounds]),
        "`python benchmarks/peers.py`; what is in each time stands at the top of that file and of the contenders'.\n"
        "Ratios are medians over steady rounds, with the least and the most: how often tlsearch's time fits into the\n"
        "other's. A round is steady whose control loop took equally long, but for 20 %, at both ends.",
        "\n".join(f"- **{who}**: {what}" for who, what in WHO.items()),
        WORDS,
        f"![Best score against time]({machine.file_name()}.svg)",
        "## Targets",
        table([*own(played, list(scores.values())), *elsewhere(raw)]),
        "## Targets on a GPU",
        table(on_gpu(raw)),
        *origins(raw),
        *(section(row, rounds) for row, rounds in played if rounds),
        *([quality(scores, made[QUALITY])] if len(scores) > 1 else []),
    ]
    return "\n\n".join(parts) + "\n"


def measured_with(made: Sequence[Provenance]) -> str:
    """The machine; each row says what it was measured with."""
    return f"{made[-1].machine}." if made else "No row was measured yet."


def own(played: Sequence[tuple[Row, Sequence[Round]]], scores: Sequence[Mapping[str, float]]) -> Iterator[Figure]:
    """The targets of this benchmark's own rows, whether they were measured or not."""
    for row, rounds in played:
        for who, how in row.contenders.items():
            if who != OURS:
                yield from peer_figures(row, who, how, rounds)
    best = best_peer(scores) if scores else "the best of B1 to B3"
    for who in (best, REFITTED):
        value, low, high = difference(scores, who) if len(scores) > 1 else (None, 0.0, 0.0)
        yield Figure(
            row=f"score of the chosen configuration, against {who}",
            target=NOT_WORSE,
            stretch=BETTER,
            measured=value,
            unit="points",
            told=f"{len(scores)} of {SEEDS} seeds, 95 %: {low:+.2f} to {high:+.2f}",
        )


def peer_figures(row: Row, who: str, how: Contender, rounds: Sequence[Round]) -> Iterator[Figure]:
    """One peer of one row: as it is, with the memory settings of our workers, had no trial been stopped early, and
    without what tlsearch does after its last trial.
    """
    base = f"{row.title}, against {who}"
    those = counted(rounds)
    calm = len(steady(rounds))
    told = f"{calm} of {len(rounds)} rounds steady" + (f", {row.rounds} are asked for" if calm < row.rounds else "")
    if len(those) > 1:
        ratios = [one.ratio(who) for one in those]
        told = f"{digits(min(ratios))} to {digits(max(ratios))}, {told}"
    found: list[tuple[str, float | None, str]] = [(base, middle(rounds, who) if rounds else None, told)]
    if any(one.times[OURS].pruned for one in those):
        found.append((f"{base}, all trials trained to their end", median(one.unraced_ratio(who) for one in those), ""))
    if kept := [one for one in those if who in one.kept]:
        words, again = f"{base} with our workers' memory settings", median(one.kept_ratio(who) for one in kept)
        found.append((words, again, f"{len(kept)} round{'s' * (len(kept) > 1)}"))
    for words, ratio, more in found:
        yield Figure(row=words, target=how.target, stretch=how.stretch, measured=ratio, unit="times", told=more)
    if rounds:  # of less than what is promised, so nothing is promised of it
        searched = median(one.searched_ratio(who) for one in those)
        words = f"{base}, up to the last trial's result of each"
        yield Figure(row=words, target=None, stretch=None, measured=searched, unit="times")


def elsewhere(raw: Mapping[str, Any]) -> Iterator[Figure]:
    """The rows of other benchmarks, those that were not measured in one line each."""
    told = {one["by"]: one["figures"] for one in raw.get("gathered", []) if one["by"] in OTHERS}
    for by, what in OTHERS.items():
        nothing = Figure(row=f"{what} (`{by}.py`)", target=None, stretch=None, measured=None, unit="")
        yield from (Figure(**one) for one in told[by]) if by in told else [nothing]


def on_gpu(raw: Mapping[str, Any]) -> list[Figure]:
    """The rows that were measured on GPUs; without any, what is promised of one."""
    told = [one for one in raw.get("gathered", []) if one["by"] == GPU]
    found = [
        Figure(**{**figure, "row": f"{one['made']['machine']}: {figure['row']}"})
        for one in told
        for figure in one["figures"]
    ]
    return found or promised()


def origins(raw: Mapping[str, Any]) -> list[str]:
    """What the figures of other benchmarks were made with."""
    told = [(one, Provenance(**one["made"])) for one in raw.get("gathered", [])]
    lines = [
        f"- `{one['by']}.py` on {one['date'][:10]} at commit {made.commit} on {made.machine}; {made.versions}"
        for one, made in told
    ]
    return ["Measured by other scripts:\n\n" + "\n".join(lines)] if lines else []


def section(row: Row, rounds: Sequence[Round]) -> str:
    """A row's rounds, and where tlsearch's time went."""
    names = [who for who in WHO if who in row.contenders]
    heads = [f"{who}, s" for who in names] + [f"{who} / tlsearch" for who in names if who != OURS]
    whole = [who for who in names if not row.contenders[who].trials]
    heads += ["best score: " + ", ".join(whole)] if whole else []
    heads.append("control loop, s")
    lines = [f"| round | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    calm = steady(rounds)
    lines += [round_line(row, one, number, steady=one in calm) for number, one in enumerate(rounds, start=1)]
    return "\n\n".join([f"## {row.title}", row.setting + ".", "\n".join(lines), *remarks(row, rounds)])


def round_line(row: Row, one: Round, number: int, *, steady: bool) -> str:
    """One round as a line of its table."""
    names = [who for who in WHO if who in one.times]
    cells = [str(number)]
    cells += [f"{one.times[who].seconds:.1f}{part_measured(one, row, who)}" for who in names]
    cells += [digits(one.ratio(who)) for who in names if who != OURS]
    whole = [who for who in names if not row.contenders[who].trials]  # of fewer trials a best score tells nothing
    cells += [", ".join(f"{one.times[who].best:.3f}" for who in whole)] if whole else []
    cells.append(f"{one.control[0]:.2f}, {one.control[1]:.2f}" + ("" if steady else ": **not steady**"))
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
    told.append("A trial takes " + ", ".join(f"{who} {digits(seconds)} s" for who, seconds in each.items()))
    ours = [one.times[OURS] for one in counted(rounds)]
    told.append(f"tlsearch has its last trial's result after {median(one.last_trial_s for one in ours):.1f} s")
    if any(one.pruned for one in ours):
        told.append(f"It stopped {median(one.pruned for one in ours):g} of the trials that it ran early")
    yield ". ".join(told) + "."
    if kept := [one for one in counted(rounds) if one.kept]:
        again = ", ".join(f"{who} {one.seconds:.1f} s" for who, one in kept[0].kept.items())
        yield f"With the memory settings of tlsearch's workers: {again}."
    phases = {name: median(one.phases.get(name, 0.0) for one in ours) for name in ours[0].phases}
    yield "Of tlsearch's time: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in phases.items()) + "."
    yield f"Measured on {rounds[-1].date[:10]} at commit {rounds[-1].made.commit}; {rounds[-1].made.versions}."


def quality(scores: Mapping[int, Mapping[str, float]], made: Provenance | None) -> str:
    """Every seed's scores, and the differences."""
    measured = list(scores.values())
    names = list(measured[0])
    lines = [f"| seed | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for seed, one in scores.items():
        lines.append(f"| {seed} | {' | '.join(f'{100 * one[who]:.2f} %' for who in names)} |")
    means = [f"{who} {100 * sum(one[who] for one in measured) / len(measured):.2f} %" for who in names]
    gains = []
    for who in names:
        if who != OURS:
            value, low, high = difference(measured, who)
            gains.append(f"tlsearch less {who}: {value:+.2f} points (95 %: {low:+.2f} to {high:+.2f})")
    return "\n\n".join(
        [
            "## Score of what each contender hands its user",
            "What is measured stands at the top of `peers_quality.py`; B1's score is B2's.",
            "\n".join(lines),
            f"Means: {', '.join(means)}. {'. '.join(gains)}.",
            f"Measured at commit {made.commit if made else 'none'}.",
        ]
    )
