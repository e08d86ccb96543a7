"""Whether the winner's probabilities can be believed, and what the correction did to them: found, and told."""

from collections.abc import Sequence

import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tlsearch.report.evidence import Evidence
from tlsearch.report.results import section, table
from tlsearch.report.text import Words, plural
from tlsearch.report.values import Summary
from tlsearch.stats import Calibration
from tlsearch.stats.calibration import Curve, ReliabilityBin

LEVELS = (0.9, 0.8, 0.7)  # of sureness that a sentence may speak of, the first that the model states
ENOUGH = 500  # pictures: a level is read off the bins around it, a fifth of all, and 100 tell 90 % to within 6 points
ROWS = 5  # on a terminal
NO_CORRECTION = "A correction made it no better on pictures that it was not fitted on, so there is none."


def calibration(evidence: Evidence) -> Calibration | None:
    """What was found when the winner was chosen; None before that, or where there was too little to find it on."""
    chosen = evidence.last("chosen")
    found = None if chosen is None else chosen.data.get("calibration")
    return None if found is None else Calibration.from_json(found)


def in_a_sentence(found: Calibration) -> str:
    """How far one can believe what the model says of its own answers, before and after the correction."""
    before, after = found.curve_before, found.curve_after
    level = next((one for one in LEVELS if _within(one, before) and _within(one, after)), None)
    if level is not None and found.n >= ENOUGH:
        said = f"When it says {_whole(level)}, it is right {_whole(_read_off(before, level))} of the time"
        corrected = f"; after correction {_whole(_read_off(after, level))}."
    else:
        average = _joined(before)
        said = f"On average it is {_whole(average.confidence)} sure, and right {_whole(average.accuracy)} of the time"
        corrected = f"; after correction it is {_whole(_joined(after).confidence)} sure."
    return said + (corrected if found.corrects else f". {NO_CORRECTION}")


def remarks(found: Calibration, words: Words) -> list[str]:
    """What the figures are of, and what the correction is."""
    said = [
        f"Measured on {plural(found.n, 'picture')}, each corrected by what was fitted on others. A model that is "
        f"exactly as sure as it should be would be off by {_points(found.before.ece_by_chance)} points here, by "
        "chance alone."
    ]
    if found.corrects:
        said.append(
            f"The correction divides by a temperature of {found.temperature:g}. It changes no answer, only how sure "
            "the model is, and is part of the final model and of every export."
        )
        if found.after.ece >= found.before.ece:
            said.append(
                "On average that brings it no closer. It is kept since the log loss is smaller, which counts most "
                "the wrong answers that it was sure of."
            )
        if not words.is_share:
            said.append(
                "Scores while searching are before the correction; those of the final model, on fresh drawings and on "
                "the holdout, are after it."
            )
    return said


def believable(summary: Summary, words: Words, width: int) -> RenderableType | None:
    """How sure the winner is against how often it is right, and what the correction did."""
    found = summary.calibration
    if found is None:
        return None
    sentence = words.text(in_a_sentence(found))
    notes = [words.text(said, "dim") for said in remarks(found, words)]
    title = "Whether its probabilities can be believed"
    return section(title, sentence, Text(), _reliability(found), Text(), _errors(found), *notes)


def levels(found: Calibration, most: int) -> tuple[list[str], list[list[str]]]:
    """How sure answers are against how often they are right, as the columns and rows of a table.

    Args:
        found: Of the study.
        most: Rows, of about equally many pictures, the surest first.
    """
    columns = ["answers", "it says", "it is right", *(("corrected", "it is right") if found.corrects else ())]
    curves = (found.curve_before, found.curve_after) if found.corrects else (found.curve_before,)
    rows = []
    for place, joined in enumerate(zip(*(_rows(curve, most) for curve in curves), strict=True)):
        cells = [share for one in joined for share in (_tenths(one.confidence), _tenths(one.accuracy))]
        rows.append([f"{'next' if place else 'surest'} {joined[0].n}", *cells])
    return columns, rows


def _reliability(found: Calibration) -> Table:
    shown = table()
    columns, rows = levels(found, ROWS)
    shown.add_column(columns[0])
    for column in columns[1:]:
        shown.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        shown.add_row(*row)
    return shown


def _errors(found: Calibration) -> Table:
    shown = table()
    shown.add_column("smaller is better")
    for column in ("as it is", "corrected"):
        shown.add_column(column, justify="right", no_wrap=True)
    before, after = found.before, found.after
    shown.add_row("off by, in points (ECE)", _points(before.ece), _points(after.ece))
    shown.add_row("log loss", f"{before.log_loss:.3f}", f"{after.log_loss:.3f}")
    shown.add_row("Brier score", f"{before.brier:.3f}", f"{after.brier:.3f}")
    return shown


def _rows(curve: Curve, most: int) -> list[ReliabilityBin]:
    """Neighbouring bins as one, where there are more than a person wants to read; the surest first."""
    places = np.array_split(np.arange(len(curve)), min(most, len(curve)))
    return [_joined([curve[place] for place in rows]) for rows in places][::-1]


def _joined(bins: Sequence[ReliabilityBin]) -> ReliabilityBin:
    n = sum(one.n for one in bins)
    return ReliabilityBin(
        confidence=sum(one.confidence * one.n for one in bins) / n,
        accuracy=sum(one.accuracy * one.n for one in bins) / n,
        n=n,
    )


def _within(level: float, curve: Curve) -> bool:
    return curve[0].confidence <= level <= curve[-1].confidence


def _read_off(curve: Curve, level: float) -> float:
    """The share of right answers at a sureness, between the two bins around it."""
    return float(np.interp(level, [one.confidence for one in curve], [one.accuracy for one in curve]))


def _whole(share: float) -> str:
    return f"{100 * share:.0f} %"


def _tenths(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(share: float) -> str:
    return f"{100 * share:.1f}"
