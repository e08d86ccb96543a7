"""FINAL and TRUTH jobs: the model that is saved gives the answers that were saved with it."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import engine_nets
import numpy as np
import pytest
import torch
from engine_world import DEVELOPMENT, HOLDOUT, PLUGIN, STORED_PX, choice, do, job, recipe, row, squares
from PIL import Image

from tlsearch.data.pillow_rules import fit
from tlsearch.data.pixels import PixelStore, shrink
from tlsearch.errors import WeightsError
from tlsearch.final_files import is_sound, read_final
from tlsearch.host import PluginHost
from tlsearch.model import load_final
from tlsearch.records import FailureReason, TrialState
from tlsearch.stats import tempered, wilson
from tlsearch.training.recipe import Recipe
from tlsearch.work import JobKind, RowResult, WorkerContext
from tlsearch.workbench.bench import StudyBench
from tlsearch.workbench.final import CHECKED, CLOSE, evenly_chosen

TUNED = recipe(2, head="mlp", head_params={"hidden": 16}, augment="flip")
RECIPES = {
    "head alone": recipe(),
    "fine-tuned": TUNED,
    "everything": recipe(None, epochs=1),
    "on the map": recipe(1, head="map_head"),
    "other preprocessing": recipe(1, preprocessing={"resize": "squash", "channels": "bgr"}),
}


def fit_final(context: WorkerContext, plan: Recipe, **options: float) -> RowResult:
    ((result,), _) = do(StudyBench(context), job(row(plan, 4), kind=JobKind.FINAL, options=options))
    assert result.state is TrialState.COMPLETED, result.detail
    return result


def load(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Read a final model as a later process would: pictures to probabilities."""
    model = load_final(folder, PluginHost.load(files=[PLUGIN]))

    @torch.no_grad()
    def predict(pixels: np.ndarray) -> np.ndarray:
        return np.asarray(model.network(torch.from_numpy(pixels)).numpy())

    return predict


@pytest.mark.parametrize("plan", RECIPES.values(), ids=RECIPES)
def test_the_saved_model_gives_the_saved_answers_from_pixels(
    context: WorkerContext, drawn: PixelStore, plan: Recipe
) -> None:
    result = fit_final(context, plan)
    folder = Path(result.extras["folder"])
    model = load_final(folder, PluginHost.load(files=[PLUGIN]))
    for part, indices in (("development", context.development), ("holdout", context.holdout)):
        with np.load(folder / f"{part}.npz") as saved:
            assert saved["index"].tolist() == list(indices)
            expected = np.exp(saved["log_probs"])
        answers = load(folder)(squares(drawn, indices, model.preprocessing))
        assert np.abs(answers - expected).max() <= CLOSE
    assert result.extras["cached_difference"] <= CLOSE, "and the cache said the same while it was trained"


def falsify(context: WorkerContext) -> None:
    """Give every cached feature another value, and its entry the checksum of that: to a reader it is sound."""
    for meta in Path(context.cache).glob("features/*.json"):
        told = json.loads(meta.read_text())
        values = np.fromfile(meta.with_suffix(".bin"), dtype=told["dtype"]) + 0.5
        values.tofile(meta.with_suffix(".bin"))
        header = json.dumps([told["shape"], told["dtype"]]).encode()
        told["checksum"] = hashlib.blake2b(values.tobytes() + header, digest_size=16).hexdigest()
        meta.write_text(json.dumps(told))


def test_where_the_cache_says_something_else_all_answers_are_from_pixels(
    context: WorkerContext, drawn: PixelStore
) -> None:
    do(StudyBench(context), job(row(recipe())))  # fills the cache
    falsify(context)
    result = fit_final(context, recipe())
    assert result.extras["cached_difference"] > 1e-3
    folder = Path(result.extras["folder"])
    for part, indices in (("development", context.development), ("holdout", context.holdout)):
        with np.load(folder / f"{part}.npz") as saved:
            assert np.abs(load(folder)(squares(drawn, indices)) - np.exp(saved["log_probs"])).max() <= CLOSE


@pytest.mark.parametrize("count", [1, 6, 40, 1000])
def test_the_pictures_that_are_checked_are_of_all_classes_and_from_both_ends(count: int) -> None:
    labels = np.array([0] * 50 + [2] * 3 + [1] * 40)
    places = evenly_chosen(labels, count)
    assert set(labels[places].tolist()) == {0, 1, 2}
    assert {0, len(labels) - 1} <= set(places.tolist())
    assert np.array_equal(places, np.unique(places))
    assert len(places) >= min(count, 27)


