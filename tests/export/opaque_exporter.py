"""A plugin file whose exporter writes what nothing here can load."""

from collections.abc import Sequence
from pathlib import Path

from tlsearch import ExportableModel, ExporterSpec, hookimpl


def export(model: ExportableModel, path: Path) -> None:
    path.write_bytes(str(model.classes).encode())


@hookimpl
def tlsearch_exporters() -> Sequence[ExporterSpec]:
    return [ExporterSpec(name="opaque", filename="model.bin", refuses=lambda model: None, export=export)]
