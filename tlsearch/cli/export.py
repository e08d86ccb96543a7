"""`tlsearch export-best`: the final model as a bundle that runs without tlsearch."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from tlsearch.cli.output import err, line, out, plain_table
from tlsearch.cli.studies import StoredStudy, find_study
from tlsearch.export.facts import study_facts
from tlsearch.export.program import PROGRAM
from tlsearch.export.target import refuse_target
from tlsearch.holdout import HoldoutScore, open_holdout
from tlsearch.host import PluginHost
from tlsearch.report.text import Words
from tlsearch.stats import Interval

if TYPE_CHECKING:
    from tlsearch.export.bundle import BundleReport

FITTED_ON = "The model was fitted on the development pictures: their accuracy says nothing about new ones."


def export_command(
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The folder to write.", show_default=False)],
    study: Annotated[
        str | None,
        typer.Argument(metavar="STUDY", help="A study file or a name under runs/; left out, the newest run."),
    ] = None,
    formats: Annotated[
        str | None,
        typer.Option("--format", metavar="NAMES", help="Such as onnx,keras; left out, all that this model has."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier bundle of tlsearch.")] = False,
    store: Annotated[str | None, typer.Option("--store", metavar="URL", help="Where the study is stored.")] = None,
    plugins: Annotated[
        list[Path] | None, typer.Option("--plugin", metavar="FILE", help="A plugin file to load as well.")
    ] = None,
) -> None:
    """Write the best model as files that run anywhere, and prove that they give the same answers.

    The proof ends on the holdout, which is opened for it.
    """
    names = None if formats is None else [name.strip() for name in formats.split(",") if name.strip()]
    show(export(find_study(study, store), to, formats=names, force=force, plugins=plugins or []), out())


def export(
    found: StoredStudy, to: Path, *, formats: Sequence[str] | None, force: bool, plugins: Sequence[Path]
) -> "BundleReport":
    """Export a stored study's final model, telling on the error stream what is being done."""
    from tlsearch.store.store import Store  # with all that writes, which no help needs

    progress = err()
    with Store.open(found.store) as opened:
        facts = study_facts(opened, found.name)
        refuse_target(to, facts, force=force)
        from tlsearch.export.bundle import export_best  # loads torch: not for --help, nor for what is refused anyway

        def open_now() -> HoldoutScore | None:
            return open_holdout(opened, found.name, facts.final, found.lock)

        if facts.outdated:
            progress.print(line("note: trials ended after this model was chosen; continue the run to choose again"))
        return export_best(
            facts,
            to,
            host=PluginHost.load(files=plugins),
            open_holdout=open_now,
            formats=formats,
            force=force,
            plugins=plugins,
            say=lambda text: progress.print(line((text, "dim"))),
        )


def show(report: "BundleReport", console: Console) -> None:
    """Print what was written and how it was proven."""
    console.print(line("wrote ", (str(report.folder), "bold")))
    table = plain_table("file", "pictures", "n", "largest difference", "same label", "accuracy")
    for entry in report.manifest.checks:
        shares = (f"{100 * entry.label_agreement:.2f} %", f"{100 * entry.accuracy:.1f} %")
        table.add_row(line(entry.file), entry.part, str(entry.n), f"{entry.max_dp:.1e}", *shares)
    if table.row_count:
        console.print(table)
        console.print(line((FITTED_ON, "dim")))
    if report.holdout is not None:
        console.print(line(holdout_words(report.holdout)))
    for note in report.manifest.notes:
        console.print(line(f"note: {note}"))
    for name, reason in report.left_out:
        console.print(line((f"no {name}: {reason}", "dim")))
    if PROGRAM in report.manifest.files:
        command = shlex.join(["tlsearch", "predict", str(report.folder)])
        console.print(line(f"next: {command} PICTURE..."), soft_wrap=True)


def holdout_words(holdout: HoldoutScore) -> str:
    """The holdout's figures in one sentence."""
    words = Words(metric=holdout.metric)
    said = f"holdout: {100 * holdout.accuracy:.1f} % of {holdout.n} pictures right"
    if holdout.metric != "accuracy":
        said += f"; {holdout.metric.replace('_', ' ')} {words.score(holdout.score)}"
    return f"{said}, 95 % sure: {words.span(Interval(low=holdout.low, high=holdout.high))}"
