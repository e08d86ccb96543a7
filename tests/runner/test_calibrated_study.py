"""A whole study's calibration: fitted on what its folds predicted, told with the choice, inside the final model."""

import json
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from runner_world import COLOURS, World, write_study

from tlsearch.final_files import ANSWERS, read_answers, read_final
from tlsearch.holdout import final_folder
from tlsearch.model import load_final
from tlsearch.stats import Calibration, calibrate

LEARNT = ("study.budget.trials=3", "search.epochs.low=20", "search.epochs.high=30")


@pytest.fixture(scope="module")
def plain_colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures that a head often tells apart, and is surer of than it should be."""
    root = tmp_path_factory.mktemp("colours")
    rng = np.random.default_rng(0)
    for name, colour in zip(("blue", "green", "red"), reversed(COLOURS), strict=True):
        (root / name).mkdir()
        for number in range(14):
            noise = rng.integers(-120, 120, size=(40, 40, 3)) + np.array(colour)
            Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(root / name / f"{number:02d}.png")
    return root


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, plain_colours: Path, shared_cache: Path) -> World:
    folder = tmp_path_factory.mktemp("calibrated")
    world = World(folder=folder, file=write_study(folder, plain_colours), cache=shared_cache)
    world.run(*LEARNT)
    return world


def told(world: World) -> tuple[Calibration, Path]:
    """What was told of the winner's calibration last, and the folder of its final model."""
    with world.store() as store:
        chosen = store.events("tiny", ["chosen"])[-1]
        folder = final_folder(store, "tiny")
    assert folder is not None
    return Calibration.from_json(chosen.data["calibration"]), folder


def test_the_choice_tells_what_a_temperature_does_to_the_winners_out_of_fold_answers(finished: World) -> None:
    with finished.store() as store:
        study = store.study("tiny")
        trial = store.events("tiny", ["chosen"])[-1].data["trial"]
        log_probs = store.predictions("tiny")[trial]
    assert study is not None
    context = study.context
    found, _ = told(finished)
    assert found.n == context["n_development"]
    alone = calibrate(log_probs, context["labels"], folds=np.zeros(len(log_probs)), groups=context["groups"])
    assert alone is not None
    assert found.before.log_loss == alone.before.log_loss
    assert found.corrects
    assert found.temperature == alone.temperature, "it is fitted on all of them"
    assert found.after != alone.after, "and measured by the study's own folds"


def test_the_final_model_and_its_saved_answers_are_at_the_temperature(finished: World) -> None:
    found, folder = told(finished)
    assert read_final(folder)["temperature"] == found.temperature
    model = load_final(folder, finished.host())
    assert (model.temperature, model.network.temperature) == (found.temperature, found.temperature)
    with finished.store() as store:
        (fitted,) = store.events("tiny", ["final_fitted"])
    assert fitted.data["temperature"] == found.temperature
    assert np.exp(read_answers(folder / ANSWERS).log_probs).sum(axis=1) == pytest.approx(1.0, abs=1e-5)


def test_a_final_model_that_an_earlier_version_fitted_without_a_temperature_is_fitted_anew(
    finished: World, tmp_path: Path
) -> None:
    world = replace(finished, folder=Path(shutil.copytree(finished.folder, tmp_path / "copy")))
    found, folder = told(world)
    copied = world.folder / "models" / folder.name
    older = copied.rename(copied.with_name("final-older"))
    with sqlite3.connect(world.folder / "study.db") as connection:
        (data,) = connection.execute("SELECT data FROM events WHERE kind = 'final_fitted'").fetchone()
        without = {key: value for key, value in json.loads(data).items() if key != "temperature"}
        without["folder"] = str(older)
        connection.execute("UPDATE events SET data = ? WHERE kind = 'final_fitted'", [json.dumps(without)])
        connection.execute("DELETE FROM events WHERE kind IN ('chosen', 'run_ended')")
    connection.close()
    assert not world.run(*LEARNT).was_complete
    assert told(world) == (found, copied)
    assert older.exists()
    assert world.kinds().count("final_fitted") == 2
