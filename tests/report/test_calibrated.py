"""What a report says of the winner's probabilities: before, after, and where a correction does not help."""

import io
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tlsearch.report import calibrated
from tlsearch.report.as_json import to_json
from tlsearch.report.terminal import render
from tlsearch.report.text import Words
from tlsearch.stats import Calibration, calibrate

Records = Any  # the conftest's
SHARES, LOSS = Words(metric="accuracy"), Words(metric="log_loss")


def found_in(n: int, temperature: float) -> Calibration:
    """What is found of a model of five classes that was drawn at a temperature."""
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(n, 5))
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)  # drawn as the softmax of the logits says
    stated = temperature * logits
    stated -= np.log(np.exp(stated).sum(axis=1, keepdims=True))
    found = calibrate(stated, labels, folds=np.arange(n) % 5)
    assert found is not None
    return found


def chosen_with(records: Records, found: Calibration | None) -> Records:
    """The run, its choice told again with what was found of the winner's probabilities."""
    last = next(event for event in reversed(records.events) if event.kind == "chosen")
    records.tell("chosen", **{**last.data, "calibration": None if found is None else found.to_json()})
    return records


def shown(records: Records, width: int) -> str:
    out = io.StringIO()
    render(records.summary(), Console(file=out, width=width, legacy_windows=False))
    return out.getvalue()


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_many_pictures_tell_how_often_it_is_right_when_it_says_90_per_cent() -> None:
    said = calibrated.in_a_sentence(found_in(5000, 2.0))
    assert re.fullmatch(r"When it says 90 %, it is right \d+ % of the time; after correction \d+ %\.", said)
    _, before, after = map(int, re.findall(r"(\d+) %", said))
    assert before < 75
    assert 86 <= after <= 94


def test_few_pictures_tell_the_average_alone() -> None:
    found = found_in(150, 2.0)
    said = calibrated.in_a_sentence(found)
    sure, right, corrected = map(int, re.findall(r"(\d+) %", said))
    assert said.startswith("On average it is")
    assert sum(one.accuracy * one.n for one in found.curve_before) / 150 == pytest.approx(right / 100, abs=0.005)
    assert sure > right + 10
    assert abs(corrected - right) < 5


def test_a_level_that_the_model_never_states_is_not_spoken_of() -> None:
    timid = calibrated.in_a_sentence(found_in(5000, 0.1))
    assert timid.startswith("On average it is")


def test_where_no_correction_helps_the_report_says_that_there_is_none(finished: Records) -> None:
    found = replace(found_in(200, 1.0), temperature=1.0)
    text = flat(shown(chosen_with(finished, found), 120))
    assert "A correction made it no better on pictures that it was not fitted on, so there is none." in text
    assert "temperature" not in text


def test_the_section_shows_sureness_errors_and_the_temperature(finished: Records) -> None:
    found = found_in(400, 2.0)
    text = flat(shown(chosen_with(finished, found), 120))
    assert "Whether its probabilities can be believed" in text
    assert f"log loss {found.before.log_loss:.3f} {found.after.log_loss:.3f}" in text
    assert f"{100 * found.before.ece:.1f} {100 * found.after.ece:.1f}" in text
    assert f"a temperature of {found.temperature:g}" in text
    assert "surest 80" in text
    assert text.count("next 80") == 4


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_it_fits_a_terminal_of_60_columns(finished: Records, temperature: float) -> None:
    lines = shown(chosen_with(finished, found_in(12_000, temperature)), 60).splitlines()
    first = lines.index("Whether its probabilities can be believed")
    section = lines[first : first + 28]
    assert all(len(line) <= 60 for line in section)
    assert "…" not in "".join(section)
    rows = [line for line in section if line.startswith(("surest", "next"))]
    assert len(rows) == 5
    assert all(row.count("%") == (4 if temperature == 2.0 else 2) for row in rows)


def test_only_a_study_of_the_log_loss_is_told_which_scores_are_before_the_correction() -> None:
    found = found_in(400, 2.0)
    before = "Scores while searching are before the correction"
    assert before in " ".join(calibrated.remarks(found, LOSS))
    assert before not in " ".join(calibrated.remarks(found, SHARES))
    assert before not in " ".join(calibrated.remarks(replace(found, temperature=1.0), LOSS))


def test_a_correction_that_helps_the_log_loss_alone_says_what_it_is_kept_for() -> None:
    found = found_in(400, 2.0)
    no_closer = replace(found, after=replace(found.after, ece=found.before.ece + 0.01))
    assert "On average that brings it no closer." in " ".join(calibrated.remarks(no_closer, SHARES))
    assert "no closer" not in " ".join(calibrated.remarks(found, SHARES))


@pytest.mark.parametrize("stored", ["of an older run", "too little to tell by"])
def test_without_a_calibration_nothing_is_said(finished: Records, stored: str) -> None:
    records = finished if stored == "of an older run" else chosen_with(finished, None)
    assert "believed" not in shown(records, 120)
    assert to_json(records.summary())["calibration"] is None


def test_json_has_the_temperature_the_errors_and_the_curve(finished: Records) -> None:
    found = found_in(400, 2.0)
    told = to_json(chosen_with(finished, found).summary())["calibration"]
    assert told == found.to_json()
    assert set(told) == {"temperature", "n", "before", "after", "curve"}
    assert sum(one["n"] for one in told["curve"]["after"]) == 400
