"""Copies of pictures, planted on purpose: how many are found, what else is called a copy, and what crosses a split.

    python benchmarks/duplicates.py                # three seeds; writes benchmarks/results/duplicates.md
    python benchmarks/duplicates.py --seeds 1      # fewer; writes nothing

Each seed picks 60 pictures and plants one copy of each, by the six treatments of `duplicates_treatments.py` in turn.
The pictures are then prepared as a study does it: with a holdout of 20 % and two partitions into five folds, all by
this seed. Counted are

- recall: planted copies that are in one group with their original;
- precision: of the pairs that are confirmed and have a planted copy in them, those of a copy and its own original, or
  an original that the untouched pictures' own list has beside it. Pairs of two untouched pictures are on that list,
  which a person can check, and count for the share of untouched pictures instead;
- crossings: copies that are held out, or in a fold, apart from their original in any of the splits.

Then come copies that are harder than what is promised: cropped by up to 8 % on each side, unevenly, and recompressed,
every second one mirrored. How many of them are found is told, and decides nothing.
"""

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from arguments import count
from duplicates_treatments import HARDER, TREATMENTS, Treatments
from tlsearch.data.prepare import PreparedData, prepare_data
from tlsearch.devices import cpu_threads
from tlsearch.execution.inline import InlineExecutor
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.runner.linking import LinkFinder
from tlsearch.specs import Dataset, ImageFile
from tlsearch.study import DataTable
from tlsearch.work import WorkerContext
from tlsearch.workbench import open_workbench

RESULT = Path(__file__).parent / "results" / "duplicates.md"
SOURCES = ("celebs_demo", "solar")
PLANTED, SEEDS, PROMISED = 60, 3, 0.95
UNTOUCHED = 0.01  # fewer of the untouched pictures may be called copies
CONFIG = DataTable.model_validate({"source": "folder", "holdout": 0.2, "folds": 5})


@dataclass(frozen=True, kw_only=True)
class Planted:
    """What became of the copies of one seed."""

    missed: tuple[str, ...]  # treatments
    right: int  # confirmed pairs
    wrong: tuple[tuple[str, str], ...]
    crossings: int


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was found in one dataset."""

    source: str
    pictures: int
    near: tuple[tuple[str, str, float], ...]  # pairs of untouched files
    too_alike: int  # pictures in components that are only told
    planted: tuple[Planted, ...]
    harder: int  # of as many copies, those of HARDER that are in one group with their original

    @property
    def copies(self) -> int:
        """Planted in all."""
        return PLANTED * len(self.planted)

    @property
    def recovered(self) -> int:
        """Copies that are in one group with their original."""
        return self.copies - sum(len(seed.missed) for seed in self.planted)

    @property
    def right(self) -> int:
        """Confirmed pairs of a copy that show one photograph."""
        return sum(seed.right for seed in self.planted)

    @property
    def confirmed(self) -> int:
        """All confirmed pairs of a copy."""
        return self.right + sum(len(seed.wrong) for seed in self.planted)

    @property
    def crossings(self) -> int:
        """Copies on another side than their original."""
        return sum(seed.crossings for seed in self.planted)

    @property
    def untouched(self) -> int:
        """Untouched pictures that are called copies."""
        return len({file for pair in self.near for file in pair[:2]}) + self.too_alike

    @property
    def holds(self) -> bool:
        """Whether what is promised is kept."""
        found = self.recovered >= PROMISED * self.copies and self.right >= PROMISED * self.confirmed
        return found and self.crossings == 0 and self.untouched < UNTOUCHED * self.pictures


def finder(folder: Path) -> LinkFinder:
    """What a study uses, with the worker's part in this process."""

    def inline(contexts: Sequence[WorkerContext]) -> InlineExecutor:
        (context,) = contexts
        return InlineExecutor(open_workbench(replace(context, threads=cpu_threads())))

    return LinkFinder(
        host=PluginHost.load(),
        hubs=Hubs(offline=True),
        cache=folder / "cache",
        plugins=(),
        device="cpu",
        make_executor=inline,
    )


def prepared(dataset: Dataset, folder: Path, seed: int) -> PreparedData:
    """The pictures as a study has them."""
    return prepare_data(
        CONFIG,
        dataset,
        shorter_px=256,
        seed=seed,
        repeats=2,
        cache_dir=folder / "cache" / "pixels",
        find_links=finder(folder),
    )


def copied(dataset: Dataset, root: Path) -> Dataset:
    """The same pictures in another folder, to which copies can be added."""
    images = []
    for image in dataset.images:
        path = root / image.path.relative_to(dataset.root)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image.path, path)
        images.append(replace(image, path=path))
    return replace(dataset, root=root, images=tuple(images))


def plant(
    dataset: Dataset, seed: int, treatments: Treatments, name_of_folder: str
) -> tuple[Dataset, dict[str, tuple[str, str]]]:
    """A dataset with copies in it, and for each copy's file its original's and the treatment."""
    folder = dataset.root / f"{name_of_folder}-{seed}"
    folder.mkdir()
    chosen = np.random.default_rng(seed).choice(len(dataset.images), PLANTED, replace=False)
    copies, told = [], {}
    for number, original in enumerate(dataset.images[index] for index in chosen):
        treatment = list(treatments)[number % len(treatments)]
        path = folder / f"{number:02d}.png"
        with Image.open(original.path) as picture:
            treatments[treatment](picture.convert("RGB")).save(path)
        copies.append(ImageFile(path=path, label=original.label))
        told[name(dataset, path)] = (name(dataset, original.path), treatment)
    return replace(dataset, images=(*dataset.images, *copies)), told


