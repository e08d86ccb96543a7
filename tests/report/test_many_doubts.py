"""Where more labels are doubted than are named, the count is of all of them, and the list says that it is not."""

import io
import json
from typing import Any

from rich.console import Console

from tlsearch.report.data_check import DataCheck
from tlsearch.report.found import doubted
from tlsearch.report.terminal import render

NAMED = [
    {"file": f"cat/{n:03d}.jpg", "label": "cat", "suggested": "dog", "probability": 0.01 * n, "sure": 0.9}
    for n in range(20)
]
CURVE: dict[str, Any] = {"images": [], "score": [], "low": [], "high": [], "per_class": {}, "says": "Enough."}
CHECKED: dict[str, Any] = {"network": "lite", "images": 5000, "label_errors": NAMED, "learning": CURVE}


def test_all_doubted_labels_are_counted_and_it_is_said_how_many_are_named(finished: Any) -> None:
    finished.files["data_check"] = json.dumps({**CHECKED, "suspects": 900})
    out = io.StringIO()
    render(finished.summary(), Console(file=out, width=100, legacy_windows=False))
    text = " ".join(out.getvalue().split())
    assert "900 labels worth a second look" in text
    assert "the 20 most suspicious are named" in text
    assert "10 more: --json lists them." in text


def test_where_all_are_named_nothing_is_said_of_it() -> None:
    check = DataCheck.from_json({**CHECKED, "suspects": 20})
    assert doubted(check).title == "20 labels worth a second look"
    assert "are named" not in doubted(check).explained


def test_a_check_of_an_earlier_version_counts_its_list() -> None:
    assert doubted(DataCheck.from_json(CHECKED)).title == "20 labels worth a second look"
