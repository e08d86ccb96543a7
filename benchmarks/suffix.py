"""Trials that train the last stages, from cached cuts, beside the same trials as a plain loop; and where the time goes.

    python benchmarks/suffix.py [--rounds 5] [--pictures 640] [--json FILE]

MobileNetV2 at 160 px, batch 32, AdamW, in PyTorch and in Keras on its torch backend, with random weights and pictures:
neither decides speed. An epoch over all pictures and a validation of a twentieth of them, the share that 5 epochs and
a fifth of the data make. In a round every way trains once, in turn; ratios are medians over rounds. The plain loop is
in PyTorch, channels last, without gradients in the frozen part, with torch's fused AdamW, and gets two favours: its
pictures lie decoded in memory, and it has the environment of tlsearch's workers. The cuts are cached already: the pass
that fills the cache, once a study, is in the times of `peers.py` and not in these.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

import machine
from arguments import count
from figures import Figure, save, table
from tlsearch.devices import KEEP_FREED_MEMORY, computing_environment, cpu_threads
from tlsearch.host import PluginHost
from tlsearch.model import LoadedBackbone, Normalise, Prefix, build_backbone
from tlsearch.specs import Preprocessing
from tlsearch.training.fit import Material, fitted
from tlsearch.training.loop import Fold, Inputs
from tlsearch.training.optim import Group, Stepper
from tlsearch.training.order import batches
from tlsearch.training.recipe import Phase, Recipe

SIDE, BATCH, CLASSES, FEATURES = 160, 32, 2, 1280
VALIDATION_SHARE = 20  # one picture is scored for so many that are trained on
RULES = Preprocessing(value_range=(-1.0, 1.0))
BACKBONES = {"PyTorch": ("mobilenet_v2", "tf_same"), "Keras": ("mobilenet_v2_keras", "")}
TARGETS = {4: (3.0, 5.0), 1: (6.0, 10.0)}  # unfrozen stages: target and stretch goal against the plain loop
CPU = torch.device("cpu")
Pixels = NDArray[np.uint8]
Seconds = Mapping[tuple[str, int], Sequence[float]]  # of a way at a depth, a round each


def built(framework: str) -> LoadedBackbone:
    """A backbone with random weights, as a worker has it."""
    name, variant = BACKBONES[framework]
    spec = PluginHost.load(files=[]).backbone(name)
    loaded = build_backbone(spec, params={}, image_px=SIDE, variant=variant, weights=None, seed=0)
    if framework == "PyTorch":
        for stage in loaded.backbone.stages:
            stage.to(memory_format=torch.channels_last)
    return loaded


def head() -> nn.Sequential:
    """A linear head."""
    return nn.Sequential(nn.Linear(FEATURES, CLASSES))


class Cached:
    """A trial as tlsearch trains it, from the cached values of a cut.

    Args:
        framework: Of the network.
        pictures: `(n, SIDE, SIDE, 3)`.
        labels: Theirs.
        fold: Which of them are trained on.
    """

    def __init__(self, framework: str, pictures: Pixels, labels: torch.Tensor, fold: Fold) -> None:
        self.loaded, self.fold = built(framework), fold
        stages = len(self.loaded.backbone.stages)
        cuts = [stages - unfrozen for unfrozen in sorted(TARGETS, reverse=True)]
        prefix = Prefix(RULES, self.loaded.backbone, cuts, pooled=False)
        with torch.no_grad():
            passes = [prefix(torch.from_numpy(pictures[rows])) for rows in batches(np.arange(len(pictures)), BATCH)]
        values = {cut: torch.cat(parts).numpy() for cut, parts in zip(cuts, zip(*passes, strict=True), strict=True)}
        self.material = Material(
            loaded=self.loaded,
            normalise=nn.Identity(),  # nothing here begins with pictures
            pools=True,
            channels_last=framework == "PyTorch",
            inputs=lambda frozen, augment: Inputs(views=[values[frozen]]),
            labels=labels,
            classes=CLASSES,
            device=CPU,
        )

    def trial(self, unfrozen: int) -> None:
        """Train and validate."""
        recipe = Recipe(backbone="", head="", phases=(Phase(epochs=1, unfrozen=unfrozen),), batch_size=BATCH)
        with fitted(recipe, head(), self.material, self.fold, dropout_seed=0, on_epoch=lambda *_: None) as fit:
            fit.predict(self.fold.validation)

    def parts(self, unfrozen: int) -> dict[str, float]:
        """Milliseconds of a step's parts that can be told apart: reading the values, and the optimizer."""
        inputs = self.material.inputs(len(self.loaded.backbone.stages) - unfrozen, "none")
        weights = [p for stage in self.loaded.weights[-unfrozen:] for p in stage]
        stepper = Stepper("adamw", [Group(parameters=weights, learning_rate=0.0, weight_decay=0.0)], 1.0)
        gradients = [torch.ones_like(p) for p in weights]
        rows = np.random.default_rng(1).permutation(self.fold.train)[:BATCH]
        doings: dict[str, Callable[[], object]] = {
            "read": lambda: inputs.gather(rows, None, CPU),
            "optimizer": lambda: stepper.step(gradients, 1.0),
        }
        return {name: 1e3 * median(seconds_of(do) for _ in range(20)) for name, do in doings.items()}


