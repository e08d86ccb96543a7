"""tlsearch beside its peers: time of whole searches, and the score of what they choose.

    python benchmarks/peers.py                        # every row, in steady rounds: over three hours
    python benchmarks/peers.py --rows linear_50       # some rows; rounds of the same code are kept and continued
    python benchmarks/peers.py --quick                # three rounds of linear heads, six minutes; writes nothing
    python benchmarks/peers.py --gather a.json b.json # takes in what other benchmarks measured with --json

Writes `results/<machine>.json` after every round, and from it the table `<machine>.md` and the plot `<machine>.svg`.

B1 is Optuna with a plain PyTorch loop, B2 what an expert writes by hand (features once, heads one after another), B3
KerasTuner on the torch backend. All have the same pictures, resized on disk beforehand, split, network, weights, space
and numbers of trials and epochs, and BatchNorm frozen everywhere. They are timed as processes, from start to end,
imports included, one after another in alternating order; a round in which a control loop moved by over 20 %, or
took over 20 % longer than in another round of the row, is repeated. What would take hours is timed on a few trials and
multiplied: the table says on how many.

tlsearch's workers keep memory that they free (docs/design.md, section 6), which a plain script does not: on some
machines this alone makes a network twice as fast. In one round of each row the peers run once more with the same
settings, and the page has both ratios.

Rounds are counted together only if they were made with one code, one set of versions, on one machine, and as the row is
now: the row's last round decides which, and the page says it. Measure in a clone in which nothing is changed.

--quick fails only where in two of three rounds tlsearch is slower than B2, or a ratio is under half of the one that
the committed results of this machine hold; it says so where they hold none.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import machine
import peers_quality
from arguments import count
from peers_material import prepare_pictures, prepare_weights
from peers_plot import PLOTTED, plot
from peers_processes import Timed, time_contender
from peers_rounds import OURS, QUALITY, Round, as_json, load, middle, newest, order, rounds_in, save, steady, too_slow
from peers_rows import QUICK, ROWS, Row, row
from peers_table import page, round_line
from provenance import Provenance, now
from searches import side_by_side

RESULTS = Path(__file__).parent / "results"
QUICK_ROUNDS = 3
SIDE_BY_SIDE = 2  # seeds of the row of quality, whose time nobody looks at


def play(asked: Row, number: int, material: Path, made: Provenance, *, keeps: bool) -> Round:
    """One round of a row; `keeps` runs the peers once more with the workers' memory settings."""
    before = machine.control()
    times = times_of(order(asked.contenders, number), asked, number, material, keep_freed=False)
    peers = [who for who in asked.contenders if who != OURS] if keeps else []
    kept = times_of(peers, asked, number, material, keep_freed=True)
    return Round(
        row=asked.name,
        terms=asked.terms,
        times=times,
        kept=kept,
        control=(before, machine.control()),
        made=made,
        date=now(),
    )


def times_of(names: Sequence[str], asked: Row, number: int, material: Path, *, keep_freed: bool) -> dict[str, Timed]:
    """Time contenders one after another, the round's number as their seed."""
    times: dict[str, Timed] = {}
    for who in names:
        with tempfile.TemporaryDirectory(prefix="tlsearch-peers-") as scratch:
            times[who] = time_contender(who, asked, material, Path(scratch), seed=number, keep_freed=keep_freed)
        how = ", keeping freed memory" if keep_freed else ""
        print(f"{asked.name}, round {number + 1}: {who}{how} {times[who].seconds:.1f} s", flush=True)
    return times


def play_row(asked: Row, raw: dict[str, Any], file: Path, rounds: int, material: Path) -> None:
    """Play rounds until enough are steady, or twice as many are played; each is kept at once."""
    prepare_pictures(asked.data, material)
    made = Provenance.of_now()
    while True:
        played = rounds_in(raw, asked, made)
        if len(steady(played)) >= rounds or len(played) >= 2 * rounds:
            return
        keeps = not any(one.kept for one in steady(played))
        one = play(asked, len(played), material, made, keeps=keeps)
        if Provenance.of_now() != made:
            raise SystemExit("the code was changed while it was measured: measure in a clone of the repository")
        print(round_line(asked, one, len(played) + 1, steady=one in steady([*played, one])), flush=True)
        raw.setdefault("rounds", []).append(as_json(one))
        save(file, raw)


def quick(file: Path, material: Path) -> None:
    """Three rounds of one row, held to what is recorded."""
    asked = row(QUICK)
    prepare_pictures(asked.data, material)
    raw = load(file)
    kept = rounds_in(raw, asked, newest(raw, QUICK))
    recorded = {who: middle(kept, who) for who in asked.contenders if who != OURS} if kept else {}
    if not kept:
        print(f"{file.name} holds no round of this row: tlsearch is held against B2 alone", flush=True)
    played: list[Round] = []
    for number in range(QUICK_ROUNDS):
        played.append(play(asked, number, material, Provenance.of_now(), keeps=False))
        print(round_line(asked, played[-1], number + 1, steady=played[-1] in steady(played)), flush=True)
    if faults := too_slow(played, recorded):
        raise SystemExit("\n".join(faults))


