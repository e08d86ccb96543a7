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
from tlsearch.report.terminal import render, what_was_searched

RISING, FLAT = (0.70, 0.80, 0.84, 0.87), (0.90, 0.92, 0.921, 0.922)
RECALLS = {"cat": (0.6, 0.7, 0.8, 0.85), "dog": (0.8, 0.9, 0.9, 0.9)}
SURVEY = Survey(
    root=Path("photos"),
    metric="accuracy",
    per_class={"cat": 40, "dog": 60},
    skew="",
    findings={
        "images": 101,
        "ignored": [".DS_Store"],
        "unreadable": {},
        "conversions": {"CMYK": 3},
        "enlarged": 0,
        "duplicates": [["cat/1.jpg", "cat/2.jpg"]],
        "conflicts": [],
        "leaks": [],
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
    known = {"network": "lite", "images": 100, "suspects": 1, "label_errors": [error], "learning": curve}
    return {**known, **changes}


def shown(survey: Survey, width: int = 80) -> str:
    out = io.StringIO()
    render_survey(survey, Console(file=out, width=width, legacy_windows=False))
    return out.getvalue()


def reported(records: Any) -> str:
    out = io.StringIO()
    render(records.summary(), Console(file=out, width=120, legacy_windows=False))
    return " ".join(out.getvalue().split())


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


def test_a_check_is_printed_as_it_is_stored_and_in_one_shape_by_every_command() -> None:
    stored = checked()
    stored["learning"]["per_class"]["new"] = [None, None, 0.5, 0.6]  # no such picture among the first half
    assert DataCheck.from_json(stored).to_json() == stored
    survey = replace(SURVEY, check=stored, unchecked="")
    assert json.loads(json.dumps(survey.to_json(), allow_nan=False))["data_check"] == stored


def test_a_report_tells_what_a_checked_study_knows_and_nothing_of_one_that_was_not(finished: Any) -> None:
    assert "second look" not in reported(finished)
    assert "Would more pictures help?" not in reported(finished)
    finished.files["data_check"] = json.dumps(checked())
    text = reported(finished)
    assert "1 label worth a second look" in text
    assert "cat/007.jpg" in text
    assert "Would more pictures help?" in text
    told = json.loads(json.dumps(to_json(finished.summary())))
    assert told["data_check"] == checked()


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


def test_the_groups_of_a_survey_are_told_beside_its_pictures() -> None:
    grouped = "They come in 12 groups, each kept on one side of every split."
    assert f"100 pictures in 2 classes. {grouped} Nothing keeps a study" in told(replace(SURVEY, grouped=grouped))
    assert replace(SURVEY, grouped=grouped).to_json()["grouped"] == grouped


def test_a_report_tells_how_many_groups_its_pictures_come_in(finished: Any) -> None:
    assert "group" not in what_was_searched(finished.summary())
    hashes = [f"pixels:{i:064x}" for i in range(120)]
    finished.context |= {"groups": hashes, "holdout_groups": hashes[:30]}
    assert "group" not in what_was_searched(finished.summary()), "pictures that are like no other are no groups"
    by_person = [f"group:{i // 10}" for i in range(120)]
    finished.context |= {"groups": by_person, "holdout_groups": [f"group:held {i // 10}" for i in range(30)]}
    said = "30 kept back. They come in 15 groups, each kept on one side of every split."
    assert said in reported(finished)
    finished.context["groups"] = [*by_person[:20], *hashes[20:]]
    assert "50 of them come in 5 groups, each kept" in reported(finished)


def test_a_survey_says_why_labels_were_not_checked() -> None:
    assert "were not checked: class 'cat' has fewer than two pictures." in told(SURVEY)


def test_skewed_classes_are_told_with_what_a_study_does_about_them() -> None:
    assert "balanced accuracy" not in told(SURVEY)
    said = "'dog' has 40 pictures and 'cat' 10, so the score is balanced accuracy."
    assert said in told(replace(SURVEY, skew=said))


def test_classes_that_are_not_shown_are_counted() -> None:
    assert "more class" not in told(replace(SURVEY, per_class={f"class {n}": 5 for n in range(40)}))
    text = told(replace(SURVEY, per_class={f"class {n}": 5 for n in range(200)}))
    assert "class 39 5" in text
    assert "and 160 more classes: --json has all." in text


def test_every_fault_of_a_picture_is_listed_with_its_labels_or_parts() -> None:
    conflicts = [{"files": [f"{n}.jpg", f"{n}.png"], "labels": ["cat", "dog"]} for n in range(30)]
    leaks = [{"files": ["a.jpg", "b.jpg"], "parts": ["train", "test"]}]
    text = told(replace(SURVEY, findings={**SURVEY.findings, "conflicts": conflicts, "leaks": leaks}), 60)
    assert "Equal pictures under several labels: 30" in text
    assert "- 29.jpg (cat) = 29.png (dog)" in text
    assert "Pictures on both sides of the ready parts: 1 - a.jpg (train) goes with b.jpg (test)" in text


def test_large_groups_of_like_pictures_are_told_with_what_follows_and_the_way_out(finished: Any) -> None:
    group = [f"cat/{n}.jpg" for n in range(12)]
    said = (
        "1 large group of pictures that look alike: too many hang together to keep each on one side of every split; "
        "where they show one object, name it with group_by."
    )
    listed = "Large groups of pictures that look alike - 12 pictures: cat/0.jpg, cat/1.jpg, cat/2.jpg and 9 more"
    text = told(replace(SURVEY, findings={**SURVEY.findings, "too_alike": [group]}))
    assert said in text
    assert listed in text
    finished.context["findings"] = {"too_alike": [group]}
    report = reported(finished)
    assert said in report
    assert listed in report


@pytest.mark.parametrize(
    ("name", "found", "says"),
    [
        ("unreadable", {"a.jpg": "cut off"}, "1 file could not be read: skipped."),
        ("unreadable", {"a.jpg": "cut off", "b.jpg": "empty"}, "2 files could not be read: skipped."),
        ("dropped", ["a.jpg"], "1 picture left out: an equal or nearly equal picture, or one of their group, is"),
        ("near", [{"files": ["a", "b"], "likeness": 1, "labels": ["x", "x"]}], "1 pair of nearly equal pictures: "),
    ],
)
def test_what_was_found_is_counted_in_whole_sentences(name: str, found: Any, says: str, finished: Any) -> None:
    finished.context["findings"] = {name: found}
    assert says in reported(finished)


def test_a_pair_under_two_labels_is_shown_with_both() -> None:
    near = [
        {"files": ["1.jpg", "2.jpg"], "likeness": 0.99, "labels": ["cat", "dog"]},
        {"files": ["3.jpg", "4.jpg"], "likeness": 0.99, "labels": ["cat", "cat"]},
    ]
    text = told(replace(SURVEY, findings={**SURVEY.findings, "near": near}))
    assert "1.jpg (cat) 2.jpg (dog)" in text
    assert "3.jpg 4.jpg" in text


@pytest.mark.parametrize("width", [60, 80])
def test_what_more_pictures_did_for_each_class_is_told_for_the_ten_that_gained_most(width: int, finished: Any) -> None:
    check = checked()
    check["learning"]["per_class"] = {f"class {n}": [0.1, 0.2, 0.3, 0.2 + n / 100] for n in range(12)}
    check["learning"]["per_class"]["new"] = [None, None, 0.5, 0.6]
    survey = replace(SURVEY, check=check, unchecked="")
    text = shown(survey, width)
    assert max(len(line) for line in text.splitlines()) <= width
    words = " ".join(text.split())
    assert "What more pictures did for each class class with half with all points gained" in words
    assert "class 11 20 % 31 % +11 class 10 20 % 30 % +10" in words
    assert "class 2 20 % 22 % +2" in words
    assert "class 1 20 %" not in words
    assert "2 more classes gained less: --json lists them." in words
    finished.files["data_check"] = json.dumps(check)
    assert "class 11 20 % 31 % +11" in reported(finished)


def test_where_no_class_gained_anything_no_table_says_so() -> None:
    check = checked()
    check["learning"]["per_class"] = {"cat": [0.9, 0.9, 0.9, 0.905], "dog": [0.9, 0.9, 0.9, 0.8]}
    assert "for each class" not in told(replace(SURVEY, check=check, unchecked=""))


def test_a_folder_below_the_working_directory_is_shown_as_seen_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert " my photos " in shown(replace(SURVEY, root=tmp_path / "my photos")).splitlines()[0]
    assert " /elsewhere/photos " in shown(replace(SURVEY, root=Path("/elsewhere/photos"))).splitlines()[0]


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