def test_what_a_small_class_cannot_give_comes_from_the_others() -> None:
    labels = np.array([0] * 5 + [1] * 5_000)
    places = evenly_chosen(labels, CHECKED)
    assert len(places) == len(np.unique(places)) >= CHECKED
    assert (labels[places] == 0).sum() == 5
    assert len(evenly_chosen(labels[:50], CHECKED)) == 50, "all, where there are fewer"


def test_a_temperature_is_in_the_saved_model_and_in_its_saved_answers(
    context: WorkerContext, drawn: PixelStore
) -> None:
    plain, warm = (fit_final(context, recipe(start="random"), temperature=t) for t in (1.0, 2.5))
    folders = [Path(result.extras["folder"]) for result in (plain, warm)]
    for part, indices in (("development", context.development), ("holdout", context.holdout)):
        one, other = (np.load(folder / f"{part}.npz")["log_probs"] for folder in folders)
        np.testing.assert_allclose(other, tempered(one, 2.5), atol=5e-4)
        assert np.abs(np.exp(other) - np.exp(one)).max() > 0.05
        assert np.abs(load(folders[1])(squares(drawn, indices)) - np.exp(other)).max() <= CLOSE
    assert warm.extras["cached_difference"] <= CLOSE, "both sides of the comparison are at the temperature"


def test_a_model_of_another_temperature_is_another_model_beside_the_first(context: WorkerContext) -> None:
    folders = [Path(fit_final(context, recipe(), temperature=t).extras["folder"]) for t in (1.0, 2.5, 1.0)]
    assert folders[0] == folders[2] != folders[1]
    assert all(is_sound(folder) for folder in folders)
    told = [read_final(folder) for folder in folders]
    assert [one["temperature"] for one in told] == [1.0, 2.5, 1.0]
    assert told[0]["digest"] == told[2]["digest"] != told[1]["digest"], "a holdout's opening is recorded by it"


def test_the_final_model_is_trained_on_every_development_picture(context: WorkerContext) -> None:
    ((result,), epochs) = do(StudyBench(context), job(row(TUNED, 4), kind=JobKind.FINAL))
    with np.load(Path(result.extras["folder"]) / "development.npz") as saved:
        right = saved["log_probs"].argmax(axis=1) == np.array(context.labels[:DEVELOPMENT])
    assert right.mean() > 0.8
    assert [(e.fold, e.epoch, e.trial) for e in epochs] == [(-1, epoch, 4) for epoch in range(TUNED.epochs)]


def test_the_holdout_decides_nothing_of_the_final_model(context: WorkerContext) -> None:
    labels = (*context.labels[:DEVELOPMENT], *([0] * HOLDOUT))
    digests = []
    for number, study in enumerate((context, replace(context, labels=labels, holdout=()))):
        folder = Path(fit_final(replace(study, models=f"{context.models}-{number}"), TUNED).extras["folder"])
        digests.append(hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest())
    assert digests[0] == digests[1]


def test_the_folder_tells_all_that_is_needed_to_build_the_model_again(context: WorkerContext) -> None:
    result = fit_final(context, TUNED)
    folder = Path(result.extras["folder"])
    told = json.loads((folder / "final.json").read_text())
    assert Recipe.from_json(told["recipe"]) == TUNED
    assert (told["trial"], told["classes"], told["image_px"]) == (4, list(context.classes), 32)
    assert (told["stored_px"], told["framework"], told["temperature"]) == (STORED_PX, "torch", 1.0)
    assert told["digest"] == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert result.facts is not None
    assert (result.facts.unfrozen, result.facts.stages) == (2, 4)


def test_the_backbone_is_pristine_again_for_the_trials_that_follow(context: WorkerContext) -> None:
    bench = StudyBench(context)
    ((before,), _) = do(bench, job(row(recipe(1))))
    do(bench, job(row(TUNED, 4), kind=JobKind.FINAL))
    ((after,), _) = do(bench, job(row(recipe(1))))
    assert before.log_probs is not None
    assert after.log_probs is not None
    assert before.log_probs.tobytes() == after.log_probs.tobytes()


def test_fitting_again_replaces_the_folder_and_gives_the_same_bytes(context: WorkerContext) -> None:
    folder = Path(fit_final(context, TUNED).extras["folder"])
    first = {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix != ".npz"}
    folder.joinpath("model.safetensors").write_bytes(b"damaged")
    folder.with_name(folder.name + ".tmp").mkdir()  # what a killed process left
    assert Path(fit_final(context, TUNED).extras["folder"]) == folder
    assert {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix != ".npz"} == first
    assert [path.name for path in Path(context.models).iterdir()] == [folder.name]


