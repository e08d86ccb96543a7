"""`tlsearch predict`: what pictures show, by a bundle whose every file is checked first. Loads no torch."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from tlsearch.cli.output import line, out, plain_table, print_json
from tlsearch.errors import DataError
from tlsearch.export.manifest import BundleError, read_manifest, verify_files
from tlsearch.export.predict_template import MODEL_FILE, Classifier, PredictError, answer
from tlsearch.export.predict_template import line as one_line

TABLE_WIDTH = 80  # columns below which a line a picture reads better than a folded table
GAP = 2  # columns between two of a table
HEADINGS = ("shows", "", "or")


def predict_command(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A folder that export-best wrote.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="Picture files.")],
    top: Annotated[int, typer.Option("--top", min=1, help="How many classes to show.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list, for programs.")] = False,
) -> None:
    """Name what pictures show, with an exported model."""
    items = predict(bundle, images, top=top)
    if as_json:
        print_json(items)
    else:
        show(items, out())
    unreadable = [item for item in items if "error" in item]
    if unreadable:
        told = "; ".join(item["error"] for item in unreadable[:3])
        more = f" and {len(unreadable) - 3} more" if len(unreadable) > 3 else ""
        raise DataError(f"{len(unreadable)} of {len(items)} pictures have no answer: {told}{more}")


def predict(bundle: Path, images: list[Path], *, top: int = 3) -> list[dict[str, Any]]:
    """Check a bundle and ask it about pictures.

    Returns:
        For each picture `{"image", "top": [{"label", "probability"}]}`, or `{"image", "error"}`.

    Raises:
        BundleError: Where the bundle is not whole, or holds no network that runs here.
    """
    manifest = read_manifest(bundle)
    verify_files(bundle, manifest)
    if MODEL_FILE not in manifest.files:
        raise BundleError(f"bundle {bundle} has no {MODEL_FILE}", hint="export it again with --format onnx")
    try:
        classifier = Classifier.open(bundle)
    except PredictError as error:
        raise BundleError(str(error)) from error
    return [answer(classifier, image, top) for image in images]


def show(items: list[dict[str, Any]], console: Console) -> None:
    """Print what `predict` returned: a table whose answers stay whole, or a line a picture where there is no room."""
    known = [item for item in items if "error" not in item]
    if console.width < TABLE_WIDTH:
        for item in known:
            console.print(line(one_line(item)))
        return
    table = plain_table("picture", *HEADINGS)
    answers = [_answer(item) for item in known]
    headed = zip(map(line, HEADINGS), *answers, strict=True)
    taken = sum(GAP + max(cell.cell_len for cell in column) for column in headed)
    room = max(console.width - taken, console.width // 3)
    dots = "..." if console.options.ascii_only else "…"
    for item, cells in zip(known, answers, strict=True):
        table.add_row(_last_cells(line(item["image"]).plain, room, dots), *cells)
    if table.row_count:
        console.print(table)


def _answer(item: dict[str, Any]) -> tuple[Text, ...]:
    """What a picture shows, how surely, and what else it may be."""
    first, *others = (_named(entry) for entry in item["top"])
    return line((first[0], "bold")), line(first[1]), line((", ".join(map(" ".join, others)), "dim"))


def _named(entry: dict[str, Any]) -> tuple[str, str]:
    return entry["label"], f"{100 * entry['probability']:.1f} %"


def _last_cells(path: str, room: int, dots: str) -> Text:
    """A path's end, which tells pictures apart, in at most so many columns."""
    if cell_len(path) <= room:
        return Text(path)
    while cell_len(dots + path) > room:
        path = path[1:]
    return Text(dots + path)
