"""What a study file says of plugins, held against the plugins: names, parameters and sizes."""

from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, create_model

from tlsearch.errors import Fault
from tlsearch.host import PluginHost
from tlsearch.params import Params
from tlsearch.space import Choice, Range
from tlsearch.specs import BackboneSpec, HeadSpec, Preprocessing
from tlsearch.study.faults import read_model, shown
from tlsearch.study.tables import BackboneTable, BaselinePhase, BaselineTable, DataTable, SearchTable, StudyConfig
from tlsearch.text import did_you_mean


def check_against_plugins(config: StudyConfig, host: PluginHost) -> list[Fault]:
    """Every fault that only the plugins can tell."""
    return [
        *_required_plugins(config.study.plugins, host),
        *_data(config.data, host),
        *_backbones(config.backbones, host),
        *_search(config.search, host),
        *_baselines(config.baselines, [table.name for table in config.backbones], host),
    ]


def _required_plugins(required: Iterable[str], host: PluginHost) -> Iterator[Fault]:
    known = {name: p for p in host.providers() for name in (p.source.name, p.source.distribution) if name}
    for name in required:
        if name not in known:
            way_out = did_you_mean(name, known) or "; install the distribution that brings it"
            yield Fault(place="study.plugins", message=f"no plugin '{name}' is installed{way_out}")
        elif known[name].status == "broken":
            yield Fault(place="study.plugins", message=f"plugin '{name}' is broken: {known[name].error}")
        elif known[name].status == "disabled":
            yield Fault(
                place="study.plugins", message=f"plugin '{name}' is disabled by TLSEARCH_LOAD_PLUGINS; add it there"
            )


def _data(data: DataTable, host: PluginHost) -> Iterator[Fault]:
    spec = host.datasets().get(data.source)
    if spec is None:
        yield _unknown("data.source", "dataset", data.source, host.datasets())
    else:
        yield from read_model(spec.options, data.options, place="data")[1]


def _backbones(tables: Iterable[BackboneTable], host: PluginHost) -> Iterator[Fault]:
    seen = set()
    for table in tables:
        place = f"backbones.{table.name}"
        if table.name in seen:
            yield Fault(place=place, message="is listed twice")
        seen.add(table.name)
        spec = host.backbones().get(table.name)
        if spec is None:
            yield _unknown(place, "backbone", table.name, host.backbones())
            continue
        if table.image_px is not None and table.image_px < spec.min_image_px:
            message = f"{table.image_px} is below this backbone's minimum of {spec.min_image_px}"
            yield Fault(place=f"{place}.image_px", message=message)
        yield from _weights(table, spec, place)
        yield from read_model(spec.params, table.params, place=f"{place}.params")[1]


def _weights(table: BackboneTable, spec: BackboneSpec, place: str) -> Iterator[Fault]:
    known = ["auto", "random", *(source.name for source in spec.weights)]
    path = Path(table.weights).expanduser()
    if table.weights in known or path.is_file():
        return
    meant = did_you_mean(table.weights, known)
    message = f"{shown(table.weights)} is none of {', '.join(known)}, and no file has this name{meant}"
    yield Fault(place=f"{place}.weights", message=message)


def _search(search: SearchTable, host: PluginHost) -> Iterator[Fault]:
    for name in search.heads:
        if name not in host.heads():
            yield _unknown("search.heads", "head", name, host.heads())
    for name, ranges in search.head.items():
        place = f"search.head.{name}"
        spec = host.heads().get(name)
        if spec is None:
            yield _unknown(place, "head", name, host.heads())
            continue
        for key, value in ranges.items():
            yield from _head_range(spec, key, value, f"{place}.{key}")


def _head_range(spec: HeadSpec, key: str, value: Range, place: str) -> Iterator[Fault]:
    known = ["learning_rate", *spec.params.model_fields]
    if key not in known:
        yield Fault(place=place, message=f"unknown{did_you_mean(key, known)}")
    elif key == "learning_rate":
        ends = value.values if isinstance(value, Choice) else (value.low, value.high)
        if any(isinstance(end, bool | str) or end <= 0 for end in ends):
            yield Fault(place=place, message="a learning rate is a number above 0")
    else:
        yield from _range_values(spec.params, key, value, place)


def _range_values(params: type[Params], key: str, value: Range, place: str) -> Iterator[Fault]:
    """Every end or choice must be a value that the plugin itself accepts."""
    if isinstance(value, Choice):
        candidates = [("", choice) for choice in value.values]
    else:
        candidates = [(".low", value.low), (".high", value.high)]
    for end, candidate in candidates:
        for fault in read_model(params, {key: candidate})[1]:
            if fault.place.split(".")[0] == key:  # what else the plugin may require is not said here
                yield Fault(place=f"{place}{end}", message=fault.message)


def _baselines(tables: Iterable[BaselineTable], backbones: list[str], host: PluginHost) -> Iterator[Fault]:
    seen = set()
    for table in tables:
        place = f"baselines.{table.name}"
        if table.name in seen:
            yield Fault(place=place, message="another baseline has this name")
        seen.add(table.name)
        if table.backbone not in backbones:
            meant = did_you_mean(table.backbone, backbones)
            message = f"'{table.backbone}' is not among the backbones of this study{meant}"
            yield Fault(place=f"{place}.backbone", message=message)
        spec = host.heads().get(table.head)
        if spec is None:
            yield _unknown(f"{place}.head", "head", table.head, host.heads())
        else:
            yield from read_model(spec.params, table.head_params, place=place)[1]
        yield from _schedule(table, place)
        if table.preprocessing:
            yield from read_model(_preprocessing_model(), table.preprocessing, place=f"{place}.preprocessing")[1]


def _schedule(table: BaselineTable, place: str) -> Iterator[Fault]:
    """What is said once for all epochs cannot be said by the phases as well."""
    given = table.model_fields_set
    if table.phases:
        for key in sorted(given & set(BaselinePhase.model_fields)):
            yield Fault(place=f"{place}.{key}", message="is said by the phases; leave it out here")
    unfrozen = "unfrozen" in given or any("unfrozen" in phase.model_fields_set for phase in table.phases)
    if table.freeze_until is not None and unfrozen:
        yield Fault(place=f"{place}.freeze_until", message="unfrozen says the same; keep one of them")


def _preprocessing_model() -> type[BaseModel]:
    """`Preprocessing` as a model that reads any part of it."""
    defaults = {field.name: field.default for field in fields(Preprocessing)}
    hints = get_type_hints(Preprocessing)
    keys: dict[str, Any] = {name: (hints[name], default) for name, default in defaults.items()}
    return create_model("Preprocessing", __config__=ConfigDict(extra="forbid", allow_inf_nan=False), **keys)


def _unknown(place: str, kind: str, name: str, known: Iterable[str]) -> Fault:
    names = sorted(known)
    meant = did_you_mean(name, names) or f"; there are {', '.join(names) or 'none'}"
    return Fault(place=place, message=f"no plugin provides {kind} '{name}'{meant}")
