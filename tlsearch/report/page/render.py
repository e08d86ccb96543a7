"""Writes a study's material as one HTML page that asks nobody for anything.

Nothing from outside is trusted: names are escaped where they are written, data are JSON that cannot end its element,
and a content security policy runs only the two scripts whose hashes it names.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from tlsearch.report.floors import not_kept
from tlsearch.report.headline import headline, others_alike
from tlsearch.report.page.gallery import Gallery
from tlsearch.report.page.material import Material
from tlsearch.report.page.parts import answer, data, mistakes, run, search
from tlsearch.report.page.section import Desk, Section, Write
from tlsearch.report.terminal import what_was_searched
from tlsearch.report.text import Words, duration, moment, number
from tlsearch.report.values import Summary
from tlsearch.text import safe

GENERATOR = "tlsearch report"  # by which a page is known as one of ours

# In the order in which a person asks. Those whose pictures must not be missing take theirs first.
SECTIONS: tuple[Write, ...] = (
    answer.sure,
    answer.baselines,
    mistakes.confusion,
    mistakes.classes,
    mistakes.surest_mistakes,
    answer.calibration,
    search.over_time_section,
    search.importance,
    search.response,
    search.all_at_once,
    search.leaderboard,
    data.pictures,
    data.more_pictures,
    run.time,
    run.failures,
    run.reproduce,
)
HUNGRY = (mistakes.confusion,)  # take whatever room for pictures the others leave


def page(material: Material) -> str:
    """A study's report as HTML.

    Args:
        material: Everything that is known of the study.
    """
    desk = Desk(material=material, words=Words(metric=material.summary.metric), gallery=Gallery.of(material.pictures))
    strips = mistakes.strips(desk)
    sections = _written(desk)
    charts = _charts(sections)
    cells = {key: shown for section in sections for key, shown in section.cells.items()}
    script, plotly = _text("script.js"), _plotly() if charts else ""
    environment = Environment(
        loader=PackageLoader("tlsearch.report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_harmless_text,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["tight"] = _tight
    environment.filters["path"] = _path
    environment.filters["name"] = _name
    return environment.get_template("page.html.j2").render(
        **_front(material, desk.words),
        generator=GENERATOR,
        policy=_policy(script, plotly),
        style=Markup(_text("style.css")),  # ours: the package's own files
        script=Markup(script),
        plotly=Markup(plotly),
        data=_harmless({"charts": charts, "cells": cells}),
        strips=strips,
        sections=sections,
        groups=_groups(sections),
    )


def _written(desk: Desk) -> list[Section]:
    """All sections in their order; the hungry ones are written last."""
    written = {write: write(desk) for write in SECTIONS if write not in HUNGRY}
    # a long search has much to tell of its trials
    desk.gallery.spend(len(htmlsafe_json_dumps(_charts(written.values()))))
    written |= {write: write(desk) for write in HUNGRY}
    return [written[write] for write in SECTIONS]


def _charts(sections: Iterable[Section]) -> dict[str, dict[str, Any]]:
    return {chart.key: asdict(chart) for section in sections for chart in section.charts}


def _front(material: Material, words: Words) -> dict[str, Any]:
    """What stands at the top: the answer in two sentences and in figures."""
    summary = material.summary
    won, compared = headline(summary, words)
    best = summary.best
    facts = [
        ("pictures", number(summary.data.development + summary.data.holdout)),
        ("classes", number(len(summary.data.classes))),
        ("trials", number(summary.trials.counted)),
        ("networks", number(len(summary.completed_backbones))),
        ("time", duration(sum(summary.seconds.values())) if summary.seconds else "-"),
    ]
    return {
        "study": words.name(summary.study).plain,
        "begun": material.origin.created[:10],
        "written": moment(material.read),
        "won": won,
        "compared": compared,
        "alike": "" if best is None else others_alike(best, words),
        "figure": "" if best is None else words.score(best.score),
        "figure_says": _figure_says(material, words),
        "facts": facts,
        "searched": what_was_searched(summary),
        "notes": _notes(summary),
    }


def _notes(summary: Summary) -> list[str]:
    """What must be known before anything below is read."""
    missing = [f"Left out: {name}: {why}" for name, why in summary.left_out]
    return [note for note in (not_kept(summary), *missing, summary.data.skew, *summary.data.notes) if note]


def _figure_says(material: Material, words: Words) -> tuple[str, str]:
    best = material.summary.best
    if best is None:
        return "", ""
    if best.estimate is None:
        return "while searching", "not yet corrected for luck"
    what = "expected, before later trials" if best.outdated else "expected on new pictures"
    return what, f"95 % sure: {words.span(best.interval)}"


def _groups(sections: Sequence[Section]) -> list[tuple[str, list[Section]]]:
    groups: dict[str, list[Section]] = {}
    for section in sections:
        groups.setdefault(section.group, []).append(section)
    return list(groups.items())


def _policy(*scripts: str) -> str:
    allowed = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts if script)
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _text(name: str) -> str:
    return files("tlsearch.report.page").joinpath(name).read_text(encoding="utf-8")


def _plotly() -> str:
    """plotly.js as the installed package brings it."""
    return files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")


def _tight(text: str) -> str:
    """A sentence whose numbers keep their units and thousands on one line."""
    return re.sub(r"(?<=\d) (?=%|\d{3}(?!\d)|points|s\b|min\b|h\b)", "\N{NO-BREAK SPACE}", text)


def _path(file: str) -> Markup:
    """A file's name that breaks behind its folders, where it must."""
    return Markup("/<wbr>").join(safe(file, keep_lines=True).split("/"))


def _name(name: str) -> Markup:
    """A network's name that breaks behind its words, where it must."""
    return Markup("<wbr>").join(re.split(r"(?<=[/_])", safe(name, keep_lines=True)))


def _harmless_text(value: Any) -> Any:
    """What a template writes: names lose the marks that steer or reorder the text around them; escaping comes after."""
    return safe(value, keep_lines=True) if isinstance(value, str) and not isinstance(value, Markup) else value


def _harmless(value: Any) -> Any:
    """The same for every text of a JSON value."""
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, Mapping):
        return {safe(str(key)): _harmless(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_harmless(entry) for entry in value]
    return value
