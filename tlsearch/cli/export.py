"""`tlsearch export-best`: the final model as a bundle that runs without tlsearch."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from tlsearch.cli.output import err, line, out, plain_table
from tlsearch.cli.studies import StoredStudy, find_study
from tlsearch.export.facts import study_facts
from tlsearch.export.program import PROGRAM
from tlsearch.holdout import HoldoutScore, open_holdout
from tlsearch.host import PluginHost
from tlsearch.store.store import Store

if TYPE_CHECKING:
    from tlsearch.export.bundle import BundleReport


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
    from tlsearch.export.bundle import export_best  # loads torch: not for --help, nor before the study is found

    progress = err()
    with Store.open(found.store) as opened:
        facts = study_facts(opened, found.name)

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
    table = plain_table("file", "pictures", "n", "max |Δp|", "same label", "accuracy")
    for entry in report.manifest.checks:
        numbers = (str(entry.n), f"{entry.max_dp:.1e}", f"{entry.label_agreement:.2%}", f"{entry.accuracy:.1%}")
        table.add_row(line(entry.file), entry.part, *numbers)
    if table.row_count:
        console.print(table)
    if report.holdout is not None:
        console.print(line(holdout_words(report.holdout)))
    for note in report.manifest.notes:
        console.print(line(f"note: {note}"))
    for name, reason in report.left_out:
        console.print(line((f"no {name}: {reason}", "dim")))
    if PROGRAM in report.manifest.files:
        console.print(line(f"next: tlsearch predict {report.folder} PICTURE..."))


def holdout_words(holdout: HoldoutScore) -> str:
    """The holdout's figures in one sentence."""
    metric = holdout.metric.replace("_", " ")
    # a log loss is kept negated, so that greater is better
    sign = -1 if holdout.metric == "log_loss" else 1
    low, high = sorted((sign * holdout.low, sign * holdout.high))
    return (
        f"holdout: {holdout.accuracy:.1%} of {holdout.n} pictures right; "
        f"{metric} {sign * holdout.score:.3f}, 95 % interval {low:.3f} to {high:.3f}"
    )
