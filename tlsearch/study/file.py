"""load_study: from a study file to a checked, complete StudyConfig, or every fault at once."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tlsearch.errors import Fault, StudyFileError
from tlsearch.host import PluginHost
from tlsearch.study.arrange import arrange, name_backbones
from tlsearch.study.checks import check_against_plugins
from tlsearch.study.faults import read_model
from tlsearch.study.tables import BackboneTable, StudyConfig
from tlsearch.study.text import apply_overrides, quoted, read_toml

DEFAULT_BACKBONES = ("mobilenet_v2", "efficientnet_lite0")  # small, and one has its weights on every machine


def load_study(path: Path, *, overrides: Sequence[str] = (), host: PluginHost) -> StudyConfig:
    """Read a study file.

    What the file leaves out comes from the engine's and the plugins' defaults. A file that lists no backbones
    searches `DEFAULT_BACKBONES` and, unless it says otherwise, goes on without those whose weights are missing.
    Relative paths in it are relative to the folder in which the command runs.

    Args:
        path: A TOML file.
        overrides: `KEY=VALUE`, as `--set` gives them; values are TOML, bare words are texts, and so is whatever is
            typed for a key that wants one: `data.path=2024`.
        host: Whose plugins the file may name.

    Raises:
        StudyFileError: With every fault of the file.
    """
    given = list(overrides)
    while True:
        try:
            return check_study(_tables(path, given), str(path), host)
        except StudyFileError as refused:
            as_texts = quoted(given, {fault.place for fault in refused.faults if fault.wants_text})
            if as_texts == given:
                raise
            given = as_texts  # which may bring another fault to light


def check_study(raw: dict[str, Any], file: str, host: PluginHost) -> StudyConfig:
    """A study from plain tables, as TOML has them; `file` is named in every fault.

    Raises:
        StudyFileError: With every fault.
    """
    unreadable = [Fault(place=place, message="holds a character that is no text") for place in _broken_texts(raw)]
    if unreadable:
        raise StudyFileError(file, unreadable)
    also_known = arrange(raw, host)
    _fill_backbones(raw)
    config, faults = read_model(StudyConfig, raw, also_known=also_known)
    if config is not None:
        faults += [fault for fault in check_against_plugins(config, host) if fault not in faults]
    if faults or config is None:
        raise StudyFileError(file, faults)
    return _completed(config, host)


def _tables(path: Path, overrides: Sequence[str]) -> dict[str, Any]:
    raw = read_toml(path)
    name_backbones(raw)  # so that an override finds their keys
    apply_overrides(raw, overrides)
    return raw


def _fill_backbones(raw: dict[str, Any]) -> None:
    if raw.get("backbones"):
        return
    raw["backbones"] = [{"name": name} for name in DEFAULT_BACKBONES]
    run = raw.setdefault("run", {})
    if isinstance(run, dict):
        run.setdefault("on_missing_weights", "skip")  # nobody asked for these very networks


def _completed(config: StudyConfig, host: PluginHost) -> StudyConfig:
    """The study with the defaults of its dataset and its backbones in it."""
    options = host.dataset(config.data.source).options.model_validate(config.data.options)
    data = config.data.model_copy(update={"options": options.model_dump(mode="json")})
    backbones = tuple(_with_size(table, host) for table in config.backbones)
    return config.model_copy(update={"data": data, "backbones": backbones})


def _with_size(table: BackboneTable, host: PluginHost) -> BackboneTable:
    return table.model_copy(update={"image_px": table.image_px or host.backbone(table.name).image_px})


def _broken_texts(value: Any, place: str = "") -> Iterator[str]:
    """Key paths of texts that UTF-8 cannot hold, such as an undecodable byte of the command line."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _broken_texts(key, place)
            yield from _broken_texts(entry, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _broken_texts(entry, f"{place}.{index}")
    elif isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
        yield place