class Plain:
    """The same trial as a plain loop: every picture goes through the whole network."""

    def __init__(self, pictures: Pixels, labels: torch.Tensor, fold: Fold) -> None:
        self.stages, self.pool = (loaded := built("PyTorch").backbone).stages, loaded.pool
        self.normalise, self.pictures, self.labels, self.fold = Normalise(RULES), pictures, labels, fold

    def trial(self, unfrozen: int) -> None:
        """Train and validate."""
        classifier, suffix = head(), nn.ModuleList(self.stages[-unfrozen:]).requires_grad_(True)
        optimizer = torch.optim.AdamW([*classifier.parameters(), *suffix.parameters()], lr=1e-4, fused=True)
        for rows in batches(np.random.default_rng(0).permutation(self.fold.train), BATCH):
            loss = F.cross_entropy(classifier(self.features(rows, unfrozen)), self.labels[rows])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
        with torch.no_grad():
            for rows in batches(self.fold.validation, BATCH):
                classifier(self.features(rows, unfrozen)).argmax(1)
        suffix.requires_grad_(False)

    def features(self, rows: NDArray[np.int64], unfrozen: int) -> torch.Tensor:
        """Pooled, `(n, FEATURES)`; gradients are kept for the last stages alone."""
        with torch.no_grad():
            x = self.normalise(torch.from_numpy(self.pictures[rows])).contiguous(memory_format=torch.channels_last)
            for stage in self.stages[:-unfrozen]:
                x = stage(x)
        for stage in self.stages[-unfrozen:]:
            x = stage(x)
        pooled: torch.Tensor = self.pool(x)
        return pooled


def seconds_of(do: Callable[[], object]) -> float:
    """How long something takes."""
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def figures_of(seconds: Seconds) -> list[Figure]:
    """What the rounds say: medians of each round's own ratio."""
    found = []
    for unfrozen, (target, stretch) in TARGETS.items():
        of = {way: seconds[way, unfrozen] for way in ("plain", *BACKBONES)}
        told = "the last stage" if unfrozen == 1 else f"the last {unfrozen} stages"
        what = f"a trial alone that trains {told}, from cached cuts"
        for framework in BACKBONES:
            ratio = median(a / b for a, b in zip(of["plain"], of[framework], strict=True))
            goals = (target, stretch) if framework == "PyTorch" else (None, None)  # Keras is stated apart
            row = f"{what}, {framework}, against a plain PyTorch loop"
            found.append(Figure(row=row, target=goals[0], stretch=goals[1], measured=ratio, unit="times"))
        factor = median(a / b for a, b in zip(of["Keras"], of["PyTorch"], strict=True))
        row = f"{what}, Keras, against its PyTorch twin"
        found.append(Figure(row=row, target=None, stretch=None, measured=factor, unit="times as long"))
    return found


def measure(pictures: int, rounds: int) -> tuple[Seconds, dict[tuple[str, int], dict[str, float]]]:
    """Every way at every depth, a round after another once each has run; and the parts of our steps."""
    drawn = np.random.default_rng(0).integers(0, 256, (pictures, SIDE, SIDE, 3), dtype=np.uint8)
    labels = torch.from_numpy(np.arange(pictures) % CLASSES)
    validation = pictures // (VALIDATION_SHARE + 1)
    everything = np.arange(pictures)
    fold = Fold(train=everything[validation:], validation=everything[:validation], seed=0, repeat=0, fold=0)
    cached = {framework: Cached(framework, drawn, labels, fold) for framework in BACKBONES}
    ways: dict[str, Plain | Cached] = {"plain": Plain(drawn, labels, fold), **cached}
    seconds: dict[tuple[str, int], list[float]] = {(way, unfrozen): [] for way in ways for unfrozen in TARGETS}
    for index in range(rounds + 1):
        for (way, unfrozen), rounds_of in seconds.items():
            took = seconds_of(partial(ways[way].trial, unfrozen))
            if index:  # the first warms up
                rounds_of.append(took)
    return seconds, {(name, depth): way.parts(depth) for name, way in cached.items() for depth in TARGETS}


def main() -> None:
    """Measure, tell, and write the rows where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=count, default=5, help="of each row")
    parser.add_argument("--pictures", type=count, default=640, help="fewer give a quick look")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if any(name not in os.environ for name in KEEP_FREED_MEMORY):  # the C library reads it as the process starts
        os.execve(sys.executable, [sys.executable, *sys.argv], computing_environment())
    torch.set_num_threads(cpu_threads())
    seconds, parts = measure(given.pictures, given.rounds)
    print(f"{machine.machine()}; {given.pictures} pictures, {given.rounds} rounds")
    for (way, unfrozen), took in seconds.items():
        told = "".join(f", {part} {ms:.1f} ms a step" for part, ms in parts.get((way, unfrozen), {}).items())
        print(f"{way}, {unfrozen} unfrozen: {1e3 * median(took) / given.pictures:.2f} ms a picture{told}")
    figures = figures_of(seconds)
    print(f"\n{table(figures)}")
    if given.json:
        save(figures, given.json, by="suffix")


if __name__ == "__main__":
    main()