def test_a_final_fit_that_diverges_fails_and_leaves_no_folder(context: WorkerContext) -> None:
    plan = recipe(1, start="random", optimizer="sgd", clip_norm=None, learning_rate=1e30)
    ((result,), _) = do(StudyBench(context), job(row(plan), kind=JobKind.FINAL))
    assert (result.state, result.reason) == (TrialState.FAILED, FailureReason.NON_FINITE)
    assert not Path(context.models).exists()


def test_a_damaged_model_is_refused_with_both_digests(context: WorkerContext) -> None:
    folder = Path(fit_final(context, recipe()).extras["folder"])
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(WeightsError, match="is damaged: its sha256 is"):
        load(folder)


@pytest.mark.parametrize("missing", ["model.safetensors", "final.json"])
def test_a_model_without_one_of_its_files_is_refused(context: WorkerContext, missing: str) -> None:
    folder = Path(fit_final(context, recipe()).extras["folder"])
    (folder / missing).unlink()
    with pytest.raises(WeightsError, match="cannot be read"):
        load(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '{"backbone": {}, "recipe": {}}'])
def test_a_model_whose_description_says_too_little_is_refused(context: WorkerContext, content: str) -> None:
    folder = Path(fit_final(context, recipe()).extras["folder"])
    (folder / "final.json").write_text(content)
    with pytest.raises(WeightsError, match="cannot be read"):
        load(folder)


def test_a_model_whose_plugin_builds_another_network_now_is_refused(context: WorkerContext, tmp_path: Path) -> None:
    folder = Path(fit_final(context, recipe()).extras["folder"])
    plugin = tmp_path / "changed.py"
    plugin.write_text(PLUGIN.read_text().replace("(3, 8, 8, 12, 16)", "(3, 8, 8, 10, 16)"))
    with pytest.raises(WeightsError, match="does not fit what its plugins build now") as caught:
        load_final(folder, PluginHost.load(files=[plugin]))
    assert "'small' or 'linear' changed" in str(caught.value.hint)


def truth_of(context: WorkerContext, folder: str, *, count: int, seed: int = 11) -> RowResult:
    options = {"folder": folder, "n": count, "seed": seed}
    ((result,), _) = do(StudyBench(context), job(row(TUNED, 4), kind=JobKind.TRUTH, options=options))
    return result


def test_the_truth_is_the_saved_models_accuracy_on_fresh_drawings(context: WorkerContext) -> None:
    folder = fit_final(context, TUNED).extras["folder"]
    result = truth_of(context, folder, count=50)  # one full batch, and a part of one
    assert result.state is TrialState.COMPLETED, result.detail
    pictures, labels = zip(*islice(engine_nets.fresh(11), 50), strict=True)
    rules = choice("small").preprocessing
    stored = [np.asarray(shrink(Image.fromarray(pixels), STORED_PX)) for pixels in pictures]
    keys = ("resize", "crop_fraction", "interpolation")
    pixels = np.stack([fit(p, image_px=32, **{key: rules[key] for key in keys}) for p in stored])
    right = int((load(Path(folder))(pixels).argmax(axis=1) == np.array(labels)).sum())
    interval = wilson(right, 50)
    assert result.extras == {
        "n": 50,
        "score": pytest.approx(right / 50),
        "accuracy": right / 50,
        "low": interval.low,
        "high": interval.high,
    }
    assert right > 25
    assert truth_of(context, folder, count=50).extras == result.extras
    assert truth_of(context, folder, count=50, seed=12).extras != result.extras


def test_the_truth_is_that_of_the_probabilities_at_the_temperature(context: WorkerContext) -> None:
    losses = replace(context, metric="log_loss")
    folders = [fit_final(losses, TUNED, temperature=t).extras["folder"] for t in (1.0, 8.0)]
    plain, warm = (truth_of(losses, folder, count=50).extras for folder in folders)
    assert plain["accuracy"] == warm["accuracy"]
    assert abs(plain["score"] - warm["score"]) > 0.1


def test_a_truth_that_cannot_be_scored_fails_alone(context: WorkerContext, tmp_path: Path) -> None:
    folder = Path(fit_final(context, TUNED).extras["folder"])
    gone = Path(shutil.move(folder, tmp_path / "moved"))
    assert gone.exists()
    result = truth_of(context, str(folder), count=5)
    assert (result.state, result.reason) == (TrialState.FAILED, FailureReason.EXCEPTION)
    assert "cannot be read" in result.detail
