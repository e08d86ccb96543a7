"""What a run keeps for the pictures of its report: thumbnails, and where the winner looked when it erred."""

import base64
import json
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from runner_world import MakeWorld, World, draw_photos, one_thread, write_study

from tlsearch.execution.inline import InlineExecutor
from tlsearch.records import EpochRecord, Event, StudyRecord
from tlsearch.report.cells import cell_pictures, worst_mistakes
from tlsearch.runner.story import MakeExecutor
from tlsearch.runner.thumbnails import as_text, coloured, heated, thumbnail, thumbnails
from tlsearch.specs import Preprocessing
from tlsearch.work import Job, JobKind, Progress, RowResult, Workbench, WorkerContext
from tlsearch.workbench.scoring import failed_row

FEW = "study.budget.trials=1"


def kept(world: World) -> dict[str, Any]:
    """The file "pictures" of the study."""
    with world.store() as store:
        data = store.get_file("tiny", "pictures")
    assert data is not None
    found: dict[str, Any] = json.loads(data)
    return found


def pictured(world: World) -> list[Event]:
    with world.store() as store:
        return store.events("tiny", ["pictured"])


def winner(world: World) -> tuple[StudyRecord, np.ndarray]:
    """The study, and the out-of-fold predictions of its named best."""
    with world.store() as store:
        (study,) = store.studies()
        chosen = store.events("tiny", ["chosen"])[-1].data["trial"]
        return study, store.predictions("tiny")[chosen]


def opened(text: str) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(base64.b64decode(text))))


@dataclass
class At:
    """A workbench at which something happens in place of, or before, jobs of one kind."""

    inner: Workbench
    kind: JobKind
    happens: Callable[[Job, Callable[[EpochRecord | RowResult | Progress], None]], bool]

    def run(self, job: Job, emit: Callable[[EpochRecord | RowResult | Progress], None]) -> None:
        if job.kind is not self.kind or self.happens(job, emit):
            self.inner.run(job, emit)


def at(world: World, kind: JobKind, happens: Callable[..., bool]) -> MakeExecutor:
    def make(contexts: Sequence[WorkerContext]) -> InlineExecutor:
        return InlineExecutor(At(one_thread(contexts), kind, happens), results=world.folder / "results")

    return make


class Stopped(BaseException):
    """Ends a run from within, as a signal does."""


def stop(job: Job, emit: Callable[..., None]) -> bool:
    raise Stopped


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, photos: Path, shared_cache: Path) -> World:
    """One study that ran to its end; tests look, and change nothing."""
    folder = tmp_path_factory.mktemp("pictured")
    world = World(folder=folder, file=write_study(folder, photos), cache=shared_cache)
    world.run("study.budget.trials=6")
    return world


def test_every_picture_behind_a_cell_and_every_bad_mistake_has_a_thumbnail(finished: World) -> None:
    study, log_probs = winner(finished)
    labels, files = study.context["labels"], study.context["files"]
    places = {place for cell in cell_pictures(log_probs, labels).values() for place in cell}
    places |= set(worst_mistakes(log_probs, labels))
    pictures = kept(finished)
    assert {files[place] for place in places} <= set(pictures["thumbs"])
    assert pictures["media"] == "image/webp"
    for file, text in pictures["thumbs"].items():
        shown, photo = opened(text), np.asarray(Image.open(Path(study.context["root"]) / file))
        assert shown.shape == (32, 32, 3)  # as the study keeps it, from 40 px
        assert np.abs(shown.mean(axis=(0, 1)) - photo.mean(axis=(0, 1))).max() < 10


