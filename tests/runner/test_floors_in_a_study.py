"""Floors and skewed classes in whole studies: what may be named, what is refused, and what is said."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from runner_world import STUDY, MakeWorld, World, draw_photos, write_study

from tlsearch.errors import StudyChangedError, StudyFileError
from tlsearch.records import Event, TrialKind, TrialState
from tlsearch.report.load import load_summary
from tlsearch.stats import per_class

CLASSES = ("blue", "green", "red")
# six start-up trials, which wait for no result
SMALL = ("study.budget.trials=6", "search.unfrozen=0", "search.epochs=[2, 20]", "baselines=[]")


def recalls(world: World, repeat: int = 0) -> dict[int, tuple[float, ...]]:
    """The share of each class's pictures that each completed trial found."""
    with world.store() as store:
        study = store.study("tiny")
        assert study is not None
        answers = store.predictions("tiny", repeat)
    labels = np.asarray(study.context["labels"])
    return {n: tuple(one.recall for one in per_class(log_probs, labels)) for n, log_probs in answers.items()}


def chosen(world: World) -> Event:
    with world.store() as store:
        return store.events("tiny", ["chosen"])[-1]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, photos: Path, shared_cache: Path) -> World:
    """The study without floors."""
    folder = tmp_path_factory.mktemp("plain")
    world = World(folder=folder, file=write_study(folder, photos), cache=shared_cache)
    world.run(*SMALL)
    return world


def test_only_what_keeps_a_floor_is_confirmed_and_named(make_world: MakeWorld, plain: World) -> None:
    found = recalls(plain)
    before = chosen(plain).data["trial"]
    label, wanted = next(  # a floor that what was named without it does not keep
        (label, max(each))
        for label, each in enumerate(zip(*found.values(), strict=True))
        if max(each) > found[before][label]
    )
    keeping = {number for number, recall in found.items() if recall[label] >= wanted}
    world = make_world()
    world.run(*SMALL, f"constraints.min_recall.{CLASSES[label]}={wanted}")
    assert recalls(world) == found, "a floor changes no trial that waits for no result"
    event = chosen(world)
    assert event.data["trial"] in keeping
    assert set(event.data["confirmed"]) <= keeping
    assert event.data["estimate"]["candidates"] == len(found), "all competed, and the floor took part in the choice"
    (floor,) = event.data["floors"]
    assert (floor["floor"], floor["wanted"], floor["holds"]) == (f"min_recall.{CLASSES[label]}", wanted, True)
    assert floor["reached"] == found[event.data["trial"]][label]
    assert floor["again"] == recalls(world, repeat=1)[event.data["trial"]][label]
    assert not any("no configuration keeps" in notice for notice in world.watch.notices)


def test_where_no_trial_keeps_the_floors_the_nearest_is_named_and_it_is_said(
    tmp_path: Path, shared_cache: Path
) -> None:
    photos = draw_photos(tmp_path / "photos")
    for name, other in (("blue", "red"), ("green", "blue"), ("red", "green")):  # which no answer can get all right
        rng = np.random.default_rng(len(name))
        mean = np.asarray(Image.open(photos / other / "01.png")).mean(axis=(0, 1))
        noise = rng.integers(-120, 120, size=(40, 40, 3)) + mean
        Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(photos / name / "00.png")
    world = World(folder=tmp_path, file=write_study(tmp_path, photos), cache=shared_cache)
    world.run(*SMALL, *(f"constraints.min_recall.{name}=1" for name in CLASSES))
    missed = {number: sum(1 - recall for recall in each) for number, each in recalls(world).items()}
    assert min(missed.values()) > 0
    event = chosen(world)
    assert missed[event.data["trial"]] == pytest.approx(min(missed.values()))
    assert event.data["confirmed"] == [event.data["trial"]]
    said = "no configuration keeps min_recall.blue = 1 and min_recall.green = 1 and min_recall.red = 1 at once"
    assert said in event.data["reason"]
    assert [notice for notice in world.watch.notices if said in notice]
    with world.store() as store:
        summary = load_summary(store, "tiny")
    assert [one.holds for one in summary.floors].count(False) >= 1
    assert summary.best is not None
    assert summary.best.estimate is not None
    assert summary.best.estimate.candidates == len(missed)


def test_a_floor_of_a_class_that_the_data_have_not_is_refused_before_anything_runs(world: World) -> None:
    with pytest.raises(StudyFileError) as refused:
        world.run("constraints.min_recall.rad=0.5", "constraints.min_precision.purple=0.5")
    told = {fault.place: fault.message for fault in refused.value.faults}
    assert told == {
        "constraints.min_recall.rad": "the data have no class 'rad'; did you mean 'red'?",
        "constraints.min_precision.purple": "the data have no class 'purple'; it has blue, green, red",
    }
    with world.store() as store:
        assert store.study("tiny") is None


def test_another_floor_is_another_study(make_world: MakeWorld) -> None:
    world = make_world()
    world.run(*SMALL, "constraints.min_recall.red=0.1")
    with pytest.raises(StudyChangedError, match=r"constraints\.min_recall\.red was 0\.1, is not set"):
        world.run(*SMALL)
    with pytest.raises(StudyChangedError, match=r"constraints\.min_recall\.red was 0\.1, is 0\.2"):
        world.run(*SMALL, "constraints.min_recall.red=0.2")
    assert world.run(*SMALL, "constraints.min_recall.red=0.1").was_complete


def test_with_a_floor_no_trial_is_stopped_for_its_early_score(make_world: MakeWorld) -> None:
    world = make_world()
    world.run("study.budget.trials=14", "search.unfrozen=[1]", "baselines=[]", "constraints.min_recall.red=0.1")
    trials = [trial for trial in world.trials() if trial.kind is TrialKind.SEARCH]
    assert len(trials) >= 6
    assert {trial.state for trial in trials} == {TrialState.COMPLETED}


def test_skewed_classes_are_answered_in_the_search_and_in_the_report(tmp_path: Path) -> None:
    photos = draw_photos(tmp_path / "photos", each=19)
    for number in range(6, 19):
        (photos / "red" / f"{number:02d}.png").unlink()
    text = STUDY.replace('metric = "accuracy"\n', "")
    world = World(folder=tmp_path / "run", file=write_study(tmp_path, photos, text), cache=tmp_path / "cache")
    world.folder.mkdir()
    world.run("study.budget.trials=8", "search.unfrozen=0", "baselines=[]")
    (said,) = [notice for notice in world.watch.notices if "so the score is" in notice]
    with world.store() as store:
        summary = load_summary(store, "tiny")
    assert summary.metric == "balanced_accuracy"
    assert summary.data.skew == said
    assert len({trial.recipe["imbalance"] for trial in world.trials()}) >= 3
    assert all(trial.params["imbalance"] == trial.recipe["imbalance"] for trial in world.trials())
    world.run("search.unfrozen=0", "baselines=[]", "study.budget.trials=9")
    assert not any("so the score is" in notice for notice in world.watch.notices), "said once"
