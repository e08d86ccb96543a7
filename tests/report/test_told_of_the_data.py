"""What reading the pictures found reaches a person: odd pictures by the rule that changed them, files by number."""

import io
import json
import re
from typing import Any

from rich.console import Console

from tlsearch.data.check import DataFindings
from tlsearch.report.terminal import render

CLEAN = DataFindings(
    images=150,
    used=150,
    per_class={"a": 75, "b": 75},
    ignored=(),
    unreadable={},
    conversions={},
    enlarged=0,
    duplicates=(),
    dropped=(),
    class_ratio=1.0,
)


def told(records: Any, **found: Any) -> str:
    findings = {**CLEAN.to_json(), **found}
    records.context["findings"] = json.loads(json.dumps(findings))  # as the store gives it back
    out = io.StringIO()
    render(records.summary(), Console(file=out, width=120, legacy_windows=False))
    return re.sub(r"\s+", " ", out.getvalue())


def test_odd_pictures_are_counted_by_the_rule_that_converted_them(finished: Any) -> None:
    assert "Pictures converted: 3 CMYK, 1 200 rotated by EXIF." in told(
        finished, conversions={"rotated by EXIF": 1200, "CMYK": 3}
    )


def test_ignored_files_are_counted(finished: Any) -> None:
    assert "2 files ignored: hidden, or no picture by name." in told(finished, ignored=[".DS_Store", "a/notes.txt"])


def test_of_plain_pictures_nothing_is_said(finished: Any) -> None:
    text = told(finished)
    assert "converted" not in text
    assert "ignored" not in text
