"""A plugin file whose exporter fails halfway."""

from collections.abc import Sequence
from pathlib import Path

from tlsearch import ExportableModel, ExporterSpec, hookimpl


def export(model: ExportableModel, path: Path) -> None:
    path.write_bytes(b"half of it")
    raise ZeroDivisionError("no\x1b[2J luck\nsecond line")


@hookimpl
def tlsearch_exporters() -> Sequence[ExporterSpec]:
    return [ExporterSpec(name="broken", filename="x.bin", refuses=lambda model: None, export=export)]
