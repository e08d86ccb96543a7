"""Whole studies on two tiny networks: what a run leaves behind, and what the next one does with it."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from runner_world import NETS, MakeWorld, World, draw_photos, write_study

from tlsearch.errors import NothingCompletedError, StudyChangedError, WeightsError
from tlsearch.execution.inline import InlineExecutor
from tlsearch.records import TrialKind, TrialRecord, TrialState
from tlsearch.training.recipe import Recipe
from tlsearch.work import WorkerContext

SHORT = "study.budget.trials=4"
OBSERVER = """
from tlsearch import hookimpl

@hookimpl
def tlsearch_epoch_finished(epoch):
    raise ZeroDivisionError("of the observer's own")
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, photos: Path, shared_cache: Path) -> World:
    """One study that ran to its end; tests look, and change nothing."""
    folder = tmp_path_factory.mktemp("finished")
    world = World(folder=folder, file=write_study(folder, photos), cache=shared_cache)
    assert not world.run().was_complete
    return world


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory, photos: Path, shared_cache: Path) -> World:
    """One with a smaller budget, which shares its trials out to jobs in another way."""
    folder = tmp_path_factory.mktemp("short")
    world = World(folder=folder, file=write_study(folder, photos), cache=shared_cache)
    world.run(SHORT)
    return world


def told(trials: list[TrialRecord]) -> list[tuple[object, ...]]:
    """What of a trial must not depend on when, and in how many runs, it was computed."""
    return [
        (t.number, t.kind, t.state, t.name, dict(t.params), t.score, t.fold_scores, t.reason, t.facts) for t in trials
    ]


def test_the_budget_is_counted_without_baselines(finished: World) -> None:
    trials = finished.trials()
    assert sum(trial.counted for trial in trials) == 12
    assert [trial.name for trial in trials if trial.kind is TrialKind.BASELINE] == ["a plain probe"]
    assert all(trial.state in (TrialState.COMPLETED, TrialState.PRUNED) for trial in trials)


def test_baselines_come_first_then_every_backbone_gets_its_start(finished: World) -> None:
    baseline, *trials = finished.trials()
    assert baseline.kind is TrialKind.BASELINE
    startup = [trial for trial in trials if trial.kind is TrialKind.STARTUP]
    assert trials[: len(startup)] == startup
    for name in ("tiny_a", "tiny_b"):
        mine = [Recipe.from_json(trial.recipe) for trial in startup if trial.params["backbone"] == name]
        assert len(mine) >= 3
        assert any(recipe.fine_tunes for recipe in mine)


def test_every_ranked_trial_ran_on_all_folds(finished: World) -> None:
    for trial in finished.trials():
        assert len(trial.fold_scores) == (3 if trial.state is TrialState.COMPLETED else 1)
        assert (trial.score is not None) == (trial.state is TrialState.COMPLETED)
        assert trial.attempts == 1


def test_the_top_five_and_the_baselines_are_confirmed_and_one_of_the_top_is_fitted_and_chosen(finished: World) -> None:
    done = [trial for trial in finished.trials() if trial.state is TrialState.COMPLETED]
    baselines = {trial.number for trial in done if trial.kind is TrialKind.BASELINE}
    ranked = [trial for trial in done if trial.number not in baselines]
    top = sorted(ranked, key=lambda trial: (-(trial.score or 0.0), trial.number))[:5]
    with finished.store() as store:
        confirmed = store.confirmations("tiny")
        (chosen,) = store.events("tiny", ["chosen"])
        (fitted,) = store.events("tiny", ["final_fitted"])
        again = store.predictions("tiny", repeat=1)
        importance = json.loads(store.get_file("tiny", "importance") or b"")
    assert {c.trial for c in confirmed} == {trial.number for trial in top} | baselines == set(again)
    assert all(c.repeat == 1 and c.score is not None and len(c.fold_scores) == 3 for c in confirmed)
    assert chosen.data["trial"] in {trial.number for trial in top}
    assert fitted.data["trial"] == chosen.data["trial"]
    assert {file.name for file in Path(fitted.data["folder"]).iterdir()} == {
        "model.safetensors",
        "final.json",
        "development.npz",
        "holdout.npz",
    }
    assert "under 20" in importance["withheld"]


def test_the_event_log_tells_the_run_in_order(finished: World) -> None:
    kinds = [line["kind"] for line in finished.logged()]
    order = ("run_started", "prepared", "asked", "dispatched", "epoch", "result", "told", "confirmed", "final_fitted")
    first = [kinds.index(kind) for kind in order]
    assert first == sorted(first)
    assert kinds[-2:] == ["chosen", "run_ended"]
    assert kinds.count("prepared") == 2
    assert kinds.count("dispatched") == kinds.count("asked")  # one job at a time, so the time is asked about in between
    assert [line for line in finished.logged() if line["kind"] == "epoch" and line["fold"] == -1]  # of the final fit


