"""Floors and what was decided about skewed classes, as a report tells them."""

import io
import re
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from tlsearch.records import StudyRecord
from tlsearch.report.as_json import to_json
from tlsearch.report.summary import summarise
from tlsearch.report.terminal import render
from tlsearch.report.values import Summary
from tlsearch.stats import per_class


def floor(name: str, *, wanted: float, reached: float, again: float | None = None) -> dict[str, Any]:
    return {"floor": name, "wanted": wanted, "reached": reached, "again": again, "holds": reached >= wanted}


def with_floors(records: Any, *floors: dict[str, Any]) -> Any:
    """The same run, in which the chosen configuration was held to floors."""
    records.events = [
        replace(event, data={**event.data, "floors": list(floors)}) if event.kind == "chosen" else event
        for event in records.events
    ]
    return records


def told(summary: Summary, width: int = 100) -> list[str]:
    out = io.StringIO()
    render(summary, Console(file=out, width=width, legacy_windows=False))
    return out.getvalue().splitlines()


def line(lines: list[str], words: str) -> str:
    (found,) = [one for one in lines if words in one]
    return re.sub(r"\s+", " ", found).strip()


def test_each_floor_is_shown_with_what_was_reached(finished: Any) -> None:
    kept = floor("min_recall.Ada", wanted=0.8, reached=0.83, again=0.81)
    once = floor("min_precision.Emre", wanted=0.7, reached=0.71, again=0.69)
    lines = told(with_floors(finished, kept, once).summary())
    assert line(lines, "min_recall.Ada") == "min_recall.Ada 80.0 % 83.0 % 81.0 % kept"
    assert line(lines, "kept, not again") == "min_precision.Emre 70.0 % 71.0 % 69.0 % kept, not again"
    said = (
        "The floor min_precision.Emre = 0.7 was kept while searching, and not with other folds and seeds: 0.69 there."
    )
    assert said in re.sub(r"\s+", " ", " ".join(lines))
    assert "no configuration keeps" not in " ".join(lines).lower()


def test_that_no_configuration_keeps_a_floor_stands_before_all_figures(finished: Any) -> None:
    missed = floor("min_recall.Ada", wanted=0.8, reached=0.796, again=0.9)
    lines = told(with_floors(finished, missed).summary())
    said = line(lines, "No configuration keeps")
    assert said == "No configuration keeps min_recall.Ada = 0.8; the nearest reaches 0.79."
    places = [next(i for i, one in enumerate(lines) if words in one) for words in ("No configuration", "How good")]
    assert places == sorted(places)
    assert line(lines, "missed").startswith("min_recall.Ada 80.0 % 79.6 % 90.0 %")


def test_programs_get_every_floor(finished: Any) -> None:
    kept = floor("min_recall.Ada", wanted=0.8, reached=0.83, again=0.81)
    assert to_json(with_floors(finished, kept).summary())["floors"] == [kept]
    assert to_json(with_floors(finished).summary())["floors"] == []


@pytest.mark.parametrize("width", [40, 60])
def test_floors_of_long_class_names_fit_a_narrow_terminal(finished: Any, width: int) -> None:
    long = floor("min_recall." + "a class with a long name " * 2, wanted=0.8, reached=0.7, again=0.9)
    lines = told(with_floors(finished, long).summary(), width)
    assert max(len(one.rstrip()) for one in lines) <= width
    assert any("70.0 %" in one and "missed" in one for one in lines)


def test_without_floors_nothing_is_said_of_them(finished: Any) -> None:
    assert not any("floor" in one for one in told(finished.summary()))


def test_what_was_decided_about_skewed_classes_is_said(finished: Any) -> None:
    finished.context["skew"] = "'Ada' has 91 pictures and 'Emre' 30, so the score is balanced accuracy."
    assert "'Ada' has 91 pictures" in " ".join(told(finished.summary()))


def floored(records: Any, name: str, wanted: float) -> StudyRecord:
    return replace(records.study(), config={"constraints": {"min_recall": {name: wanted}, "min_precision": {}}})


def recalls(records: Any, label: int) -> dict[int, float]:
    """Of one class, by each trial that was searched and completed."""
    searched = [trial.number for trial in records.trials if trial.counted and trial.number in records.predictions]
    return {n: per_class(records.predictions[n], records.labels)[label].recall for n in searched}


def summary_of(records: Any, study: StudyRecord) -> Summary:
    return summarise(records.evidence(study))


def test_before_a_choice_the_best_so_far_is_the_best_that_keeps_the_floors(finished: Any) -> None:
    finished.events = [event for event in finished.events if event.kind != "chosen"]
    free = summary_of(finished, finished.study()).best
    assert free is not None
    label, recall = next(
        (label, recall)
        for label in range(len(finished.classes))
        if max((recall := recalls(finished, label)).values()) > recall[free.entry.trial]
    )
    wanted = recall[free.entry.trial] + 1e-6
    best = summary_of(finished, floored(finished, finished.classes[label], wanted)).best
    assert best is not None
    assert recall[best.entry.trial] >= wanted
    assert best.entry.score == max(finished.trials[n].score for n, value in recall.items() if value >= wanted)


def test_a_gain_over_a_baseline_is_that_of_what_keeps_the_floors(finished: Any) -> None:
    wanted = max(recalls(finished, 0).values())
    free = summary_of(finished, finished.study()).baselines[0].gain
    kept = summary_of(finished, floored(finished, "Ada", wanted)).baselines[0].gain
    assert free is not None
    assert kept is not None
    assert kept.value != free.value
