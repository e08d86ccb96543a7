"""A stored study as the file that runs it again."""

import re
from collections.abc import Iterator, Mapping

from tlsearch.records import Json
from tlsearch.text import toml_text

ALIASES = {"time_s": "time", "trial_timeout_s": "trial_timeout", "grace_s": "grace"}  # as a study file writes them
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def study_text(config: Mapping[str, Json]) -> str:
    """A study's configuration as TOML that `tlsearch run` reads as the same study; what is None is left out."""
    blocks = [block for name, value in config.items() for block in _blocks(name, value)]
    return "\n\n".join(blocks) + "\n"


def _blocks(name: str, value: Json) -> Iterator[str]:
    """A top-level entry: a table, or a table for each entry of a list."""
    if isinstance(value, Mapping):
        yield from _table(f"[{name}]", value)
    else:
        for entry in value:
            yield from _table(f"[[{name}]]", _said_once(entry))


def _said_once(table: Mapping[str, Json]) -> Mapping[str, Json]:
    """A baseline without what its phases or its `freeze_until` say as well, which a study file may not say twice."""
    phases = table.get("phases") or ()
    twice = {key for phase in phases for key in phase}
    if table.get("freeze_until") is not None:
        twice.add("unfrozen")
        phases = [{key: value for key, value in phase.items() if key != "unfrozen"} for phase in phases]
    once = {key: value for key, value in table.items() if key not in twice}
    return {**once, "phases": phases} if phases else once


def _table(header: str, table: Mapping[str, Json]) -> Iterator[str]:
    known = {key: value for key, value in table.items() if not _empty(value)}
    if known:
        yield "\n".join([header, *(f"{_key(key)} = {_value(value)}" for key, value in known.items())])


def _key(key: str) -> str:
    name = ALIASES.get(key, key)
    return name if _BARE.fullmatch(name) else toml_text(name)


def _value(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(key)} = {_value(entry)}" for key, entry in value.items() if not _empty(entry))
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(entry) for entry in value)}]"
    return toml_text(str(value))


def _empty(value: Json) -> bool:
    return value is None or (isinstance(value, Mapping | list | tuple) and not value)
