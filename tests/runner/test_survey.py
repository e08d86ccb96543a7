"""Surveys: all that is wrong with some pictures is told at once, and sound ones are looked at by a network."""

import shutil
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from runner_world import NETS, STUDY, World, draw_photos, one_thread, write_study

from tlsearch.data.linking import FindLinks, Links
from tlsearch.data.pixels import PixelStore
from tlsearch.errors import DataError, StoreError, TlsearchError
from tlsearch.execution.inline import InlineExecutor
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.report.survey import Survey, render_survey
from tlsearch.runner import Places
from tlsearch.runner.survey import survey
from tlsearch.study import check_study


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return draw_photos(tmp_path / "photos", each=8)


def surveyed(
    photos: Path,
    cache: Path,
    study: dict[str, Any] | None = None,
    search: dict[str, Any] | None = None,
    find_links: FindLinks | None = None,
    constraints: dict[str, Any] | None = None,
    **data: Any,
) -> Survey:
    host = PluginHost.load(files=[NETS])
    raw: dict[str, Any] = {
        "study": {"name": "looked at", **(study or {})},
        "search": search or {},
        "constraints": constraints or {},
        "data": {"source": "folder", "path": str(photos), **data},
    }
    raw["backbones"] = [{"name": "tiny_a", "weights": "random"}]
    return survey(
        check_study(raw, "photos", host),
        host=host,
        places=Places(folder=photos.parent / "run", cache=cache, plugins=(NETS,)),
        hubs=Hubs(offline=True),
        make_executor=lambda contexts: InlineExecutor(one_thread(contexts)),
        notice=lambda _: None,
        find_links=find_links,
        working=lambda _: None,
    )


def test_sound_pictures_have_no_fault_and_every_one_is_looked_at(photos: Path, shared_cache: Path) -> None:
    found = surveyed(photos, shared_cache)
    assert found.faults == ()
    assert found.per_class == {"blue": 8, "green": 8, "red": 8}
    assert found.check is not None
    assert found.check["images"] == 24
    assert found.check["network"] == "tiny_a"
    assert {one["file"] for one in found.check["label_errors"]} <= {
        file.relative_to(photos).as_posix() for file in photos.rglob("*.png")
    }


def test_all_faults_are_told_at_once(photos: Path, shared_cache: Path) -> None:
    (photos / "blue" / "broken.jpg").write_bytes(b"no picture")
    shutil.copy(photos / "blue" / "00.png", photos / "red" / "blue.png")
    for number in range(3, 8):
        (photos / "green" / f"{number:02d}.png").unlink()
    found = surveyed(photos, shared_cache)
    unreadable, conflict, small = (fault.message for fault in found.faults)
    assert "1 of 21 images cannot be read" in unreadable
    assert "more than one label" in conflict
    assert "class 'green' has 3 images" in small
    assert found.findings["conflicts"] == [{"files": ["blue/00.png", "red/blue.png"], "labels": ["blue", "red"]}]
    assert list(found.findings["unreadable"]) == ["blue/broken.jpg"]
    assert found.per_class == {"blue": 8, "green": 3, "red": 9}
    assert found.check is not None, "what can be read is looked at all the same"


def test_floors_of_classes_that_there_are_not_are_faults_as_in_a_run(photos: Path, shared_cache: Path) -> None:
    (photos / "blue" / "broken.jpg").write_bytes(b"no picture")
    found = surveyed(photos, shared_cache, constraints={"min_recall": {"rad": 0.8, "red": 0.5}})
    unreadable, floor = (fault.message for fault in found.faults)
    assert "1 of 25 images cannot be read" in unreadable
    assert floor == "constraints.min_recall.rad: the data have no class 'rad'; did you mean 'red'?"


def test_files_that_cannot_be_read_are_named_once(photos: Path, shared_cache: Path) -> None:
    (photos / "blue" / "broken.jpg").write_bytes(b"no picture")
    console = Console(width=200, file=StringIO())
    render_survey(surveyed(photos, shared_cache), console)
    assert isinstance(console.file, StringIO)
    assert console.file.getvalue().count("broken.jpg") == 1


def test_equal_pictures_of_one_class_are_a_finding_and_no_fault(photos: Path, shared_cache: Path) -> None:
    shutil.copy(photos / "blue" / "00.png", photos / "blue" / "again.png")
    found = surveyed(photos, shared_cache)
    assert found.faults == ()
    assert found.findings["duplicates"] == [["blue/00.png", "blue/again.png"]]


def test_ready_parts_that_share_a_picture_are_a_fault(photos: Path, shared_cache: Path) -> None:
    parts = photos.parent / "split"
    shutil.copytree(photos, parts / "train")
    shutil.copytree(photos, parts / "test")
    found = surveyed(parts, shared_cache)
    assert any(fault.message.startswith("24 pictures are on both sides of the ready parts") for fault in found.faults)
    leaks = found.findings["leaks"]
    assert len(leaks) == 24
    assert leaks[0] == {"files": ["train/blue/00.png", "test/blue/00.png"], "parts": ["train", "test"]}
    assert found.findings["dropped"] == []
    dropping = surveyed(parts, shared_cache, leaks="drop")
    assert (dropping.findings["leaks"], len(dropping.findings["dropped"])) == ([], 24)


def test_too_few_pictures_to_probe_are_told_and_not_probed(photos: Path, shared_cache: Path) -> None:
    for picture in sorted((photos / "red").iterdir())[1:]:
        picture.unlink()
    found = surveyed(photos, shared_cache)
    assert found.check is None
    assert "class 'red' has fewer than two pictures" in found.unchecked
    assert found.faults