def test_the_plugin_files_of_a_run_are_on_the_record(finished: World) -> None:
    with finished.store() as store:
        (started,) = store.events("tiny", ["run_started"])
    digest = hashlib.sha256(NETS.read_bytes()).hexdigest()
    assert started.data["plugin_files"] == [{"name": "tiny_nets.py", "sha256": digest}]


def test_progress_counts_up_to_the_budget(finished: World) -> None:
    done = [state.trials_done for state in finished.watch.states]
    assert done == sorted(done)
    assert done[-1] == 12
    assert finished.watch.notices == []


def test_the_same_command_again_says_complete_and_repeats_nothing(make_world: MakeWorld) -> None:
    world = make_world()
    world.run("study.budget.trials=3")
    before, log = world.kinds(), world.logged()
    again = world.run("study.budget.trials=3")
    assert (again.was_complete, again.why) == (True, "trials")
    assert world.kinds() == before
    assert world.logged() == log
    assert world.run("study.budget.trials=2").was_complete  # nor does a lower budget ask for anything


def test_pictures_that_moved_are_found_again_by_the_next_run(
    make_world: MakeWorld, photos: Path, tmp_path: Path
) -> None:
    world = make_world()
    world.run("study.budget.trials=1")
    moved = shutil.copytree(photos, tmp_path / "moved")
    assert world.run("study.budget.trials=1", f"data.path={moved}").was_complete
    with world.store() as store:
        (study,) = store.studies()
    assert study.context["root"] == str(moved)


def test_a_raised_budget_goes_on_from_there_and_changes_no_number(make_world: MakeWorld) -> None:
    world = make_world()
    world.run("study.budget.trials=6")
    early = told(world.trials())
    outcome = world.run("study.budget.trials=9")
    assert not outcome.was_complete
    trials = world.trials()
    assert told(trials)[: len(early)] == early
    assert sum(trial.counted for trial in trials) == 9
    assert all(trial.attempts == 1 for trial in trials)
    kinds = world.kinds()
    assert kinds.count("chosen") == 2
    assert kinds.count("prepared") == 2  # one a backbone, by the first run


def test_a_baseline_that_is_written_anew_is_run_and_the_old_one_stays(make_world: MakeWorld) -> None:
    world = make_world()
    world.run("study.budget.trials=3")
    world.file.write_text(world.file.read_text().replace("learning_rate = 1e-2", "learning_rate = 3e-3"))
    assert not world.run("study.budget.trials=3").was_complete
    baselines = [trial for trial in world.trials() if trial.kind is TrialKind.BASELINE]
    assert [Recipe.from_json(trial.recipe).phases[0].learning_rate for trial in baselines] == [1e-2, 3e-3]
    assert world.run("study.budget.trials=3").was_complete


def test_a_final_model_that_was_deleted_is_fitted_again(make_world: MakeWorld) -> None:
    world = make_world()
    world.run("study.budget.trials=3")
    (folder,) = (world.folder / "models").iterdir()
    weights = (folder / "model.safetensors").read_bytes()
    for file in folder.iterdir():
        file.unlink()
    assert not world.run("study.budget.trials=3").was_complete
    assert (folder / "model.safetensors").read_bytes() == weights


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("search.epochs.high=2", "search.epochs.high was 3, is 2"),
        ("study.seed=4", "study.seed was 3, is 4"),
        ("study.metric=log_loss", 'study.metric was "accuracy", is "log_loss"'),
        ("search.sampler=random", 'search.sampler was "tpe", is "random"'),
        ("data.views=4", "data.views was 8, is 4"),
        ("data.holdout=0.3", "data.holdout was 0.2, is 0.3"),
        ("backbones.tiny_a.image_px=24", "backbones.tiny_a.image_px was 32, is 24"),
    ],
)
def test_another_study_under_the_same_name_is_refused_and_the_difference_named(
    world: World, override: str, named: str
) -> None:
    world.run("study.budget.trials=1")
    before = world.kinds()
    with pytest.raises(StudyChangedError) as caught:
        world.run("study.budget.trials=1", override)
    assert caught.value.differences == (named,)
    assert "--new-study" in (caught.value.hint or "")
    assert world.kinds() == before


def test_a_backbone_that_is_added_to_a_begun_study_is_refused_and_named(world: World) -> None:
    text = world.file.read_text()
    second = '[[backbones]]\nname = "tiny_b"\nweights = "random"\n'
    world.file.write_text(text.replace(second, ""))
    world.run("study.budget.trials=1")
    world.file.write_text(text)
    with pytest.raises(StudyChangedError) as caught:
        world.run("study.budget.trials=1")
    assert "backbones.tiny_b.name" in " ".join(caught.value.differences)


def test_pictures_are_kept_as_large_as_a_baseline_prepares_them(make_world: MakeWorld) -> None:
    world = make_world()
    text = world.file.read_text()
    wide = text.replace("[run]", "preprocessing = { crop_fraction = 0.8 }\n[run]")
    world.file.write_text(wide)
    world.run("study.budget.trials=1")
    with world.store() as store:
        study = store.study("tiny")
    assert study is not None
    assert study.context["shorter_px"] == 40
    world.file.write_text(text)  # pictures stay as they are kept where the baseline is written anew
    assert not world.run("study.budget.trials=1").was_complete
    assert world.run("study.budget.trials=1").was_complete


