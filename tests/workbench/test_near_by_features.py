"""Pairs of pictures that look alike to a network, and what a worker makes of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from engine_world import context_of, do, job, recipe, row
from near_world import drawn_scene
from PIL import Image

from tlsearch.data.pixels import PixelStore
from tlsearch.work import JobKind
from tlsearch.workbench import nearest
from tlsearch.workbench.bench import StudyBench
from tlsearch.workbench.nearest import kept_units, pairs_by_cosine


@pytest.mark.parametrize("block", [4096, 23])
def test_each_picture_comes_with_its_nearest_five_of_cosine_090_or_more(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest, "BLOCK", block)
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(size=(6, 8)), 10, axis=0) + 0.25 * rng.normal(size=(60, 8))
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosines = unit @ unit.T - 2 * np.eye(60)
    wanted = {
        tuple(sorted((one, int(other))))
        for one in range(60)
        for other in np.argsort(-cosines[one])[:5]
        if cosines[one, other] >= 0.9
    }
    kept = kept_units(np.array_split(features.astype(np.float32), 7), tmp_path / "kept")
    assert not list((tmp_path / "kept").iterdir())  # its file has no name
    found = pairs_by_cosine(kept, torch.device("cpu"))
    assert found.tolist() == [list(pair) for pair in sorted(wanted)]


@pytest.mark.parametrize(("backbones", "pairs"), [(("small",), [[0, 5]]), ((), [])])
def test_an_uneven_crop_is_found_with_the_help_of_a_network(
    tmp_path: Path, backbones: tuple[str, ...], pairs: list[list[int]]
) -> None:
    # so faint that a network with random weights sees all of them alike
    scenes = [Image.blend(Image.new("RGB", (240, 240), "grey"), drawn_scene(number), 0.3) for number in range(5)]
    width, height = scenes[0].size
    scenes.append(scenes[0].crop((round(0.08 * width), 0, width, round(0.95 * height))))
    files = [tmp_path / f"{number}.png" for number in range(len(scenes))]
    for file, scene in zip(files, scenes, strict=True):
        scene.save(file)
    store = PixelStore.build(files, 256, tmp_path / "pixels")
    context = context_of(store, tmp_path, backbones=backbones)
    context = replace(context, development=tuple(range(6)), holdout=(), folds=((0,) * 6,), labels=(0,) * 6)
    ((result,), _) = do(StudyBench(context), job(row(recipe(), trial=-1), kind=JobKind.ALIKE))
    assert [pair[:2] for pair in result.extras["pairs"]] == pairs
