"""What a page must not say: that a missed floor is kept, or that what is yet to come is missing."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from page_skeleton import built, without, written
from page_world import PageStudy

from tlsearch.report.data_check import LearningCurve
from tlsearch.report.data_findings import how_to_read
from tlsearch.report.page.reading import load_material
from tlsearch.report.page.render import page
from tlsearch.report.text import Words
from tlsearch.store.reading import StoreReader
from tlsearch.store.store import Store


def ending(curve: LearningCurve, last: float) -> LearningCurve:
    return replace(curve, score=(*(last - 0.1,) * (len(curve.score) - 1), last))


def floor(wanted: float, reached: float, again: float | None) -> dict[str, Any]:
    return {"floor": "min_recall.cat", "wanted": wanted, "reached": reached, "again": again, "holds": reached >= wanted}


@pytest.mark.parametrize(
    ("told", "kind", "said"),
    [
        (floor(0.8, 0.83, 0.81), "kept", "at least 80.0 %: 83.0 %, 81.0 % with other folds and seeds, kept"),
        (floor(0.8, 0.796, None), "missed", "at least 80.0 %: 79.6 %, missed"),
        (floor(0.8, 0.7998, None), "missed", "at least 80.0 %: 79.9 %, missed"),
        (floor(0.8, 0.85, 0.7), "once", "at least 80.0 %: 85.0 %, 70.0 % with other folds and seeds, kept, not again"),
        (floor(0.57, 0.57, None), "kept", "at least 57.0 %: 57.0 %, kept"),
    ],
)
def test_a_floor_never_reads_as_its_opposite(told: dict[str, Any], kind: str, said: str, tmp_path: Path) -> None:
    html = written(PageStudy(floors=(told,)), tmp_path)
    (line,) = re.findall(r'<li class="(\w+)"><code>min_recall.cat</code> ([^<]+)</li>', html)
    assert line == (kind, said)


def test_while_a_study_runs_what_comes_at_its_end_is_not_said_to_be_missing(tmp_path: Path) -> None:
    text = built(written(PageStudy(ends=False, stored=("data_check",)), tmp_path)).text
    assert "The best so far is" in text
    assert "This comes at the end of the run." in text
    assert "Small pictures of them come at the end of the run" in text
    assert "did not measure" not in text
    assert "stored no pictures" not in text


def test_before_the_first_trial_the_data_check_is_not_said_to_be_missing(tmp_path: Path) -> None:
    study = PageStudy()
    url = f"sqlite:///{tmp_path / 'study.db'}"
    with Store.open(url) as store:
        store.define_study(study._record())
    with StoreReader.open(url) as store:
        text = built(page(load_material(store, study.name))).text
    assert "Labels are not checked yet. This comes before the first trial." in text
    assert "did not" not in text


def test_a_page_says_when_it_was_written(tmp_path: Path) -> None:
    assert re.search(
        r"Written on 20\d\d-\d\d-\d\d \d\d:\d\d UTC by tlsearch", built(written(PageStudy(), tmp_path)).text
    )


def test_networks_left_out_stand_at_the_top(tmp_path: Path) -> None:
    text = built(written(PageStudy(said="no weights in reach"), tmp_path)).text
    assert text.index("Left out: big_net: no weights in reach") < text.index("How good it is, and how sure that is")


def test_plugin_files_are_named_in_the_command_with_their_hashes(tmp_path: Path) -> None:
    files = ({"name": "my net.py", "sha256": "a" * 64}, {"name": "heads.py", "sha256": "b" * 64})
    text = built(written(PageStudy(plugin_files=files), tmp_path)).text
    assert "tlsearch run study.toml --plugin 'my net.py' --plugin heads.py" in text
    assert "plugin my net.py, sha256" in text
    assert "a" * 64 in text
    assert "--new-study NAME" in text


def test_a_run_of_earlier_code_told_no_plugin_files(tmp_path: Path) -> None:
    text = built(written(PageStudy(), tmp_path)).text
    assert "tlsearch run study.toml The study file" in text


def test_a_learning_curve_above_the_winner_is_a_finding_about_the_search(tmp_path: Path) -> None:
    study = PageStudy()
    with StoreReader.open(study.write(tmp_path)) as store:
        summary = load_material(store, study.name).summary
    words = Words(metric="accuracy")
    assert summary.check is not None
    assert summary.best is not None
    assert summary.best.interval is not None
    curve = summary.check.learning
    lower, higher = summary.best.interval.low - 0.01, summary.best.interval.high + 0.01
    below = how_to_read(ending(curve, lower), words, summary.best)
    above = how_to_read(ending(curve, higher), words, summary.best)
    assert "another, quicker classifier than the winner" in below[1]
    assert len(below) == 2
    assert f"it even reaches {words.score(higher)}" in above[2]
    assert "the search may not yet have found" in above[2]
    assert len(how_to_read(curve, words, None)) == 1, "where there is no winner there is nothing to compare"


def test_without_a_script_the_figures_of_the_charts_can_be_read(tmp_path: Path) -> None:
    html = written(PageStudy(), tmp_path)
    text = built(html).text
    assert "80 pictures 80.0 % 72.0 to 86.0 %" in text
    assert "The figures of the chart answers it says it is right" in text
    assert html.count("<noscript><p") == len(re.findall("data-chart=", html)) == 6
    assert "switched off in your browser" in text


def test_what_was_not_stored_is_told_once_a_run_has_ended(tmp_path: Path) -> None:
    text = built(written(without(PageStudy(), "pictures"), tmp_path)).text
    assert "This run stored no pictures" in text
    assert "at the end of the run" not in text
