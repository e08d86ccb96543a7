"""tlsearch beside its peers: time of whole searches, and the score of what they choose.

    python benchmarks/peers.py                        # every row, five steady rounds each: about an hour and a half
    python benchmarks/peers.py --rows linear_50       # some rows; what is measured already is kept and continued
    python benchmarks/peers.py --quick                # three rounds on celebs_demo, some minutes; writes nothing
    python benchmarks/peers.py --gather a.json b.json # takes in what other benchmarks measured with --json

Writes `results/<machine>.json` after every round, and from it the table `<machine>.md` and the plot `<machine>.svg`.

B1 is Optuna with a plain PyTorch loop, B2 what an expert writes by hand (features once, heads one after another), B3
KerasTuner on the torch backend. All have the same pictures, resized on disk beforehand, split, network, weights, space
and numbers of trials and epochs, and BatchNorm frozen everywhere. They are timed as processes, from start to end,
imports included, one after another in alternating order; a round in which a control loop moved by over 20 % is
repeated. What would take hours is timed on a few trials and multiplied: the table says on how many.

--quick fails only where in two of three rounds tlsearch is slower than B2, or a ratio is under half of the one that
the committed results of this machine hold.
"""

import argparse
import json
import subprocess
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import machine
import peers_quality
from peers_material import prepare_pictures, prepare_weights
from peers_plot import PLOTTED, plot
from peers_processes import time_contender
from peers_rounds import Round, as_json, load, middle, order, rounds_in, save, too_slow
from peers_rows import QUICK, ROWS, Row, row
from peers_table import page, round_line
from searches import side_by_side

RESULTS = Path(__file__).parent / "results"
QUALITY = "quality"
QUICK_ROUNDS = 3
SIDE_BY_SIDE = 2  # seeds of the row of quality, whose time nobody looks at


def play(asked: Row, number: int, material: Path, *, keep_freed: bool) -> Round:
    """One round of a row."""
    before = machine.control()
    times = {}
    for who in order(asked.contenders, number):
        with tempfile.TemporaryDirectory(prefix="tlsearch-peers-") as scratch:
            times[who] = time_contender(who, asked, material, Path(scratch), seed=number, keep_freed=keep_freed)
        print(f"{asked.name}, round {number + 1}: {who} {times[who].seconds:.1f} s", flush=True)
    return Round(
        row=asked.name,
        times=times,
        control=(before, machine.control()),
        commit=commit(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def commit() -> str:
    """The code's commit, with a plus where files are changed; empty outside a repository."""
    asked = ["git", "-C", str(RESULTS.parent), "describe", "--always", "--dirty=+", "--exclude=*"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def play_row(asked: Row, raw: dict[str, Any], file: Path, given: argparse.Namespace, material: Path) -> None:
    """Play rounds until enough are steady, or twice as many are played; each is kept at once."""
    prepare_pictures(asked.data, material)
    while True:
        rounds = rounds_in(raw, asked.name)
        if sum(one.steady for one in rounds) >= given.rounds or len(rounds) >= 2 * given.rounds:
            return
        one = play(asked, len(rounds), material, keep_freed=given.keep_freed_memory)
        print(round_line(asked, one), flush=True)
        raw.setdefault("rounds", []).append(as_json(one))
        save(file, raw)


def quick(file: Path, material: Path) -> None:
    """Three rounds of one row, held to what is recorded."""
    asked = row(QUICK)
    prepare_pictures(asked.data, material)
    kept = rounds_in(load(file), QUICK)
    recorded = {who: middle(kept, who) for who in asked.contenders if who not in ("B3", "tlsearch")} if kept else {}
    without = {who: how for who, how in asked.contenders.items() if who != "B3"}  # three minutes, and no promise to CI
    played = []
    for number in range(QUICK_ROUNDS):
        played.append(play(replace(asked, contenders=without), number, material, keep_freed=False))
        print(round_line(asked, played[-1]), flush=True)
    if faults := too_slow(played, recorded):
        raise SystemExit("\n".join(faults))


def command_line() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [each.name for each in ROWS] + [QUALITY]
    parser.add_argument("--rows", default=",".join(names), help=f"comma-separated: {', '.join(names)}; or none")
    parser.add_argument("--rounds", type=int, default=5, help="steady ones of each row")
    parser.add_argument("--seeds", type=int, default=20, help="of the row of quality")
    parser.add_argument("--fresh", action="store_true", help="forget earlier rounds of these rows")
    parser.add_argument("--keep-freed-memory", action="store_true", help="give peers the workers' memory settings")
    parser.add_argument("--material", type=Path, help="keep pictures and weights in this folder")
    parser.add_argument("--gather", type=Path, nargs="+", default=[], metavar="FILE", help="rows of other benchmarks")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--to", type=Path, default=RESULTS, metavar="FOLDER")
    return parser.parse_args()


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
            play_row(row(name), raw, file, given, material)
            if name in PLOTTED:
                keep_b3_scores(row(name), raw, material)
    rows = {one["row"]: one for source in given.gather for one in json.loads(source.read_text(encoding="utf-8"))}
    raw["gathered"] = [*({one["row"]: one for one in raw.get("gathered", [])} | rows).values()]
    save(file, raw)


def measure_quality(raw: dict[str, Any], file: Path, seeds: int, material: Path) -> None:
    """Play the seeds that were not played yet, two side by side; each pair is kept at once."""
    measured = raw.setdefault(QUALITY, [])
    peers_quality.fresh_features(material)  # by one process, for all
    while left := range(len(measured) + 1, seeds + 1)[:SIDE_BY_SIDE]:
        one = partial(peers_quality.one_seed, material=material)
        found = side_by_side(one, left, workers=SIDE_BY_SIDE, said=f"quality from seed {left[0]}")
        measured += [{"seed": seed, **scores, "commit": commit()} for seed, scores in zip(left, found, strict=True)]
        save(file, raw)


def keep_b3_scores(asked: Row, raw: dict[str, Any], material: Path) -> None:
    """The scores of KerasTuner's trials, from kept features, where the plot does not have them yet."""
    kept = raw.setdefault("b3_scores", {})
    if asked.name not in kept:
        kept[asked.name] = peers_quality.keras_scores(asked, material)


def main() -> None:
    """Measure as the command line asks."""
    given = command_line()
    file = given.to / f"{machine.file_name()}.json"
    with tempfile.TemporaryDirectory(prefix="tlsearch-peers-") as scratch:
        material = (given.material or Path(scratch)).absolute()
        material.mkdir(parents=True, exist_ok=True)
        prepare_weights(material)
        if given.quick:
            quick(file, material)
            return
        measure(given, file, material)
    file.with_suffix(".md").write_text(page(load(file)), encoding="utf-8")
    file.with_suffix(".svg").write_text(plot(load(file)), encoding="utf-8")
    print(f"written to {file.with_suffix('.md')}")


if __name__ == "__main__":
    main()
