"""Copies of pictures in a whole study: they stay on one side, and are looked for once for all studies."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from near_world import cropped, drawn_scene, mirrored, recompressed
from runner_world import MakeWorld, World, draw_photos, write_study

from tlsearch.errors import StudyChangedError
from tlsearch.execution.inline import InlineExecutor
from tlsearch.execution.warm_up import WarmUp
from tlsearch.records import StudyRecord
from tlsearch.work import WorkerContext

ONE_TRIAL = "study.budget.trials=1"
COPIES = {"blue/recompressed.png": "blue/00.png", "green/turned.png": "green/03.png", "red/cropped.png": "blue/05.png"}


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of scenes, with copies of three of them; the last one under another label."""
    root = draw_photos(tmp_path_factory.mktemp("copied"))
    for number, file in enumerate(sorted(root.glob("*/*.png"))):
        drawn_scene(number).save(file)
    recompressed(drawn_scene(0), 60).save(root / "blue/recompressed.png")
    mirrored(drawn_scene(17)).save(root / "green/turned.png")
    cropped(drawn_scene(5), 0.02).save(root / "red/cropped.png")
    return root


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


class Counted:
    """Makes executors, and remembers what for."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.studies: list[str] = []

    def __call__(self, contexts: Sequence[WorkerContext]) -> InlineExecutor:
        self.studies.append(contexts[0].study)
        return self.world.inline(contexts)


def study(world: World) -> StudyRecord:
    with world.store() as store:
        (found,) = store.studies()
    return found


def sides_of(context: dict[str, Any]) -> dict[str, str]:
    return dict.fromkeys(context["holdout_files"], "held out") | dict.fromkeys(context["files"], "developed with")


@pytest.fixture
def world(make_world: MakeWorld, tmp_path: Path, copied: Path, cache: Path) -> World:
    return make_world("first", file=write_study(tmp_path, copied), cache=cache)


def test_copies_share_a_group_and_a_side_and_are_told(world: World) -> None:
    world.run(ONE_TRIAL)
    context = study(world).context
    groups = dict(zip(context["files"], context["groups"], strict=True))
    groups |= dict(zip(context["holdout_files"], context["holdout_groups"], strict=True))
    sides = sides_of(context)
    for copy, original in COPIES.items():
        assert groups[copy] == groups[original]
        assert sides[copy] == sides[original]
    assert len(set(groups.values())) == len(groups) - len(COPIES)
    near = {tuple(sorted(pair["files"])): pair for pair in context["findings"]["near"]}
    assert set(near) == {tuple(sorted(pair)) for pair in COPIES.items()}
    assert near["green/03.png", "green/turned.png"]["how"] == "mirrored"
    assert near["blue/05.png", "red/cropped.png"]["labels"] == ["blue", "red"]


def test_pictures_are_compared_once_for_all_studies_and_networks_do_not_move_the_holdout(
    world: World, make_world: MakeWorld, tmp_path: Path
) -> None:
    own = tmp_path / "own cache"
    world.cache = own
    first = Counted(world)
    world.run(ONE_TRIAL, make_executor=first)
    other = make_world("second", file=world.file, cache=own)
    larger = (
        world.file.read_text().replace('name = "tiny_b"', 'name = "tiny_b"\nimage_px = 64').replace('"tiny"', '"other"')
    )
    other.file = tmp_path / "other.toml"
    other.file.write_text(larger)
    second = Counted(other)
    other.run(ONE_TRIAL, make_executor=second)
    assert (first.studies, second.studies) == (["pictures", "tiny"], ["other"])
    assert sides_of(study(other).context) == sides_of(study(world).context)


def test_a_begun_study_stays_with_its_links_and_starts_no_worker_for_them(world: World, tmp_path: Path) -> None:
    warmed: list[WarmUp] = []
    world.run(ONE_TRIAL, warm_up=warmed.append)
    assert len(warmed) == 1, "a new study will need its workers"
    world.cache = tmp_path / "another cache"
    again = Counted(world)
    assert world.run(ONE_TRIAL, make_executor=again, warm_up=warmed.append).was_complete
    assert again.studies == []
    assert len(warmed) == 1, "one that has begun may turn out complete"


def test_a_study_that_began_before_pictures_were_compared_goes_on_with_its_split(world: World) -> None:
    with world.store() as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr("tlsearch.runner.story.LinkFinder", lambda **_: None)  # as older versions had none
        world.run(ONE_TRIAL)
        context = dict(study(world).context)
        context["findings"] = {k: v for k, v in context["findings"].items() if k not in ("near", "too_alike")}
        store.update_study("tiny", config=study(world).config, context=context)
    world.run("study.budget.trials=2")
    assert sides_of(study(world).context) == sides_of(context)
    assert len(world.trials()) > 1


def test_without_the_reference_network_hashes_are_compared_and_the_report_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TLSEARCH_LOAD_PLUGINS", "linear,folder")
    world.run(ONE_TRIAL)
    context = study(world).context
    assert len(context["findings"]["near"]) == len(COPIES)
    assert any("looked for without the network" in note for note in context["notes"])


def test_damaged_links_are_looked_for_again(world: World, make_world: MakeWorld, tmp_path: Path) -> None:
    world.cache = tmp_path / "own cache"
    world.run(ONE_TRIAL)
    (kept,) = (world.cache / "links").iterdir()
    kept.write_text(kept.read_text().replace("0.9", "0.8"))
    other = make_world("second", file=world.file, cache=world.cache)
    counted = Counted(other)
    other.run(ONE_TRIAL, make_executor=counted)
    assert counted.studies == ["pictures", "tiny"]
    assert study(other).context["findings"] == study(world).context["findings"]


def test_a_begun_study_whose_copy_was_deleted_is_refused_as_another_study(
    make_world: MakeWorld, tmp_path: Path, copied: Path, cache: Path
) -> None:
    photos = Path(shutil.copytree(copied, tmp_path / "own photos"))
    world = make_world("deleted", file=write_study(tmp_path, photos), cache=cache)
    world.run(ONE_TRIAL)
    (photos / "blue/recompressed.png").unlink()
    with pytest.raises(StudyChangedError, match="the data changed"):
        world.run(ONE_TRIAL)
