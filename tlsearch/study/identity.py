"""Which study a file describes: its JSON, what may not change between runs, and what did."""

import json
from collections.abc import Iterator, Mapping

from tlsearch.records import Json
from tlsearch.study.tables import StudyConfig

# A run may continue with another budget, other settings or one more baseline: those are not compared.
_MAY_CHANGE = ("study.budget", "study.plugins", "baselines", "run")


def config_json(config: StudyConfig) -> dict[str, Json]:
    """A study as plain JSON that `config_from_json` reads back."""
    return config.model_dump(mode="json")


def config_from_json(data: Mapping[str, Json]) -> StudyConfig:
    """Read what `config_json` wrote."""
    return StudyConfig.model_validate_json(json.dumps(data), by_alias=False, by_name=True)


def differences(old: Mapping[str, Json], new: Mapping[str, Json]) -> list[str]:
    """What makes two studies different ones, by key path: `search.epochs.high was 10, is 5`.

    Args:
        old: The stored study, as `config_json` wrote it.
        new: The study file of today, likewise.
    """
    before, after = dict(_flat(old)), dict(_flat(new))
    changed = []
    for key in sorted({*before, *after}):
        was, now = before.get(key), after.get(key)
        if was != now and _words(was) != _words(now):  # a key that an older version did not know, and is not set
            changed.append(f"{key} was {_words(was)}, is {_words(now)}")
    return changed


def _flat(value: Json, place: str = "") -> Iterator[tuple[str, Json]]:
    """Values by key path; backbones go by their names, and what may change is left out."""
    if place in _MAY_CHANGE:
        return
    if isinstance(value, Mapping) and value:
        for key, entry in value.items():
            # the file writes the dataset's own keys straight into [data]
            inner = place if (place, key) == ("data", "options") else f"{place}.{key}".lstrip(".")
            yield from _flat(entry, inner)
    elif place == "backbones" and isinstance(value, list):
        for entry in value:
            yield from _flat(entry, f"{place}.{entry['name']}")
    else:
        yield place, value


def _words(value: Json) -> str:
    return "not set" if value is None or value == {} else json.dumps(value, ensure_ascii=False)