def command_line() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [each.name for each in ROWS] + [QUALITY]
    parser.add_argument(
        "--rows", help=f"comma-separated: {', '.join(names)}; or none, as with --gather alone; else all"
    )
    parser.add_argument("--rounds", type=count, help="steady ones of each row; else as many as the row asks for")
    parser.add_argument("--seeds", type=count, default=peers_quality.SEEDS, help="of the row of quality")
    parser.add_argument("--fresh", action="store_true", help="forget earlier rounds of these rows")
    parser.add_argument("--material", type=Path, help="keep pictures and weights in this folder")
    parser.add_argument(
        "--gather", type=gathered, nargs="+", default=[], metavar="FILE", help="rows of other benchmarks"
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--to", type=Path, default=RESULTS, metavar="FOLDER")
    given = parser.parse_args()
    given.rows = given.rows or ("none" if given.gather else ",".join(names))
    if unknown := sorted(set(given.rows.split(",")) - {*names, "none"}):
        parser.error(f"there is no row {unknown[0]!r}; the rows: {', '.join(names)}")
    return given


def gathered(source: str) -> dict[str, Any]:
    """What another benchmark wrote; read before anything is measured, so that a wrong name costs nothing."""
    try:
        told = json.loads(Path(source).read_text(encoding="utf-8"))
        return {name: told[name] for name in ("by", "made", "date", "figures")}
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{source}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise argparse.ArgumentTypeError(f"{source} is not what a benchmark writes with --json") from error


def measure(given: argparse.Namespace, file: Path, material: Path) -> None:
    """Play the rows that are asked for, and take in what others measured."""
    raw = load(file)
    wanted = [name for name in given.rows.split(",") if name != "none"]
    if given.fresh:
        raw["rounds"] = [one for one in raw.get("rounds", []) if one["row"] not in wanted]
        raw["quality"] = [] if QUALITY in wanted else raw.get("quality", [])
    for name in wanted:
        if name == QUALITY:
            measure_quality(raw, file, given.seeds, material)
        else:
            play_row(row(name), raw, file, given.rounds or row(name).rounds, material)
            if name in PLOTTED:
                keep_b3_scores(row(name), raw, material)
    gather(raw, given.gather)
    save(file, raw)


def gather(raw: dict[str, Any], told: Sequence[dict[str, Any]]) -> None:
    """Take in figures of other benchmarks, each in place of what the same script told of the same machine before."""
    places = [(one["by"], one["made"]["machine"]) for one in told]
    before = [one for one in raw.get("gathered", []) if (one["by"], one["made"]["machine"]) not in places]
    raw["gathered"] = [*before, *told]


def measure_quality(raw: dict[str, Any], file: Path, seeds: int, material: Path) -> None:
    """Play the seeds that were not played yet, two side by side; each pair is kept at once."""
    made = asdict(Provenance.of_now())
    peers_quality.fresh_features(material)  # by one process, for all
    measured = raw.setdefault(QUALITY, [])
    while left := peers_quality.missing(measured, made, seeds)[:SIDE_BY_SIDE]:
        one = partial(peers_quality.one_seed, material=material)
        found = side_by_side(one, left, workers=SIDE_BY_SIDE, said=f"quality from seed {left[0]}")
        measured += [
            {"seed": seed, "scores": scores, "made": made, "date": now()}
            for seed, scores in zip(left, found, strict=True)
        ]
        save(file, raw)


def keep_b3_scores(asked: Row, raw: dict[str, Any], material: Path) -> None:
    """The scores of KerasTuner's trials, from kept features, where the plot does not have them yet."""
    kept = raw.setdefault("b3_scores", {})
    if kept.get(asked.name, {}).get("terms") != asked.terms:
        kept[asked.name] = {"terms": asked.terms, "scores": peers_quality.keras_scores(asked, material)}


def main() -> None:
    """Measure as the command line asks."""
    given = command_line()
    file = given.to / f"{machine.file_name()}.json"
    with tempfile.TemporaryDirectory(prefix="tlsearch-peers-") as scratch:
        material = (given.material or Path(scratch)).absolute()
        material.mkdir(parents=True, exist_ok=True)
        prepare_weights(material, keras=not given.quick)
        if given.quick:
            quick(file, material)
            return
        measure(given, file, material)
    file.with_suffix(".md").write_text(page(load(file)), encoding="utf-8")
    file.with_suffix(".svg").write_text(plot(load(file)), encoding="utf-8")
    print(f"written to {file.with_suffix('.md')}")


if __name__ == "__main__":
    main()