def test_the_worst_mistakes_show_where_the_model_of_their_own_fold_looked(finished: World) -> None:
    study, log_probs = winner(finished)
    files = study.context["files"]
    mistakes = worst_mistakes(log_probs, study.context["labels"])
    cams = kept(finished)["cams"]
    assert [cam["file"] for cam in cams] == [files[place] for place in mistakes] != []
    with finished.store() as store:
        (job,) = [path for path in (finished.folder / "results").iterdir() if path.name.startswith("explain-")]
        assert store.events("tiny", ["pictured"])[-1].data["cams"] == len(cams)
    assert {cam["fold"] for cam in cams} <= {0, 1, 2}
    assert len({cam["fold"] for cam in cams}) > 1
    assert all(opened(cam["image"]).shape == (160, 160, 3) for cam in cams)
    assert kept(finished)["cam_note"] == ""
    assert job.stat().st_size > 0


def test_it_is_one_event_and_one_phase_and_the_choice_comes_after_it(finished: World) -> None:
    kinds = finished.kinds()
    assert kinds.count("pictured") == 1
    assert kinds.index("final_fitted") < kinds.index("pictured") < kinds.index("chosen")
    with finished.store() as store:
        assert "pictures" in [event.data["phase"] for event in store.events("tiny", ["phase_timed"])]


def test_the_trial_keeps_the_epochs_that_it_was_scored_with(finished: World) -> None:
    study, _ = winner(finished)
    with finished.store() as store:
        trial = store.events("tiny", ["chosen"])[-1].data["trial"]
        mine = [epoch for epoch in store.epochs("tiny") if epoch.trial == trial and epoch.repeat == 0]
        record = next(record for record in store.trials("tiny") if record.number == trial)
    assert len(mine) == study.context["folds"] * sum(phase["epochs"] for phase in record.recipe["phases"])


def test_a_later_run_with_the_same_winner_keeps_the_pictures_and_another_winner_gets_its_own(world: World) -> None:
    world.run(FEW)
    before = kept(world)
    world.run("study.budget.trials=40", "study.budget.time=0.01s")  # nothing new is tried
    assert (len(pictured(world)), kept(world)) == (1, before)
    trials = 1
    while len({event.data["trial"] for event in pictured(world)}) == 1:
        trials += 3
        assert trials < 30, "some trial should beat the first"
        world.run(f"study.budget.trials={trials}")
    assert kept(world) != before
    with world.store() as store:
        assert pictured(world)[-1].data["trial"] == store.events("tiny", ["chosen"])[-1].data["trial"]


def test_a_run_that_is_stopped_while_it_explains_does_so_when_it_is_run_again(make_world: MakeWorld) -> None:
    straight, stopped = make_world("straight"), make_world("stopped")
    straight.run(FEW)
    with pytest.raises(Stopped):
        stopped.run(FEW, make_executor=at(stopped, JobKind.EXPLAIN, stop))
    assert "chosen" not in stopped.kinds()
    assert not stopped.run(FEW).was_complete
    assert kept(stopped) == kept(straight)
    assert stopped.kinds().count("pictured") == 1


def test_models_that_cannot_be_fitted_again_fail_no_run_and_the_report_is_told(world: World) -> None:
    def fail(job: Job, emit: Callable[..., None]) -> bool:
        emit(failed_row(job, job.rows[0], ZeroDivisionError("nothing to divide"), 0.0))
        return False

    assert world.run(FEW, make_executor=at(world, JobKind.EXPLAIN, fail)).why == "trials"
    pictures = kept(world)
    assert pictures["cams"] == []
    assert "could not be fitted again: ZeroDivisionError: nothing to divide" in pictures["cam_note"]
    assert pictures["thumbs"]
    assert world.run(FEW).was_complete


def test_without_time_there_are_thumbnails_alone_and_the_next_run_with_time_explains(world: World) -> None:
    with pytest.raises(Stopped):
        world.run(FEW, make_executor=at(world, JobKind.EXPLAIN, stop))
    world.run(FEW, "study.budget.time=0.01s")
    assert kept(world)["cams"] == []
    assert "the time budget is used up" in kept(world)["cam_note"]
    assert kept(world)["thumbs"]
    world.run("study.budget.trials=2", "study.budget.time=1h")
    assert kept(world)["cams"]
    assert kept(world)["cam_note"] == ""


