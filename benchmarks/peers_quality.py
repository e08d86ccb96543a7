"""The row of quality: the score of what each contender hands its user, on 20 000 fresh drawings.

Each seed draws its own 150 pictures of celebs_demo and deals them; all contenders search the same pictures, parts,
network and space with the same number of trials, and hand over what their user would get: tlsearch its final model,
which is fitted on all development pictures; B2 the head of its best trial; KerasTuner `get_best_models(1)`. Nothing
keeps a person from fitting B2's best trial anew on all development pictures, so that is scored as well. The features
of a frozen network are the same whether they are kept or not, so B1's score is B2's. The features of the fresh
drawings are extracted once.
"""

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from imbalance import interval
from peers_material import TORCH_WEIGHTS, part_of, square
from peers_processes import HERE, NAME, run_tlsearch, timed
from peers_rounds import OURS
from peers_rows import Row, row
from plain_network import FEATURES, Stem, load_network
from provenance import Provenance
from tlsearch.host import PluginHost
from tlsearch.model import load_final

ROW = "heads_celebs"  # whose space, trials and epochs are searched
PICTURES, FRESH = 150, 20_000
SEEDS = 20
FRESH_SEED = 0  # of the pictures to be tested on; study seeds begin at 1
BATCH = 64
ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # heads are small, and seeds run side by side
PEERS = {"B2": "plain_loop.py", "B3": "keras_tuner_loop.py"}
REFITTED = "B2, fitted anew"
Features = tuple[NDArray[np.float32], NDArray[np.int64]]


def drawings(seed: int, count: int) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """So many drawings of celebs_demo's endless stream, as squares of the network's size, with their labels."""
    spec = PluginHost.load().dataset("celebs_demo")
    with tempfile.TemporaryDirectory(prefix="tlsearch-drawn-") as scratch:
        fresh = spec.load(spec.options.model_validate({"pictures": 5}), Path(scratch)).fresh
    assert fresh is not None, "celebs_demo never ends"
    for pixels, label in islice(fresh(seed), count):
        yield np.array(square(np.asarray(pixels))), label


def draw_folder(seed: int, folder: Path) -> Path:
    """The pictures of one seed, dealt into train/ val/ test/ by class."""
    target, classes = folder / f"draw-{seed}", 5
    for number, (pixels, label) in enumerate(drawings(seed, PICTURES)):
        turn = number // classes
        place = target / part_of(turn, PICTURES // classes) / f"person-{label}" / f"{turn:04}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        square(pixels).save(place)
    return target


@torch.no_grad()
def features_of(network: nn.Module, pictures: Iterable[tuple[NDArray[np.uint8], int]]) -> Features:
    """Features and labels of squares."""
    stream = iter(pictures)
    found, labels = [], []
    while batch := list(islice(stream, BATCH)):
        found.append(network(torch.from_numpy(np.stack([pixels for pixels, _ in batch]))).numpy())
        labels += [label for _, label in batch]
    return np.concatenate(found), np.array(labels)


def fresh_features(material: Path) -> Features:
    """Features and labels of the pictures to be tested on; extracted once."""
    kept = material / f"fresh-{FRESH}.npz"
    if not kept.exists():
        x, y = features_of(frozen_network(material), drawings(FRESH_SEED, FRESH))
        np.savez(kept, x=x, y=y)
    arrays = np.load(kept)
    return arrays["x"], arrays["y"]


def save_features(network: nn.Module, pictures: Path, test: Features, target: Path) -> None:
    """Write the features of a folder's parts, and those to be tested on, as the peers read them."""
    arrays: dict[str, Any] = {"test_x": test[0], "test_y": test[1]}
    for part in ("train", "val"):
        arrays[f"{part}_x"], arrays[f"{part}_y"] = features_of(network, in_folder(pictures / part))
    np.savez(target, **arrays)


def in_folder(part: Path) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """The squares of a part, with their labels."""
    names = sorted(folder.name for folder in part.iterdir())
    for file in sorted(part.glob("*/*")):
        with Image.open(file) as picture:
            yield np.array(picture), names.index(file.parent.name)


def frozen_network(material: Path) -> nn.Module:
    """The peers' network, from bytes to features."""
    return nn.Sequential(Stem(), *load_network(material / TORCH_WEIGHTS))


def peer_on_features(who: str, features: Path, asked: Row, *, seed: int) -> dict[str, Any]:
    """What B2 or B3 tells of its search on features."""
    shape = ["--trials", str(asked.trials), "--epochs", str(asked.epochs), "--seed", str(seed), "--heads", *asked.heads]
    command = [sys.executable, str(HERE / PEERS[who]), "--features", str(features), *shape]
    return dict(json.loads(timed(command, features.parent, ONE_THREAD).printed))


def keras_scores(asked: Row, material: Path) -> list[float]:
    """The validation scores of KerasTuner's trials on the features of a row's pictures."""
    with tempfile.TemporaryDirectory(prefix="tlsearch-scores-") as scratch:
        features = Path(scratch) / "features.npz"
        nothing = np.zeros((1, FEATURES), np.float32), np.zeros(1, np.int64)  # to be tested on
        save_features(frozen_network(material), material / asked.data, nothing, features)
        return [float(trial["score"]) for trial in peer_on_features("B3", features, asked, seed=0)["trials"]]


def final_accuracy(run: Path, test: Features) -> float:
    """The share of right answers that the final model's head gives on features."""
    (folder,) = (run / "models").iterdir()
    model = load_final(folder, PluginHost.load())
    with torch.no_grad():
        answers = model.head.eval()(torch.from_numpy(test[0])).argmax(1).numpy()
    return float((answers == test[1]).mean())


def one_seed(seed: int, material: Path) -> dict[str, float]:
    """All contenders on one seed's pictures: their accuracy on the fresh ones."""
    network, asked, test = frozen_network(material), row(ROW), fresh_features(material)
    with tempfile.TemporaryDirectory(prefix="tlsearch-quality-") as scratch:
        folder = Path(scratch)
        pictures = draw_folder(seed, folder)
        save_features(network, pictures, test, folder / "features.npz")
        told = {who: peer_on_features(who, folder / "features.npz", asked, seed=seed) for who in PEERS}
        run_tlsearch(replace(asked, data=pictures.name), folder, folder, seed=seed)
        ours = final_accuracy(folder / "runs" / NAME, test)
    return {**{who: float(one["test"]) for who, one in told.items()}, REFITTED: told["B2"]["refitted"], OURS: ours}


def missing(measured: Sequence[Mapping[str, Any]], made: Mapping[str, Any], seeds: int) -> list[int]:
    """The seeds, from 1 on, that this code did not play yet."""
    played = {one["seed"] for one in measured if one["made"] == made}
    return [seed for seed in range(1, seeds + 1) if seed not in played]


def scores_in(raw: Mapping[str, Any], made: Provenance | None) -> dict[int, dict[str, float]]:
    """The accuracies of every seed that may stand in one table, by seed."""
    return {one["seed"]: one["scores"] for one in raw.get("quality", []) if Provenance(**one["made"]) == made}


def difference(measured: Sequence[Mapping[str, float]], who: str) -> tuple[float, float, float]:
    """tlsearch less a peer, in points: mean over the seeds, and the ends of its 95 % interval."""
    return interval([100 * (one[OURS] - one[who]) for one in measured])


def best_peer(measured: Sequence[Mapping[str, float]]) -> str:
    """The peer whose mean is the highest."""
    return max(PEERS, key=lambda who: sum(one[who] for one in measured))
