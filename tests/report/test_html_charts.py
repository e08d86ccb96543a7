"""Charts of the page: figures that plotly knows, and places where values lie on drawn axes."""

import json
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from page_world import FAILED, PRUNED, TRIALS, PageStudy

from tlsearch.report.data_check import LearningCurve
from tlsearch.report.page import charts, curves
from tlsearch.report.page.charts import Chart
from tlsearch.report.page.material import Material
from tlsearch.report.page.parallel import parallel
from tlsearch.report.page.reading import load_material
from tlsearch.report.page.scale import Scale
from tlsearch.report.text import Words
from tlsearch.store.reading import StoreReader

WORDS = Words(metric="accuracy")


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    study = PageStudy()
    with StoreReader.open(study.write(tmp_path_factory.mktemp("charts"))) as store:
        return load_material(store, study.name)


def drawn(material: Material) -> list[Chart]:
    summary, tries = material.summary, material.tries
    assert summary.calibration is not None
    assert material.summary.check is not None
    assert material.summary.check.learning is not None
    found = [
        charts.over_time(tries, WORDS, 5),
        charts.by_depth(tries, summary.depths, WORDS),
        charts.by_learning_rate(tries, WORDS),
        curves.reliability(summary.calibration),
        curves.learning(material.summary.check.learning, WORDS),
        parallel(tries, summary.importance, WORDS),
    ]
    return [chart for chart in found if chart is not None]


def in_colour(value: Any) -> Any:
    """As the page's script does it: a name of a colour becomes one."""
    if isinstance(value, dict):
        return {key: in_colour(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [in_colour(entry) for entry in value]
    return "#123456" if isinstance(value, str) and value.startswith("@") else value


def test_every_chart_is_a_figure_that_plotly_knows(material: Material) -> None:
    found = drawn(material)
    assert len(found) == 6
    for chart in found:
        json.dumps(chart.data, allow_nan=False)
        go.Figure(data=in_colour(chart.data), layout=in_colour(chart.layout))


def test_every_trial_is_a_dot_where_its_score_is(material: Material) -> None:
    chart = charts.over_time(material.tries, WORDS, 5)
    assert chart is not None
    by_name = {trace["name"]: trace for trace in chart.data}
    assert by_name["baseline"]["x"] == [0]
    assert by_name["stopped early"]["x"] == [PRUNED]
    assert by_name["named best"]["x"] == [5]
    assert set(by_name["trial"]["x"]) == set(range(1, TRIALS)) - {FAILED, PRUNED}
    scores = {one.entry.trial: one.entry.score for one in material.tries}
    places = dict(zip(by_name["trial"]["x"], by_name["trial"]["y"], strict=True))
    assert places[7] == pytest.approx(100 * scores[7], abs=1e-3)


def test_the_best_so_far_never_falls(material: Material) -> None:
    chart = charts.over_time(material.tries, WORDS, None)
    assert chart is not None
    (line,) = (trace for trace in chart.data if trace["name"] == "best so far")
    assert line["y"] == sorted(line["y"])
    assert line["y"][-1] == max(line["y"])


def test_parallel_lines_run_through_every_shared_parameter_and_end_at_the_score(material: Material) -> None:
    chart = parallel(material.tries, material.summary.importance, WORDS)
    assert chart is not None
    lines = chart.data
    assert len(lines) == TRIALS - 3  # without the baseline, the failed and the pruned one
    names = [note["text"] for note in chart.layout["annotations"][:5]]
    assert names[0] == "<b>stages<br>trained</b>"  # the most important one stands first
    assert names[-1] == "<b>score</b>"
    assert all(0 <= place <= 1 for line in lines for place in line["y"])
    assert all(isinstance(line["text"], str) for line in lines), "what a pointer tells is written once a trial"
    assert [line["y"][-1] for line in lines] == sorted(line["y"][-1] for line in lines)  # the best is drawn on top


def test_with_two_trials_there_is_nothing_to_compare(material: Material) -> None:
    assert parallel(material.tries[1:3], None, WORDS) is None


def test_names_in_a_chart_are_no_markup(tmp_path: Path) -> None:
    study = PageStudy(backbone="<b>net</b>", head="<a href='javascript:x'>h</a>", baseline="<i>r</i>")
    with StoreReader.open(study.write(tmp_path)) as store:
        found = load_material(store, study.name)
    texts = json.dumps([chart.data for chart in drawn(found)])
    assert "&lt;b&gt;net" in texts
    assert not any(tag in texts for tag in ("<b>net", "<a ", "<i>"))


def test_a_class_without_pictures_in_a_share_has_a_gap_in_its_line() -> None:
    curve = LearningCurve(
        images=(10, 20),
        score=(0.5, 0.6),
        low=(0.4, 0.5),
        high=(0.6, 0.7),
        per_class={"rare": (float("nan"), 0.5)},
        says="",
    )
    chart = curves.learning(curve, WORDS)
    assert chart is not None
    (line,) = (trace for trace in chart.data if trace.get("name") == "rare")
    assert line["y"] == [None, 50.0]


def test_a_scale_holds_its_values_and_ticks_are_round() -> None:
    scale = Scale.over([0.861, 0.922])
    assert [round(tick, 6) for tick in scale.ticks] == [0.86, 0.88, 0.9, 0.92]
    assert 0 < scale.at(0.861) < scale.at(0.9) < scale.at(0.922) < 100


def test_a_scale_of_one_value_or_none_can_be_drawn() -> None:
    assert Scale.over([0.5]).at(0.5) == pytest.approx(50.0)
    assert Scale.over([float("nan")]).ticks
