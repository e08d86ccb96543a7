"""Short ways of writing, brought into the shape of the tables: plugin keys, partial ranges, names for tables."""

from typing import Any

from tlsearch.host import PluginHost
from tlsearch.params import ranges_of
from tlsearch.space import Choice, Range
from tlsearch.specs import HeadSpec
from tlsearch.study.tables import BaselineTable, DataTable, SearchTable
from tlsearch.study.values import write_range


def arrange(raw: dict[str, Any], host: PluginHost) -> dict[str, list[str]]:
    """Bring what a file says into the shape of `StudyConfig`, in place; what fits nowhere stays where it is.

    - `backbones = ["resnet18"]` names tables without further keys.
    - Keys of `[data]` that the dataset plugin owns go to `data.options`, keys of a baseline that its head owns to
      `head_params`.
    - `{ high = 5 }` takes its other end from the default range of its key.

    Returns:
        For each table that a plugin shares, by key path, the plugin's keys: what a misspelt key may have meant.
    """
    name_backbones(raw)
    _fill_ranges(raw.get("search"), host)
    return {**_move_data_options(raw.get("data"), host), **_move_head_params(raw.get("baselines"), host)}


def name_backbones(raw: dict[str, Any]) -> None:
    """Make tables of backbones that are listed by their names alone, in place."""
    backbones = raw.get("backbones")
    if isinstance(backbones, list):
        raw["backbones"] = [{"name": entry} if isinstance(entry, str) else entry for entry in backbones]


def default_range(head: HeadSpec, key: str) -> Range | None:
    """The range that a head declares for a key of `[search.head.NAME]`; None where it declares none."""
    return head.learning_rate if key == "learning_rate" else ranges_of(head.params).get(key)


def _move_data_options(data: Any, host: PluginHost) -> dict[str, list[str]]:
    if not isinstance(data, dict):
        return {}
    source = data.get("source", DataTable.model_fields["source"].default)
    spec = host.datasets().get(source) if isinstance(source, str) else None
    engine = set(DataTable.model_fields)
    # of an unknown source nobody can tell which keys are right, and that it is unknown is the fault to report
    owned = set(data) - engine if spec is None else set(spec.options.model_fields)
    _move(data, owned - engine, "options")
    return {"data": sorted(owned)}


def _move_head_params(baselines: Any, host: PluginHost) -> dict[str, list[str]]:
    heads, known = host.heads(), {}
    for index, baseline in enumerate(baselines if isinstance(baselines, list) else []):
        if not isinstance(baseline, dict):
            continue
        head = baseline.get("head", BaselineTable.model_fields["head"].default)
        spec = heads.get(head) if isinstance(head, str) else None
        engine = set(BaselineTable.model_fields)
        owned = set(baseline) - engine if spec is None else set(spec.params.model_fields)
        _move(baseline, owned - engine, "head_params")
        known[f"baselines.{baseline.get('name', index)}"] = sorted(owned)
    return known


def _move(table: dict[str, Any], keys: set[str], target: str) -> None:
    inner = table.setdefault(target, {})
    if isinstance(inner, dict):
        inner.update({key: table.pop(key) for key in sorted(keys & set(table))})


def _fill_ranges(search: Any, host: PluginHost) -> None:
    if not isinstance(search, dict):
        return
    for key, value in search.items():
        default = SearchTable.model_fields[key].default if key in SearchTable.model_fields else None
        search[key] = _filled(value, default)
    heads = search.get("head")
    if not isinstance(heads, dict):
        return
    for name, ranges in heads.items():
        spec = host.heads().get(name)
        if spec is not None and isinstance(ranges, dict):
            heads[name] = {key: _filled(value, default_range(spec, key)) for key, value in ranges.items()}


def _filled(value: Any, default: Any) -> Any:
    """A range with what it leaves out; anything else as it is."""
    partial = isinstance(value, dict) and set(value) <= {"low", "high", "log"}
    if not partial or not isinstance(default, Range) or isinstance(default, Choice):
        return value
    return {**write_range(default), **value}
