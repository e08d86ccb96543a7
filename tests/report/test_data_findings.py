"""What was found in the data, in words: whole at 60 columns, with hostile names as texts, and honest about doubt."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tlsearch.report.as_json import to_json
from tlsearch.report.data_check import DataCheck, LabelDoubt, LearningCurve, would_more_help
from tlsearch.report.survey import DataFault, Survey, render_survey
from tlsearch.report.terminal import render

RISING, FLAT = (0.70, 0.80, 0.84, 0.87), (0.90, 0.92, 0.921, 0.922)
RECALLS = {"cat": (0.6, 0.7, 0.8, 0.85), "dog": (0.8, 0.9, 0.9, 0.9)}
SURVEY = Survey(
    root=Path("photos"),
    metric="accuracy",
    per_class={"cat": 40, "dog": 60},
    findings={
        "images": 101,
        "ignored": [".DS_Store"],
        "unreadable": {},
        "conversions": {"CMYK": 3},
        "enlarged": 0,
        "duplicates": [["cat/1.jpg", "cat/2.jpg"]],
        "conflicts": [],
        "near": [],
        "too_alike": [],
    },
    notes=(),
    faults=(),
    check=None,
    unchecked="class 'cat' has fewer than two pictures",
)


def checked(**changes: Any) -> dict[str, Any]:
    """The file "data_check" of a study."""
    curve = {
        "shares": [0.25, 0.5, 0.75, 1.0],
        "images": [20, 40, 60, 80],
        "score": list(RISING),
        "low": [score - 0.05 for score in RISING],
        "high": [score + 0.05 for score in RISING],
        "per_class": {name: list(recalls) for name, recalls in RECALLS.items()},
        "says": would_more_help(RISING, (0.02, 0.12), RECALLS, "accuracy"),
    }
    error = {"file": "cat/007.jpg", "label": "cat", "suggested": "dog", "probability": 0.03, "sure": 0.95}
    return {"network": "lite", "images": 100, "label_errors": [error], "learning": curve, **changes}


def shown(survey: Survey, width: int = 80) -> str:
    out = io.StringIO()
    render_survey(survey, Console(file=out, width=width, legacy_windows=False))
    return out.getvalue()


def told(survey: Survey, width: int = 80) -> str:
    return " ".join(shown(survey, width).split())


@pytest.mark.parametrize(
    ("scores", "rise", "begins"),
    [
        (RISING, (0.02, 0.12), "More pictures would help: half of these gave 80.0 %, all of them 87.0 %."),
        ((0.7, 0.8, 0.81, 0.815), (0.005, 0.03), "More pictures would help a little: "),
        (FLAT, (-0.004, 0.008), "More pictures like these would hardly help: half of these gave 92.0 %"),
        (RISING, (-0.01, 0.15), "Whether more pictures would help cannot be told: "),
    ],
)
def test_the_conclusion_follows_the_interval_of_the_gain(
    scores: tuple[float, ...], rise: tuple[float, float], begins: str
) -> None:
    assert would_more_help(scores, rise, RECALLS, "accuracy").startswith(begins)


def test_the_class_that_gains_most_is_named_with_its_gain() -> None:
    said = would_more_help(RISING, (0.02, 0.12), RECALLS, "accuracy")
    assert said.endswith("'cat' gains most: 70 % of its pictures were recognised, then 85 %.")
    even = dict.fromkeys(RECALLS, (0.8, 0.8, 0.8, 0.81))
    assert "gains most" not in would_more_help(RISING, (0.02, 0.12), even, "accuracy")


def test_a_log_loss_is_told_as_a_loss() -> None:
    said = would_more_help((-0.9, -0.7, -0.6, -0.5), (0.1, 0.3), RECALLS, "log_loss")
    assert "half of these gave 0.700, all of them 0.500" in said


def test_a_stored_check_is_read_back() -> None:
    check = DataCheck.from_json(json.loads(json.dumps(checked())))
    assert check.doubts == (LabelDoubt(file="cat/007.jpg", label="cat", suggested="dog", probability=0.03, sure=0.95),)
    assert isinstance(check.learning, LearningCurve)
    assert check.learning.images == (20, 40, 60, 80)
    assert check.learning.per_class["cat"] == RECALLS["cat"]


def test_a_report_tells_what_a_checked_study_knows_and_nothing_of_one_that_was_not(finished: Any) -> None:
    def report() -> str:
        out = io.StringIO()
        render(finished.summary(), Console(file=out, width=80, legacy_windows=False))
        return out.getvalue()

    assert "second look" not in report()
    assert "Would more pictures help?" not in report()
    finished.files["data_check"] = json.dumps(checked())
    text = report()
    assert "1 label worth a second look" in text
    assert "cat/007.jpg" in text
    assert "Would more pictures help?" in text
    told = json.loads(json.dumps(to_json(finished.summary())))
    assert told["data_check"]["doubts"][0]["file"] == "cat/007.jpg"
    assert told["data_check"]["learning"]["score"] == list(RISING)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_survey_is_whole_at_every_width(width: int) -> None:
    near = [
        {"files": ["cat/a_long_name_0001.jpg", "dog/a_long_name_0002.jpg"], "likeness": 0.99, "labels": ["cat", "dog"]},
        {"files": ["cat/1.jpg", "cat/3.jpg"], "likeness": 0.999, "labels": ["cat", "cat"]},
    ]
    survey = replace(
        SURVEY,
        findings={**SURVEY.findings, "near": near, "unreadable": {"dog/x.jpg": "the file is cut off"}},
        faults=(DataFault(message="1 of 101 images cannot be read", hint="repair or remove them"),),
        check=checked(),
        unchecked="",
    )
    text = shown(survey, width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    words = " ".join(text.split())
    for piece in ("a_long_name_0001.jpg", "the file is cut off", "95 %", "82.0 to 92.0 %", "repair or remove them"):
        assert piece in words
    assert text.index("a_long_name") < text.index("cat/3.jpg"), "pairs under two labels come first"
    assert "1 pair stands under two labels" in words


def test_a_survey_says_first_whether_a_study_can_run() -> None:
    assert "100 pictures in 2 classes. Nothing keeps a study from running on them." in told(SURVEY)
    faulty = replace(SURVEY, faults=(DataFault(message="one", hint=""), DataFault(message="two", hint="mend it")))
    assert "2 faults keep a study from running on them: - one - two mend it" in told(faulty)


def test_a_survey_says_why_labels_were_not_checked() -> None:
    assert "were not checked: class 'cat' has fewer than two pictures." in told(SURVEY)


def test_skewed_classes_are_told_with_what_a_study_does_about_them() -> None:
    assert "balanced accuracy" not in told(SURVEY)
    assert "4.0 times the pictures of the smallest" in told(replace(SURVEY, per_class={"cat": 10, "dog": 40}))


def test_long_lists_are_cut_and_say_so() -> None:
    many = [[f"cat/{n}.jpg", f"cat/{n}_copy.jpg"] for n in range(14)]
    text = told(replace(SURVEY, findings={**SURVEY.findings, "duplicates": many}))
    assert "Equal pictures: 14" in text
    assert "4 more: --json lists them." in text


@pytest.mark.parametrize("name", ["[link=x]cat[/link]", "\x1b[2Jcat", "\x1b]0;x\x07cat", "a\u202ecat", "cat[/]"])
def test_hostile_names_stay_texts(name: str) -> None:
    error = {"file": f"{name}.jpg", "label": name, "suggested": "dog", "probability": 0.1, "sure": 0.9}
    check = checked(label_errors=[error])
    check["learning"]["per_class"] = {name: RECALLS["cat"], "dog": RECALLS["dog"]}
    check["learning"]["says"] = would_more_help(RISING, (0.02, 0.12), check["learning"]["per_class"], "accuracy")
    text = shown(replace(SURVEY, per_class={name: 40, "dog": 60}, check=check), 100)
    assert "cat" in text
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    if name.isprintable() and "\u202e" not in name:
        assert name in text, "brackets are no markup"
