"""Surveys: all that is wrong with some pictures is told at once, and sound ones are looked at by a network."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from runner_world import NETS, draw_photos, one_thread

from tlsearch.errors import DataError
from tlsearch.execution.inline import InlineExecutor
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.report.survey import Survey
from tlsearch.runner import Places
from tlsearch.runner.survey import survey
from tlsearch.study import check_study


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return draw_photos(tmp_path / "photos", each=8)


def surveyed(photos: Path, cache: Path, **data: Any) -> Survey:
    host = PluginHost.load(files=[NETS])
    raw: dict[str, Any] = {"study": {"name": "looked at"}, "data": {"source": "folder", "path": str(photos), **data}}
    raw["backbones"] = [{"name": "tiny_a", "weights": "random"}]
    return survey(
        check_study(raw, "photos", host),
        host=host,
        places=Places(folder=photos.parent / "run", cache=cache, plugins=(NETS,)),
        hubs=Hubs(offline=True),
        make_executor=lambda contexts: InlineExecutor(one_thread(contexts)),
        notice=lambda _: None,
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
    assert found.findings["conflicts"] == [["blue/00.png", "red/blue.png"]]
    assert list(found.findings["unreadable"]) == ["blue/broken.jpg"]
    assert found.per_class == {"blue": 8, "green": 3, "red": 9}
    assert found.check is not None, "what can be read is looked at all the same"


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
    assert any("both sides of the ready parts" in fault.message for fault in found.faults)


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
    assert surveyed(photos, shared_cache).metric == "balanced_accuracy"