def test_a_label_that_is_plainly_wrong_is_found(tmp_path: Path, shared_cache: Path) -> None:
    rng = np.random.default_rng(3)
    for name, colour in (("dark", 40), ("light", 200)):
        (tmp_path / "plain" / name).mkdir(parents=True)
        for number in range(12):
            shade = rng.integers(-30, 30, size=(40, 40, 3)) + colour + 3 * number
            Image.fromarray(shade.clip(0, 255).astype(np.uint8)).save(tmp_path / "plain" / name / f"{number}.png")
    (tmp_path / "plain" / "light" / "5.png").rename(tmp_path / "plain" / "dark" / "wrong.png")
    found = surveyed(tmp_path / "plain", shared_cache)
    assert found.check is not None
    assert found.check["label_errors"][0]["file"] == "dark/wrong.png"
    assert found.check["label_errors"][0]["suggested"] == "light"


def test_nothing_to_look_at_is_refused(tmp_path: Path, shared_cache: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no sub-folders"):
        surveyed(tmp_path / "empty", shared_cache)


def test_classes_of_unequal_size_are_scored_alike(photos: Path, shared_cache: Path) -> None:
    for picture in sorted((photos / "red").iterdir())[2:]:
        picture.unlink()
    found = surveyed(photos, shared_cache)
    assert found.metric == "balanced_accuracy"
    assert found.skew.startswith("'green' has 8 pictures and 'red' 2, so the score is balanced accuracy")
    assert surveyed(photos, shared_cache, study={"metric": "accuracy"}, search={"imbalance": "none"}).skew == ""


def test_of_skewed_classes_the_same_is_said_before_a_study_and_by_it(tmp_path: Path, shared_cache: Path) -> None:
    photos = draw_photos(tmp_path / "skewed", each=34)
    for picture in sorted((photos / "red").iterdir())[11:]:
        picture.unlink()  # 34 to 11 is over three times, and what a holdout leaves of them may not be
    file = write_study(tmp_path, photos, STUDY.replace('metric = "accuracy"\n', ""))
    world = World(folder=tmp_path, file=file, cache=shared_cache)
    world.run("study.budget.trials=1", "search.unfrozen=0", "baselines=[]")
    (said,) = world.watch.notices
    assert said.startswith("'green' has 34 pictures and 'red' 11, so the score is balanced accuracy")
    assert surveyed(photos, shared_cache).skew == said


def test_pictures_of_which_none_can_be_read_are_told_and_not_compared(photos: Path, shared_cache: Path) -> None:
    for picture in photos.rglob("*.png"):
        picture.write_bytes(b"no picture")

    def compare(store: PixelStore, files: Sequence[Path], indices: Sequence[int]) -> Links:
        raise AssertionError(f"there is nothing to compare: {indices}")

    found = surveyed(photos, shared_cache, find_links=compare)
    assert "24 of 24 images cannot be read" in found.faults[0].message
    assert found.check is None


def test_pictures_that_cannot_be_compared_are_one_fault_among_others(photos: Path, shared_cache: Path) -> None:
    (photos / "blue" / "broken.jpg").write_bytes(b"no picture")

    def fail(store: PixelStore, files: Sequence[Path], indices: Sequence[int]) -> Links:
        raise TlsearchError("the pictures could not be compared with one another: killed by SIGKILL")

    found = surveyed(photos, shared_cache, find_links=fail)
    incomparable, unreadable = (fault.message for fault in found.faults)
    assert "killed by SIGKILL" in incomparable
    assert "1 of 25 images cannot be read" in unreadable
    assert found.check is not None, "what can be read is looked at all the same"


def test_a_disk_that_takes_no_more_is_no_fault_of_the_pictures(photos: Path, shared_cache: Path) -> None:
    def fail(store: PixelStore, files: Sequence[Path], indices: Sequence[int]) -> Links:
        raise StoreError("cannot write cache/links: No space left on device")

    with pytest.raises(StoreError, match="No space left"):
        surveyed(photos, shared_cache, find_links=fail)


def test_groups_are_counted_and_equal_pictures_are_none(photos: Path, shared_cache: Path) -> None:
    shutil.copy(photos / "blue" / "00.png", photos / "blue" / "again.png")
    assert surveyed(photos, shared_cache).grouped == ""
    by_tens = surveyed(photos, shared_cache, group_by=r"(?P<group>\w+/0[01234])")  # and the copy, with its twin
    assert by_tens.grouped == "16 of them come in 15 groups, each kept on one side of every split."
    everyone = surveyed(photos, shared_cache, group_by=r"[0-9a-z]\.png", folds=2, holdout=0)
    assert everyone.grouped == "They come in 8 groups, each kept on one side of every split."


def test_groups_that_cannot_be_dealt_into_folds_are_a_fault(photos: Path, shared_cache: Path) -> None:
    for name, shots in (("blue", "12"), ("green", "23"), ("red", "31")):
        for number in range(8):
            picture = photos / name / f"{number:02d}.png"
            picture.rename(picture.with_name(f"night{shots[number % 2]}_{number}.png"))
    grouped = {"group_by": r"(?P<group>night\d)_", "folds": 2, "holdout": 0}
    assert any("no deal was found" in fault.message for fault in surveyed(photos, shared_cache, **grouped).faults)
