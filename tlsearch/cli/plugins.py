"""`tlsearch plugins`: what is installed to search with, from where, and what of it is broken or disabled."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tlsearch.cli.app import make_app
from tlsearch.cli.output import line, out, plain_table, print_json
from tlsearch.host import PluginHost, Provider
from tlsearch.plugin_contract import Spec, kind_of
from tlsearch.specs import BackboneSpec
from tlsearch.text import safe

NARROW = 100  # columns below which a backbone's facts take two tables

plugins_app = make_app(no_args_is_help=True)


@plugins_app.callback()
def _plugins() -> None:
    """Show what is installed to search with."""


@plugins_app.command("list")
def list_command(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
    plugins: Annotated[
        list[Path] | None, typer.Option("--plugin", metavar="FILE", help="A plugin file to load as well.")
    ] = None,
) -> None:
    """List backbones, heads, datasets and export formats, and the plugins that bring them.

    Plugins that TLSEARCH_LOAD_PLUGINS does not name are listed and never imported.
    """
    providers = PluginHost.load(files=plugins or ()).providers()
    if as_json:
        print_json({"plugins": [plugin_json(provider) for provider in providers]})
    else:
        _show(providers, out())


def plugin_json(provider: Provider) -> dict[str, Any]:
    """One plugin as plain JSON."""
    source = provider.source
    return {
        "name": source.name,
        "status": provider.status,
        "distribution": source.distribution,
        "version": source.version,
        "origin": source.origin,
        "error": provider.error,
        "observes": list(provider.observes),
        "provides": [
            {"kind": kind_of(spec), "name": spec.name, **(_facts(spec) if isinstance(spec, BackboneSpec) else {})}
            for spec in provider.specs
        ],
    }


def _facts(spec: BackboneSpec) -> dict[str, Any]:
    return {
        "framework": spec.framework,
        "parameters": spec.parameters,
        "gmacs": spec.gmacs,
        "image_px": spec.image_px,
        "min_image_px": spec.min_image_px,
        "license": spec.license,
        "paper": spec.paper,
        "weights": [
            {"name": source.name, "trained_on": source.trained_on, "license": source.license} for source in spec.weights
        ],
    }


def _show(providers: Sequence[Provider], console: Console) -> None:
    for table in (*_backbone_tables(providers, narrow=console.width < NARROW), _table_of_others(providers)):
        if table.row_count:
            console.print(table)
            console.print()
    show_left_out(providers, console)


def _backbone_tables(providers: Sequence[Provider], *, narrow: bool) -> list[Table]:
    """One table, or two where the terminal is narrow."""
    what, origin = ("framework", "params", "weights"), ("license", "from")
    first = plain_table("backbone", *what) if narrow else plain_table("backbone", *what, *origin)
    second = plain_table("backbone", *origin)
    for provider, spec in _provided(providers):
        if isinstance(spec, BackboneSpec):
            weights = "\n".join(safe(source.name) for source in spec.weights) or "random only"
            facts = (line(spec.framework), line(f"{spec.parameters / 1e6:.1f} M"), Text(weights))
            comes_from = (line(spec.license), line(_brought_by(provider)))
            first.add_row(line(spec.name), *facts, *(() if narrow else comes_from))
            second.add_row(line(spec.name), *comes_from)
    return [first, second] if narrow else [first]


def _table_of_others(providers: Sequence[Provider]) -> Table:
    rows = [
        (kind_of(spec), spec.name, _brought_by(provider))
        for provider, spec in _provided(providers)
        if not isinstance(spec, BackboneSpec)
    ]
    rows += [("observer", provider.source.name, _brought_by(provider)) for provider in providers if provider.observes]
    table = plain_table("kind", "name", "from")
    for row in sorted(rows):
        table.add_row(*map(line, row))
    return table


def _provided(providers: Sequence[Provider]) -> list[tuple[Provider, Spec]]:
    return [(provider, spec) for provider in providers for spec in provider.specs]


def show_left_out(providers: Sequence[Provider], console: Console) -> None:
    """Name the broken plugins with their first error line, and the disabled ones."""
    for provider in providers:
        if provider.status == "broken":
            console.print(line(("broken: ", "bold red"), f"{provider.source}: {provider.error}"))
        elif provider.status == "disabled":
            console.print(line(("disabled: ", "bold"), f"{provider.source}; TLSEARCH_LOAD_PLUGINS does not name it"))


def _brought_by(provider: Provider) -> str:
    source = provider.source
    return f"{source.distribution} {source.version}" if source.distribution else source.origin
