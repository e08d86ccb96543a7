"""The report as a page: what it shows, what it leaves out and says so, and that no name becomes more than text."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
from page_skeleton import Skeleton, built, data_of, without, written
from page_world import HOSTILE, PageStudy

from tlsearch.report.page.reading import load_material
from tlsearch.report.page.render import SECTIONS, page
from tlsearch.store.reading import StoreReader
from tlsearch.store.store import Store

MEGABYTES = 8_000_000


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(PageStudy(), tmp_path_factory.mktemp("plain"))


def test_the_answer_comes_first(plain: str) -> None:
    found = built(plain).text
    assert found.index("The winner is small_net") < found.index("How good it is, and how sure that is")
    assert "right answers on new pictures like these" in found
    assert "Surest mistakes" in found


def test_every_section_is_there_in_the_order_in_which_a_person_asks(plain: str) -> None:
    keys = re.findall(r'<section class="part" id="([a-z]+)"', plain)
    assert len(keys) == len(SECTIONS)
    asked = ["sure", "baselines", "confusion", "classes", "mistakes", "calibration", "trials", "importance"]
    assert keys[: len(asked)] == asked
    assert keys[-3:] == ["time", "failures", "reproduce"]


def test_nothing_is_missing_where_everything_is_stored(plain: str) -> None:
    assert 'class="missing"' not in plain


def test_nothing_is_fetched(plain: str) -> None:
    found = built(plain)
    addresses = [value for name, value in found.values if name in ("src", "href", "action", "srcset", "data")]
    assert addresses
    assert all(value.startswith(("data:image/", "#")) for value in addresses)
    assert "@import" not in plain[: plain.index("</style>")]


def test_only_the_two_scripts_of_the_page_may_run(plain: str) -> None:
    policy = next(value for name, value in built(plain).values if name == "content" and "default-src" in value)
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    scripts = [text for attrs, text in built(plain).scripts if attrs.get("type") != "application/json"]
    assert {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts} == allowed
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "script-src 'unsafe-inline'" not in policy


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Skeleton:
    """Every hostile name at once: as classes and files, and all of them in whatever else others wrote."""
    return built(written(all_of(HOSTILE), tmp_path_factory.mktemp("hostile")))


def all_of(names: tuple[str, ...]) -> PageStudy:
    said = " ".join(names)
    return PageStudy(
        name=f"study {said}",
        classes=tuple(f"{i} {name}" for i, name in enumerate(names)),
        file=names[0].replace("/", ":") + "{i:03d}.png",
        backbone=f"net {said}",
        head=f"head {said}",
        baseline=f"recipe {said}",
        said=said,
        n=8 * len(names),
    )


def test_hostile_names_add_no_element_and_no_attribute(hostile: Skeleton, tmp_path: Path) -> None:
    harmless = built(written(all_of(tuple(f"name{i}" for i in range(len(HOSTILE)))), tmp_path))
    assert hostile.elements == harmless.elements


def test_hostile_names_are_read_as_they_are_but_for_what_would_steer_the_reader(hostile: Skeleton) -> None:
    text = hostile.text
    for name in ("<script>alert(1)</script>", '"><img src=x onerror=1>', "{{7*7}}", "{% raw %}", "../../x", "@accent"):
        assert name in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e\ud800]", text)
    assert "\\x1b[2J" in text


def test_data_for_the_script_hold_no_character_that_could_end_their_element(hostile: Skeleton) -> None:
    text = next(text for attrs, text in hostile.scripts if attrs.get("id") == "page-data")
    assert "<" not in text
    charts = json.dumps(json.loads(text)["charts"], ensure_ascii=False)
    assert not re.search("[\x00-\x1f\u202e\ud800]", charts)
    assert "<script" not in charts  # plotly reads some HTML in its texts
    assert "<img" not in charts
    assert "&lt;script" in charts


def test_a_template_in_a_name_is_not_evaluated(tmp_path: Path) -> None:
    found = built(written(PageStudy(classes=("{{7*7}}", "dog", "fox")), tmp_path)).text
    assert "{{7*7}}" in found
    assert " 49 " not in found


def test_a_cell_has_at_most_24_pictures_with_their_names(tmp_path: Path) -> None:
    study = PageStudy(n=300)
    cells = data_of(built(written(study, tmp_path)))["cells"]
    assert max(len(pictures) for pictures in cells.values()) == 24
    uri, file, sure = cells["0-0"][0]
    assert uri.startswith("data:image/jpeg;base64,")
    assert file in study.files
    assert sure.endswith("sure")


@pytest.mark.parametrize("trials", [24, 500])
def test_the_page_stays_below_8_mb_however_many_pictures_and_trials_were_stored(trials: int, tmp_path: Path) -> None:
    large = base64.b64encode(base64.b64decode(PageStudy().picture) + bytes(12_000)).decode("ascii")
    study = PageStudy(n=240, picture=large, trials=trials, backbone="a network with a long name " * 5)
    html = written(study, tmp_path)
    assert 7_000_000 < len(html.encode()) < MEGABYTES
    assert data_of(built(html))["cells"]  # and the cells got some of the room


def test_what_is_no_picture_is_not_shown(tmp_path: Path) -> None:
    svg = base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>").decode("ascii")
    for i, text in enumerate((svg, '"><script>alert(1)</script>', "\u00e9")):
        folder = tmp_path / str(i)
        folder.mkdir()
        found = built(written(PageStudy(picture=text), folder))
        assert text not in "".join(value for _, value in found.values)
        cells = data_of(found)["cells"]
        assert {uri for pictures in cells.values() for uri, _, _ in pictures} == {""}
        assert "no small copy" in found.text


def test_without_stored_pictures_names_are_shown_and_it_is_said(tmp_path: Path) -> None:
    study = without(PageStudy(n=60), "pictures")
    found = built(written(study, tmp_path))
    assert "This run stored no pictures" in found.text
    assert "Press a number to see which pictures are behind it." in found.text
    named = [file for pictures in data_of(found)["cells"].values() for _, file, _ in pictures]
    assert sorted(named) == sorted(study.files)


def test_without_a_data_check_the_page_says_what_was_not_looked_for(tmp_path: Path) -> None:
    text = built(written(without(PageStudy(), "data_check", "importance"), tmp_path)).text
    assert "This run did not look for wrong labels." in text
    assert "This run did not measure what fewer pictures would have given." in text
    assert "This is computed at the end of a run." in text


def test_of_a_study_that_has_only_begun_the_page_says_so_and_carries_no_charts(tmp_path: Path) -> None:
    study = PageStudy()
    url = f"sqlite:///{tmp_path / 'study.db'}"
    with Store.open(url) as store:
        store.define_study(study._record())
    with StoreReader.open(url) as store:
        html = page(load_material(store, study.name))
    assert "No trial has completed yet" in html
    assert html.count('<p class="missing">') >= 10
    assert len(html) < 100_000


def test_findings_are_told_with_their_pictures(plain: str) -> None:
    text = built(plain).text
    assert "1 pair of nearly equal pictures" in text
    assert "98 % alike, mirrored, different labels" in text
    assert "1 large group of pictures that look alike" in text
    assert "40 labels worth a second look" in text
    assert "looks like dog" in text
    assert "4 pictures smaller than the largest network's input" in text


def test_a_heat_map_stands_beside_its_picture(plain: str) -> None:
    maps = re.findall(
        r'alt="([^"]+)" title="[^"]+" decoding="async">\s*<img [^>]*alt="where the network looked"', plain
    )
    assert len(maps) == 6
    assert len(set(maps)) == 6


def test_a_log_loss_is_shown_as_a_loss(tmp_path: Path) -> None:
    charts = data_of(built(written(PageStudy(metric="log_loss"), tmp_path)))["charts"]
    (best,) = (trace for trace in charts["over-time"]["data"] if trace["name"] == "best so far")
    assert all(loss > 0 for loss in best["y"])
    assert best["y"] == sorted(best["y"], reverse=True)
    assert charts["over-time"]["layout"]["yaxis"]["title"]["text"] == "log loss, lower is better"
