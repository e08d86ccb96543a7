"""`tlsearch doctor`: what this machine can search with, and what a study would lack on it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from tlsearch.cli.diagnosis import BackboneState, Machine, look_at_machine, look_for_weights
from tlsearch.cli.output import line, out, plain_table, print_json
from tlsearch.cli.places import refuse_run_among_photos
from tlsearch.cli.plugins import plugin_json, show_left_out
from tlsearch.data.source import check_dataset
from tlsearch.devices import choose_devices
from tlsearch.disk import writing
from tlsearch.errors import TlsearchError, WeightsError
from tlsearch.host import PluginHost
from tlsearch.paths import cache_root
from tlsearch.study import StudyConfig, load_study

NARROW = 80  # columns
CHECK_FAILED = 5  # the exit code of a check that did not pass
SET_IT = "tlsearch doctor STUDY.toml --set KEY=VALUE"
STYLES = {"here": "green", "reachable": "cyan", "missing": "yellow"}


def doctor_command(
    study: Annotated[
        Path | None, typer.Argument(metavar="STUDY", help="A study file: tell what it lacks here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a value of the study file.")
    ] = None,
    plugins: Annotated[
        list[Path] | None, typer.Option("--plugin", metavar="FILE", help="A plugin file to load as well.")
    ] = None,
) -> None:
    """Show devices, versions, plugins, weights in reach and room on the disk.

    Downloads nothing. Ends with exit code 5 where a plugin is broken, or the study cannot run as it is.
    """
    if settings and study is None:
        raise TlsearchError("--set changes a value of a study file, and none is named", hint=SET_IT)
    host = PluginHost.load(files=plugins or ())
    config = None if study is None else load_study(study, overrides=settings or (), host=host)
    machine = look_at_machine()
    known = dict.fromkeys(host.backbones(), "auto")
    wanted = known if config is None else {table.name: table.weights for table in config.backbones}
    weights = look_for_weights(host, wanted)
    data, lacking = ("", []) if config is None else _look_at_study(config, host, weights)
    problems = [*(str(plugin) for plugin in host.broken), *lacking]
    if as_json:
        print_json(_as_json(machine, host, weights, data, problems))
    else:
        _show(machine, host, weights, data, problems, out())
    if problems:
        raise typer.Exit(CHECK_FAILED)


def _look_at_study(config: StudyConfig, host: PluginHost, weights: Sequence[BackboneState]) -> tuple[str, list[str]]:
    """What a study's data are, in one line, and what keeps it from running here."""
    data, problems = "", list[str]()
    with _noted(problems):
        _check_weights(config, weights)
    with _noted(problems):
        choose_devices(config.run.devices)
    with _noted(problems):
        refuse_run_among_photos(config)
    with _noted(problems):
        data = _data(config, host)
    return data, problems


@contextmanager
def _noted(problems: list[str]) -> Iterator[None]:
    """Add what is refused, and the way out."""
    try:
        yield
    except TlsearchError as error:
        problems.append(f"{error.message}; {error.hint}" if error.hint else error.message)


def _check_weights(config: StudyConfig, weights: Sequence[BackboneState]) -> None:
    without = [backbone for backbone in weights if not backbone.usable]
    if without and (config.run.on_missing_weights == "error" or len(without) == len(weights)):
        told = [b.name if b.wanted == "auto" else f"{b.name} from '{b.wanted}'" for b in without]
        raise WeightsError(f"no weights in reach for {', '.join(told)}")


def _data(config: StudyConfig, host: PluginHost) -> str:
    spec = host.dataset(config.data.source)
    folder = cache_root() / "datasets" / spec.name
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    dataset = spec.load(spec.options.model_validate(config.data.options), folder)
    check_dataset(dataset)
    return f"{len(dataset.images)} pictures in {len(dataset.classes)} classes in {dataset.root}"


def _as_json(
    machine: Machine, host: PluginHost, weights: Sequence[BackboneState], data: str, problems: Sequence[str]
) -> dict[str, Any]:
    return {
        "machine": asdict(machine),
        "versions": host.versions(),
        "plugins": [plugin_json(provider) for provider in host.providers()],
        "backbones": [{**asdict(backbone), "usable": backbone.usable} for backbone in weights],
        "data": data,
        "problems": list(problems),
    }


def _show(
    machine: Machine,
    host: PluginHost,
    weights: Sequence[BackboneState],
    data: str,
    problems: Sequence[str],
    console: Console,
) -> None:
    facts = plain_table("this machine", "")
    facts.add_row(line("devices"), line(", ".join(machine.devices), f" ({machine.cores} cores)"))
    facts.add_row(line("system"), line(f"{machine.system}, Python {machine.python}"))
    facts.add_row(line("versions"), line(", ".join(f"{name} {number}" for name, number in host.versions().items())))
    facts.add_row(line("cache"), line(machine.cache))
    facts.add_row(
        line("room"), line(f"{machine.cache_bytes / 1e9:.2f} GB cached, {machine.free_bytes / 1e9:.0f} GB free")
    )
    if data:
        facts.add_row(line("data"), line(data))
    console.print(facts)
    console.print()
    _show_weights(weights, console)
    console.print()
    providers = host.providers()
    active = sum(provider.status == "active" for provider in providers)
    console.print(line(f"{active} plugins are active; tlsearch plugins list names them"))
    show_left_out(providers, console)
    for problem in problems[len(host.broken) :]:
        console.print(line(("problem: ", "bold red"), problem))


def _show_weights(weights: Sequence[BackboneState], console: Console) -> None:
    narrow = console.width < NARROW  # a long source's name matters more than where it comes from
    table = plain_table("backbone", "weights", "", *(() if narrow else ("from",)))
    for backbone in weights:
        name = backbone.name
        for source in backbone.sources:
            state = line((source.state, STYLES[source.state]))
            table.add_row(line(name), line(source.name), state, *(() if narrow else (line(source.place),)))
            name = ""
        if not backbone.sources:
            table.add_row(line(name), line("random"), line("here"))
    console.print(table)
    missing = [s.detail for backbone in weights for s in backbone.sources if s.state == "missing"]
    for reason in dict.fromkeys(missing):
        console.print(line(("missing: ", "yellow"), reason))
