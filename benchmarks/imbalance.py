"""Ten defective cells among a hundred: what the default does about it, beside plain tuning for accuracy.

    python benchmarks/imbalance.py                # ten seeds; writes benchmarks/results/imbalance.md
    python benchmarks/imbalance.py --seeds 2      # fewer; writes nothing

Each seed deals the solar photographs anew: 1 000 functional and 100 defective cells to learn from, 500 of each class
to be tested on, which nothing is chosen by. Two studies search them, both with head-only trials, equal budgets and
equal seeds: one as its file leaves it, so that balanced accuracy is the score and answers to imbalance are searched;
one with `metric = "accuracy"` and `imbalance = "none"`. Their final models are scored on the tested cells by the
holdout's own opening. Plain accuracy is told for the world that was learned from, 10 to 1. The interval is Student's t
over the seeds: it covers other draws and searches of these photographs, not another camera.
"""

import argparse
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import mean, stdev

from searches import search, side_by_side
from tlsearch.final_files import SEALED, read_answers
from tlsearch.holdout import final_folder, open_holdout
from tlsearch.host import PluginHost
from tlsearch.stats import per_class
from tlsearch.store.store import Store
from tlsearch.study import load_study
from tlsearch.training.recipe import Recipe

HERE = Path(__file__).parent
SEEDS, TRIALS, IMAGE_PX = 10, 20, 128
SKEW = (10 / 11, 1 / 11)  # shares of functional and defective cells in the world that was learned from
STUDY = """
[study]
name = "skewed"
budget = {{ trials = {trials} }}
seed = {seed}

[data]
source = "thinned_solar"
draw = {seed}
leaks = "drop" # of two photographs of one cell, one is tested and none is learned from

[[backbones]]
name = "efficientnet_lite0"
image_px = {image_px}

[search]
unfrozen = 0
"""
PLAIN = ("study.metric=accuracy", "search.imbalance=none")
# Student's t, two-sided 95 %, by degrees of freedom
T_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
T_95 |= {10: 2.228, 11: 2.201, 12: 2.179, 13: 2.160, 14: 2.145, 15: 2.131, 16: 2.120, 17: 2.110, 18: 2.101, 19: 2.093}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A final model on the tested cells.

    Args:
        recalls: Shares of the functional and of the defective cells that it names so.
        imbalance: What its training did about the skew.
    """

    recalls: tuple[float, float]
    imbalance: str

    @property
    def balanced(self) -> float:
        """Balanced accuracy."""
        return mean(self.recalls)

    @property
    def plain(self) -> float:
        """Accuracy at 10 to 1."""
        return sum(share * recall for share, recall in zip(SKEW, self.recalls, strict=True))


def searched(folder: Path, cache: Path, *, seed: int, overrides: Sequence[str]) -> Scored:
    """Run one study to its end and open its holdout."""
    folder.mkdir(parents=True)
    plugin = HERE / "thinned_solar.py"
    host = PluginHost.load(files=[plugin])
    (folder / "study.toml").write_text(STUDY.format(seed=seed, trials=TRIALS, image_px=IMAGE_PX), encoding="utf-8")
    config = load_study(folder / "study.toml", overrides=overrides, host=host)

    with Store.open(f"sqlite:///{folder / 'study.db'}") as store:
        search(config, host=host, store=store, folder=folder, cache=cache, plugin=plugin)
        return _scored(store)


def searched_both(scratch: Path, seed: int) -> tuple[Scored, Scored]:
    """The default and the search for accuracy on one deal; two of them run side by side, on one core each."""
    folder, cache = scratch / f"seed-{seed}", scratch / "cache"
    ours = searched(folder / "default", cache, seed=seed, overrides=())
    return ours, searched(folder / "accuracy", cache, seed=seed, overrides=PLAIN)


def _scored(store: Store) -> Scored:
    study = store.study("skewed")
    folder = final_folder(store, "skewed")
    assert study is not None, "a study that ran is stored"
    assert folder is not None, "a run that ended has a final model"
    opened = open_holdout(store, "skewed", folder, None)
    assert opened is not None, "the tested cells are the holdout"
    functional, defective = per_class(read_answers(folder / SEALED).log_probs, study.context["holdout_labels"])
    recipes = {trial.number: Recipe.from_json(trial.recipe) for trial in store.trials("skewed")}
    return Scored(recalls=(functional.recall, defective.recall), imbalance=recipes[opened.trial].imbalance)


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean, and the ends of its 95 % interval."""
    half = T_95[len(values) - 1] * stdev(values) / math.sqrt(len(values))
    return mean(values), mean(values) - half, mean(values) + half


def gained(pairs: Sequence[tuple[Scored, Scored]]) -> tuple[float, float, float]:
    """The default's balanced accuracy over the other's, with its interval."""
    return interval([ours.balanced - plain.balanced for ours, plain in pairs])


def table(pairs: Sequence[tuple[Scored, Scored]]) -> str:
    """Every seed's two models, and what the default gains and costs, as Markdown."""
    lines = [
        "| seed | balanced accuracy: default | accuracy tuned | accuracy at 10 to 1: default | accuracy tuned "
        "| defective cells found: default | accuracy tuned | the default's training |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for seed, (ours, plain) in enumerate(pairs):
        figures = (ours.balanced, plain.balanced, ours.plain, plain.plain, ours.recalls[1], plain.recalls[1])
        lines.append(f"| {seed} | {' | '.join(f'{100 * one:.1f} %' for one in figures)} | {ours.imbalance} |")
    if len(pairs) > 1:
        gain = gained(pairs)
        cost = interval([plain.plain - ours.plain for ours, plain in pairs])
        lines += ["", f"Balanced accuracy rises by {_points(gain)}.", f"Accuracy at 10 to 1 falls by {_points(cost)}."]
    return "\n".join(lines)


def _points(found: tuple[float, float, float]) -> str:
    value, low, high = (100 * one for one in found)
    return f"{value:.1f} points (95 % sure: {low:.1f} to {high:.1f})"


def write_results(pairs: Sequence[tuple[Scored, Scored]], target: Path) -> None:
    """Write the table with what it was measured on."""
    versions = ", ".join(f"{each} {version(each)}" for each in ("tlsearch", "torch", "optuna", "numpy"))
    told = [
        "# Skewed classes: the default beside tuning for accuracy",
        "",
        f"{versions}; {datetime.now(UTC):%Y-%m-%d}. EfficientNet-Lite0, {IMAGE_PX} px, frozen; {TRIALS} trials a",
        "study, 1 000 functional and 100 defective cells to learn from, 500 of each to be tested on. Command:",
        "`python benchmarks/imbalance.py`. What is compared stands at the top of that file.",
        "",
        table(pairs),
        "",
    ]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(told), encoding="utf-8")


def main() -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS, choices=range(1, SEEDS + 1), metavar="1-10")
    parser.add_argument("--to", type=Path, default=HERE / "results" / "imbalance.md", metavar="FILE")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tlsearch-benchmark-") as scratch:
        pairs = side_by_side(partial(searched_both, Path(scratch)), range(given.seeds), workers=2, said="seeds")
    print(table(pairs))
    if given.seeds == SEEDS:
        write_results(pairs, given.to)
        raise SystemExit(gained(pairs)[1] <= 0)


if __name__ == "__main__":
    main()