def name(dataset: Dataset, path: Path) -> str:
    """As findings call it."""
    return path.relative_to(dataset.root).as_posix()


def judged(data: PreparedData, told: dict[str, tuple[str, str]], known: set[frozenset[str]]) -> Planted:
    """What became of planted copies.

    Args:
        data: Prepared with them.
        told: Each copy's original and treatment.
        known: Pairs of untouched files that are called copies without them.
    """
    key = dict(zip(data.files, data.groups, strict=True))
    missed = tuple(treatment for copy, (original, treatment) in told.items() if key[copy] != key[original])
    right, wrong = 0, []
    for pair in data.findings.near:
        one, other = pair["files"]
        if not {one, other} & set(told):
            continue
        shown = frozenset(told[file][0] if file in told else file for file in (one, other))
        if len(shown) == 1 or shown in known:
            right += 1
        else:
            wrong.append((one, other))
    side = sides(data)
    crossings = sum(side[copy] != side[original] for copy, (original, _) in told.items())
    return Planted(missed=missed, right=right, wrong=tuple(wrong), crossings=crossings)


def sides(data: PreparedData) -> dict[str, tuple[int, ...]]:
    """By file the fold in each partition; empty where it is held out."""
    side: dict[str, tuple[int, ...]] = {data.files[index]: () for index in data.holdout}
    for place, index in enumerate(data.development):
        side[data.files[index]] = tuple(folds[place] for folds in data.folds)
    return side


def measured(source: str, seeds: int, folder: Path) -> Found:
    """One dataset, untouched and with the copies of every seed."""
    spec = PluginHost.load().dataset(source)
    drawn = folder / "drawn"
    drawn.mkdir(parents=True)
    dataset = copied(spec.load(spec.options(), drawn), folder / "pictures")
    findings = prepared(dataset, folder, 0).findings
    near = tuple((*pair["files"], float(pair["likeness"])) for pair in findings.near)
    known = {frozenset(pair[:2]) for pair in near}
    planted, harder = [], 0
    for seed in range(seeds):
        with_copies, told = plant(dataset, seed, TREATMENTS, "planted")
        planted.append(judged(prepared(with_copies, folder, seed), told, known))
        with_copies, told = plant(dataset, seed, HARDER, "harder")
        found = PLANTED - len(judged(prepared(with_copies, folder, seed), told, known).missed)
        harder += found
        print(f"{source}, seed {seed}: {planted[-1]}; harder ones found: {found}", flush=True)
    return Found(
        source=source,
        pictures=len(dataset.images),
        near=near,
        too_alike=sum(map(len, findings.too_alike)),
        planted=tuple(planted),
        harder=harder,
    )


def table(found: Sequence[Found]) -> list[str]:
    """The measured shares, a line a dataset."""
    lines = [
        "| pictures | planted | recall | precision | crossings | untouched pictures called copies |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.source} ({one.pictures}) | {one.copies} | {_share(one.recovered, one.copies)} "
        f"| {_share(one.right, one.confirmed)} | {one.crossings} | {_share(one.untouched, one.pictures)} |"
        for one in found
    ]
    return lines


def page(found: Sequence[Found], seeds: int) -> str:
    """The file that is kept: the table, and the list that a person can check."""
    day = datetime.now(UTC).date().isoformat()
    lines = ["# Copies planted on purpose", "", f"`python benchmarks/duplicates.py --seeds {seeds}`, {day}.", ""]
    lines += ["What is counted stands at the top of that file.", "", *table(found), ""]
    lines += [f"Treatments: {'; '.join(TREATMENTS)}.", ""]
    harder = "; ".join(f"{one.source} {_share(one.harder, one.copies)}" for one in found)
    lines += [f"Harder than promised, cropped unevenly by up to 8 % on each side and recompressed, found: {harder}."]
    for one in found:
        missed = [treatment for seed in one.planted for treatment in seed.missed]
        lines += ["", f"## {one.source}", ""]
        lines += [f"Missed: {', '.join(missed) or 'none'}. Untouched pictures that are called copies:", ""]
        lines += [f"- {first} and {second}: {likeness:.4f}" for first, second, likeness in one.near] or ["none"]
    return "\n".join([*lines, ""])


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(1, whole):.1f} % ({part} of {whole})"


def main() -> int:
    """Measure every dataset; 1 where a promise is not kept."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", type=count, default=SEEDS)
    arguments.add_argument("--only", choices=SOURCES, help="one dataset; writes nothing")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sources = [chosen.only] if chosen.only else SOURCES
        found = [measured(source, chosen.seeds, Path(folder) / source) for source in sources]
    text = page(found, chosen.seeds)
    print(text)
    if chosen.seeds >= SEEDS and not chosen.only:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(text, encoding="utf-8")
    return 0 if all(one.holds for one in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
