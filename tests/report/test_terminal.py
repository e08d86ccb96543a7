"""The report on a terminal: wide and narrow, coloured and not, with names that mean harm."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from tlsearch.records import FailureReason, TrialKind, TrialState
from tlsearch.report.headline import others_alike
from tlsearch.report.terminal import render
from tlsearch.report.text import Words

Records = Any  # the conftest's

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=1>',
    "{{7*7}}",
    "cat[/]",
    "[link=x]a[/link]",
    "[bold red]loud[/bold red]",
    "\x1b]0;x\x07",
    "\x1b[2J",
    "two\nlines",
    "\u202egnp.exe",
    "'; DROP TABLE trials;--",
    "../../x",
    "=1+1",
    "CON",
    "\ud800",
    "\x00",
    "x" * 300,
    "{a}",
    "?x#y%00",
    ":smile:",
    "猫" * 40,
]


def shown(records: Records, width: int = 120, **kind: Any) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, legacy_windows=False, **kind)
    render(records.summary(), console)
    return out.getvalue()


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_the_first_lines_say_what_won_how_good_it_is_and_by_how_much(finished: Records) -> None:
    first = flat(shown(finished, width=400))[:900]
    assert "The winner is mobilenet_v2 with a linear head and the last 2 stages of 19 trained (trial 13)" in first
    assert "right answers with every class counting alike on new pictures like these (95 % sure:" in first
    assert 'is better than "the article\'s recipe" by' in first


def test_a_choice_that_later_trials_may_beat_is_not_called_the_winner(finished: Records) -> None:
    finished.tell("told", trial=20)
    first = flat(shown(finished, width=400))[:900]
    assert "The winner is" not in first
    assert "Chosen before 1 later trial ended: mobilenet_v2 with a linear head and" in first
    assert "Continue the run to choose again." in first


def test_a_winner_that_scored_less_than_the_best_says_so_and_why_it_was_named(finished: Records) -> None:
    best = finished.summary().best
    assert best is not None
    said = others_alike(best, Words(metric="accuracy"))
    assert said == (
        "It scored 97.5 % while searching, where the best score was 98.3 %: from trials 11 and 12 it cannot be told "
        "apart, and it is the cheapest of them to run."
    )
    assert said in flat(shown(finished, width=400))


def test_a_winner_with_the_best_score_is_only_said_to_be_alike(finished: Records) -> None:
    best = finished.summary().best
    assert best is not None
    assert best.estimate is not None
    first = replace(best, entry=replace(best.entry, score=best.estimate.naive_score))
    assert others_alike(first, Words(metric="accuracy")) == (
        "From trials 11 and 12 it cannot be told apart; none of them is cheaper to run."
    )
    assert others_alike(replace(first, alike=(best.entry.trial,)), Words(metric="accuracy")) == ""


def test_notes_and_missing_backbones_are_said_at_the_top(finished: Records) -> None:
    top = shown(finished).split("How good it is")[0]
    assert "These pictures are drawings, not photographs." in top
    assert "Left out: resnet18: no weights in reach" in top


def test_what_checking_the_pictures_found_is_said(finished: Records) -> None:
    finished.context["findings"] = {
        "images": 150,
        "class_ratio": 1.5,
        "per_class": {"a": 1},
        "unreadable": {"a.png": "truncated"},
        "duplicates": [["a", "b"], ["c", "d"]],
        "dropped": [],
        "enlarged": 7,
    }
    top = shown(finished).split("How good it is")[0]
    assert "1 file could not be read" in top
    assert "2 sets of equal pictures" in top
    assert "7 pictures smaller than" in top
    assert "left out:" not in top


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_console(finished: Records, width: int) -> None:
    assert max(len(line) for line in shown(finished, width=width).splitlines()) <= width


@pytest.mark.parametrize("width", [60, 120])
def test_every_section_is_there_at_any_width(finished: Records, width: int) -> None:
    text = flat(shown(finished, width=width))
    for title in (
        "How good it is, and how sure that is",
        "Against the baselines",
        "Ranking while searching",
        "Networks",
        "How much of the network to train",
        "What mattered for the score",
        "Class by class",
        "What is taken for what",
        "mistake",
        "Where 3 min 55 s went",
        "What failed",
    ):
        assert title in text
    assert "truth: 5 000 fresh drawings" in text
    assert "same network, two frameworks" in text
    assert "corrected for picking the best" in text


def test_a_closed_holdout_is_said_to_be_closed_and_how_to_open_it(finished: Records) -> None:
    assert "The holdout (30 pictures) is closed; open it once: tlsearch report celebs --final" in flat(shown(finished))


def test_a_holdout_that_was_opened_for_another_winner_is_not_called_closed(finished: Records) -> None:
    finished.tell("holdout_opened", trial=13, final="a", n=30, accuracy=0.9, score=0.9, low=0.7, high=0.97)
    finished.choose(12)
    text = flat(shown(finished))
    assert "was opened for an earlier winner; for this one: tlsearch report celebs --final" in text
    assert "is closed" not in text


def test_a_holdout_seen_too_early_is_said_loudly(finished: Records) -> None:
    finished.tell("holdout_opened", trial=13, final="a", n=30, accuracy=0.9, score=0.9, low=0.7, high=0.97)
    assert "had been seen" not in shown(finished)
    finished.tell("told", trial=20)
    assert "The holdout had been seen before this was chosen" in flat(shown(finished))


def test_pipes_get_no_escape_codes(finished: Records) -> None:
    assert "\x1b" not in shown(finished, force_terminal=False)


def test_no_color_leaves_no_colour(finished: Records) -> None:
    coloured = shown(finished, force_terminal=True, color_system="standard")
    plain = shown(finished, force_terminal=True, color_system="standard", no_color=True)
    codes = re.compile(r"\x1b\[[0-9;]*3[0-7]m")
    assert codes.search(coloured)
    assert not codes.search(plain)


def test_an_ascii_terminal_gets_ascii(finished: Records) -> None:
    finished.classes = ("Zoë", "猫", "Chidi", "Dana", "Emre")
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii", newline="")
    render(finished.summary(), Console(file=out, width=100, legacy_windows=False))
    out.flush()
    assert "Zo\\xeb" in raw.getvalue().decode("ascii")


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("width", [60, 120])
def test_hostile_names_stay_text(finished_with: Callable[..., Records], name: str, width: int) -> None:
    records = finished_with(classes=(name, "b", "c", "d", "e"), name=name)
    failed = {"state": TrialState.FAILED, "reason": FailureReason.EXCEPTION, "detail": name}
    records.add(skill=None, kind=TrialKind.BASELINE, name=name, **failed)
    records.context = {
        "notes": [name],
        "left_out": [{"name": name, "why": name}],
        "files": [f"{name}/{i}" for i in range(records.n)],
    }
    records.tell("phase_timed", phase=name, seconds=1.0)
    text = shown(records, width=width, force_terminal=False)
    assert not {"\x1b", "\x07", "\x00", "\u202e", "\ud800"} & set(text)
    assert "two\nlines" not in text
    text.encode("utf-8")
    if len(name) < 20 and name.isprintable() and width == 120:
        assert f"Left out: {name}: {name}" in text


def test_many_classes_become_a_list_of_confusions(finished_with: Callable[..., Records]) -> None:
    records = finished_with(classes=tuple(f"class {i}" for i in range(30)), n=600)
    text = flat(shown(records))
    assert "Most frequent confusions" in text
    assert "What is taken for what" not in text


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "log_loss"])
def test_every_metric_is_put_into_words(finished_with: Callable[..., Records], metric: str) -> None:
    first = flat(shown(finished_with(metric=metric)))[:600]
    words = {"accuracy": "right answers on new", "macro_f1": "a macro F1 of", "log_loss": "a log loss of 0."}
    assert words[metric] in first


def test_a_study_in_its_first_minute_can_be_reported(records: Records) -> None:
    assert "No trial has completed yet" in shown(records)
    records.add(skill=4.0)
    text = flat(shown(records))
    assert "The best so far is mobilenet_v2" in text
    assert "not yet corrected for luck" in text


def test_a_failed_baseline_is_said_to_have_failed(records: Records) -> None:
    failed = {"state": TrialState.FAILED, "reason": FailureReason.TIMEOUT, "detail": "600 s"}
    records.add(skill=None, kind=TrialKind.BASELINE, name="slow", **failed)
    records.add(skill=4.0)
    assert 'It cannot be compared with "slow", which failed.' in flat(shown(records))


def test_a_report_loads_neither_torch_nor_optuna_nor_sqlalchemy() -> None:
    code = (
        "import sys, tlsearch.report.summary, tlsearch.report.terminal, tlsearch.cli.live\n"
        "heavy = {'torch', 'keras', 'optuna', 'sqlalchemy', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


def test_parameters_are_told_in_words(finished: Records) -> None:
    text = flat(shown(finished))
    mattered = text[text.index("What mattered for the score") :]
    assert "stages trained 52 %" in mattered
    assert " mlp: hidden 20 %" in mattered
    assert "unfrozen 52 %" not in text


@pytest.mark.parametrize(("reached", "above"), [(0.5, False), (0.999, True)])
def test_a_learning_curve_is_not_taken_for_the_winners(finished: Records, reached: float, above: bool) -> None:
    curve = {"images": [9, 18], "score": [0.4, reached], "low": [0.3, 0.4], "high": [0.5, 1.0], "per_class": {}}
    check = {"network": "lite", "images": 120, "label_errors": [], "learning": {**curve, "says": "It rises."}}
    finished.files["data_check"] = json.dumps(check)
    text = flat(shown(finished))
    assert "another, quicker classifier than the winner: read how its score rises" in text
    assert ("it even reaches 99.9 %, more than can be expected of the winner" in text) == above