def test_a_baseline_that_needs_larger_pictures_than_a_begun_study_keeps_is_refused(make_world: MakeWorld) -> None:
    world = make_world()
    world.run("study.budget.trials=1")
    text = world.file.read_text()
    world.file.write_text(text.replace("[run]", "preprocessing = { crop_fraction = 0.8 }\n[run]"))
    with pytest.raises(StudyChangedError, match="a baseline needs pictures of 40 px, and the study keeps 32 px"):
        world.run("study.budget.trials=1")


def test_a_study_that_was_stopped_before_its_first_trial_may_still_be_changed(world: World) -> None:
    def interrupted(contexts: Sequence[WorkerContext]) -> InlineExecutor:
        if contexts[0].study == "tiny":
            raise KeyboardInterrupt
        return world.inline(contexts)  # which compares pictures, for all studies

    with pytest.raises(KeyboardInterrupt):
        world.run("study.budget.trials=1", make_executor=interrupted)
    assert world.kinds()[0] == "run_started"
    world.run("study.budget.trials=1", "study.seed=4")
    with world.store() as store:
        study = store.study("tiny")
    assert study is not None
    assert study.definition["seed"] == "4"
    assert study.config["study"]["seed"] == 4


def test_pictures_that_changed_make_it_another_study(tmp_path: Path, make_world: MakeWorld) -> None:
    photos = draw_photos(tmp_path / "own")
    world = make_world("own-run")
    write_study(world.folder, photos)
    world.run("study.budget.trials=1")
    (photos / "red" / "00.png").unlink()
    with pytest.raises(StudyChangedError, match="the data changed"):
        world.run("study.budget.trials=1")


def test_an_observer_that_raises_is_named_once_and_changes_nothing(
    make_world: MakeWorld, short: World, tmp_path: Path
) -> None:
    raising = tmp_path / "raising.py"
    raising.write_text(OBSERVER)
    world = make_world(plugins=(*short.plugins, raising))
    world.run(SHORT)
    (notice,) = world.watch.notices
    assert "'raising'" in notice
    assert "ZeroDivisionError" in notice
    assert told(world.trials()) == told(short.trials())
    assert "notice" in world.kinds()


def test_baselines_whose_backbone_is_left_out_are_announced(make_world: MakeWorld) -> None:
    world = make_world()
    text = world.file.read_text().replace('name = "tiny_a"\nweights = "random"', 'name = "tiny_a"')
    world.file.write_text(text.replace("[run]", '[run]\non_missing_weights = "skip"'))
    world.run("study.budget.trials=1")
    backbone, baseline = world.watch.notices
    assert backbone == "left out: backbone 'tiny_a': no weights can be had: its plugin names no source"
    assert "left out: baseline 'a plain probe'" in baseline
    assert {trial.recipe["backbone"] for trial in world.trials()} == {"tiny_b"}
    assert world.run("study.budget.trials=1").was_complete


def test_a_backbone_that_may_not_be_left_out_is_named_once(make_world: MakeWorld) -> None:
    world = make_world()
    world.file.write_text(world.file.read_text().replace('name = "tiny_a"\nweights = "random"', 'name = "tiny_a"'))
    with pytest.raises(WeightsError) as caught:
        world.run('run.on_missing_weights="error"')
    assert caught.value.message == "backbone 'tiny_a': no weights can be had: its plugin names no source"


def test_a_study_whose_trials_all_fail_ends_with_the_first_failure(make_world: MakeWorld) -> None:
    world = make_world()
    only = ('search.heads=["failing"]', "study.budget.trials=3", "baselines=[]")
    with pytest.raises(NothingCompletedError, match=r"no trial completed \(3 failed\).*ZeroDivisionError") as caught:
        world.run(*only)
    assert caught.value.exit_code == 1
    with pytest.raises(NothingCompletedError):
        world.run(*only)
    assert [trial.state for trial in world.trials()] == [TrialState.FAILED] * 3
    assert world.kinds()[-1] == "run_stopped"


def test_a_failing_trial_is_never_chosen(make_world: MakeWorld) -> None:
    world = make_world()
    world.run('search.heads=["linear", "failing"]', "study.budget.trials=6")
    by_number = {trial.number: trial for trial in world.trials()}
    states = [trial.state for trial in by_number.values()]
    assert TrialState.FAILED in states
    with world.store() as store:
        (chosen,) = store.events("tiny", ["chosen"])
    assert by_number[chosen.data["trial"]].state is TrialState.COMPLETED


def test_the_study_of_another_folder_shares_features_and_gives_the_same_numbers(
    make_world: MakeWorld, short: World
) -> None:
    world = make_world("elsewhere")
    world.run(SHORT)
    assert told(world.trials()) == told(short.trials())