def test_a_study_that_was_finished_without_pictures_stays_complete(world: World) -> None:
    world.run(FEW)
    connection = sqlite3.connect(world.folder / "study.db")
    with connection:
        connection.execute("DELETE FROM events WHERE kind = 'pictured'")
        connection.execute("DELETE FROM files WHERE name = 'pictures'")
    connection.close()
    assert world.run(FEW).was_complete


def test_equal_pictures_and_likely_label_errors_have_thumbnails_too(
    make_world: MakeWorld, tmp_path: Path, shared_cache: Path
) -> None:
    photos = draw_photos(tmp_path / "photos", each=60)
    shutil.copy(photos / "red" / "00.png", photos / "red" / "zz.png")
    folder = tmp_path / "own"
    folder.mkdir()
    world = make_world("with-copies", folder=folder, file=write_study(folder, photos))
    with pytest.raises(Stopped):
        world.run(FEW, make_executor=at(world, JobKind.FINAL, stop))
    suspected = [{"file": f"blue/{number:02d}.png"} for number in range(60)]
    with world.store() as store:
        store.put_file("tiny", "data_check", json.dumps({"label_errors": suspected}).encode())
    world.run(FEW)
    shown = set(kept(world)["thumbs"])
    assert {"red/00.png", "red/zz.png"} <= shown
    assert {error["file"] for error in suspected[:48]} <= shown


def test_a_thumbnail_is_the_whole_picture_with_a_longer_side_of_96_pixels() -> None:
    assert opened(as_text(thumbnail(np.full((300, 150, 3), 90, dtype=np.uint8)))).shape == (96, 48, 3)
    assert opened(as_text(thumbnail(np.full((20, 30, 3), 90, dtype=np.uint8)))).shape == (20, 30, 3)


def test_thumbnails_end_where_the_room_does() -> None:
    rng = np.random.default_rng(0)
    pictures = [(f"<{number}>", rng.integers(0, 255, (96, 96, 3)).astype(np.uint8)) for number in range(6)]
    all_of_them = thumbnails(pictures, 10**7)
    assert list(all_of_them) == [name for name, _ in pictures]
    some = thumbnails(pictures, len(json.dumps(all_of_them)) // 2)
    assert list(some) == [name for name, _ in pictures[:3]][: len(some)]
    assert 2 <= len(some) <= 3
    assert thumbnails(pictures, 0) == {}


def test_light_falls_where_the_map_says_within_the_square_that_the_network_sees() -> None:
    grey = np.full((100, 200, 3), 128, dtype=np.uint8)
    grid = np.zeros((4, 4), dtype=np.float32)
    grid[0, 3] = 1.0  # top right of the square
    lit = opened(as_text(heated(grey, grid, Preprocessing(crop_fraction=0.5)))).astype(int)
    assert lit.shape == (160, 160, 3)
    assert lit[10, 150].min() > 140
    assert np.abs(lit[80:, :80] - 128).max() <= 4
    nothing = np.zeros((4, 4), dtype=np.float32)
    assert np.abs(opened(as_text(heated(grey, nothing, Preprocessing()))).astype(int) - 128).max() <= 4


def test_a_picture_is_paled_so_that_its_own_colours_are_not_taken_for_light() -> None:
    orange = np.full((50, 50, 3), (240, 140, 40), dtype=np.uint8)
    shown = opened(as_text(heated(orange, np.zeros((2, 2), dtype=np.float32), Preprocessing()))).astype(int)
    assert 20 < np.ptp(shown.mean(axis=(0, 1))) < 80, "from 200 between its red and its blue"


def test_the_colours_of_a_map_become_lighter_all_the_way() -> None:
    lightness = coloured(np.linspace(0, 1, 50, dtype=np.float32)) @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness) > 0).all()
