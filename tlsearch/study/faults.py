"""Checked values from plain ones, with every fault at once, in words and with its place."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tlsearch.errors import Fault
from tlsearch.text import did_you_mean

_Model = TypeVar("_Model", bound=BaseModel)
_MAX_ROUNDS = 20  # of taking out what is wrong; each finds at least one fault
_MAX_ELSEWHERE = 3
_SHOWN = 60  # characters of a value in a message

# pydantic's error types, as the end of "expected …"
_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "a text in quotes",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "literal_error": "{expected}",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
}


def read_model(
    model: type[_Model], raw: Mapping[str, Any], *, place: str = "", also_known: Mapping[str, Iterable[str]] = {}
) -> tuple[_Model | None, list[Fault]]:
    """Read plain values strictly: `"5"` is no number.

    Args:
        model: What to read.
        raw: Plain values, as TOML has them.
        place: Key path of the whole.
        also_known: Further keys that are meant by a misspelt one, by the key path of their table.

    Returns:
        The model, and every fault. Where there are faults it is read without the faulty keys, so that what is
        right can be checked further; None where too little is left.
    """
    faults: list[Fault] = []
    remaining = json.loads(json.dumps(raw))
    for _ in range(_MAX_ROUNDS):
        try:
            # JSON is the strict mode in which a list may become a tuple, and a text a path
            read = model.model_validate_json(json.dumps(remaining), strict=True, by_alias=True, by_name=False)
        except ValidationError as error:
            # what was taken out may now be missing, or leave an empty list behind: that is no fault of the file
            known = [fault.place for fault in faults]
            found = _faults(error, model, remaining, place, also_known)
            faults += [f for f in found if not any(f"{k}.".startswith(f"{f.place}.") for k in known)]
            if not _take_out(error, remaining):
                break
        else:
            return read, faults
    return None, faults


def path_of(raw: Any, steps: Iterable[str | int]) -> str:
    """A key path as people write it: an entry of a list goes by its name, where it has one."""
    found = []
    for step in steps:
        node, raw = raw, _child(raw, step)
        name = raw.get("name") if isinstance(node, list) and isinstance(raw, dict) else None
        found.append(name if isinstance(name, str) and name.strip() else str(step))
    return ".".join(found)


def shown(value: Any) -> str:
    """A value as a message quotes it."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _faults(
    error: ValidationError,
    model: type[BaseModel],
    raw: Any,
    place: str,
    also_known: Mapping[str, Iterable[str]],
) -> list[Fault]:
    grouped: dict[tuple[str | int, ...], list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        grouped.setdefault(_steps(raw, details), []).append(details)
    found = []
    for steps, group in grouped.items():
        where = ".".join(filter(None, (place, path_of(raw, steps))))
        if group[0]["type"] == "extra_forbidden":
            table = where.rpartition(".")[0]
            known = {*_keys(model, steps[:-1]), *also_known.get(table, ())}
            meant = did_you_mean(str(steps[-1]), known) or _elsewhere(str(steps[-1]), model)
            found.append(Fault(place=where, message=f"unknown{meant}"))
        else:
            key = getattr(_cause(group[0]), "key", "")
            text = any(details["type"] == "string_type" for details in group)
            found.append(Fault(place=f"{where}.{key}" if key else where, message=_message(group), wants_text=text))
    return found


def _message(group: list[ErrorDetails]) -> str:
    """One sentence for all that pydantic says about one place, such as both sides of a union."""
    first = group[0]
    if first["type"] == "missing":
        return "is required"
    if first["type"] == "json_invalid":
        return "nested too deeply"
    causes = [str(cause) for details in group if (cause := _cause(details))]
    if causes:
        return causes[0]
    ways = [_expected(details) for details in group]
    value = first["input"]
    known = re.findall(r"'([^']*)'", " ".join(ways)) if isinstance(value, str) else []
    meant = did_you_mean(value, known) if known else ""
    return f"expected {' or '.join(dict.fromkeys(ways))}, not {shown(value)}{meant}"


def _expected(details: ErrorDetails) -> str:
    limits = details.get("ctx", {})
    plain = {key: f"{value:g}" if isinstance(value, float) else value for key, value in limits.items()}
    return _EXPECTED[details["type"]].format(**plain) if details["type"] in _EXPECTED else details["msg"]


def _cause(details: ErrorDetails) -> ValueError | None:
    """The error that one of our own checks raised."""
    cause = details.get("ctx", {}).get("error")
    return cause if isinstance(cause, ValueError) else None


def _steps(raw: Any, details: ErrorDetails) -> tuple[str | int, ...]:
    """The location without pydantic's own marks, such as the branch of a union."""
    steps: list[str | int] = []
    for step in details["loc"]:
        child = _child(raw, step)
        if child is _ABSENT:
            return (*steps, step) if details["type"] == "missing" else tuple(steps)
        steps.append(step)
        raw = child
    return tuple(steps)


class _Absent:
    pass


_ABSENT = _Absent()


def _child(raw: Any, step: str | int) -> Any:
    if isinstance(raw, dict) and isinstance(step, str):
        return raw.get(step, _ABSENT)
    if isinstance(raw, list) and isinstance(step, int) and 0 <= step < len(raw):
        return raw[step]
    return _ABSENT


def _take_out(error: ValidationError, raw: Any) -> bool:
    """Remove what is wrong, in place; a table that lacks a key goes as a whole. False where nothing could be."""
    taken = False
    places = {_steps(raw, e)[: -1 if e["type"] == "missing" else None] for e in error.errors(include_url=False)}
    for steps in sorted(places, key=lambda s: [str(p).rjust(9) for p in s], reverse=True):  # last entries first
        node: Any = raw
        for step in steps[:-1]:
            node = _child(node, step)
        if steps and _child(node, steps[-1]) is not _ABSENT:
            del node[steps[-1]]
            taken = True
    return taken


def _keys(model: type[BaseModel], steps: Iterable[str | int]) -> list[str]:
    """The keys of the table at a location, as a file writes them."""
    for step in steps:
        if isinstance(step, int):
            continue
        fields = {field.validation_alias or name: field for name, field in model.model_fields.items()}
        inner = _model_in(fields[step].annotation) if step in fields else None
        if inner is None:
            return []
        model = inner
    return [str(field.validation_alias or name) for name, field in model.model_fields.items()]


def _elsewhere(key: str, model: type[BaseModel]) -> str:
    """As `did_you_mean`, where other tables know a key of that very name: `epochs` is `search.epochs`."""
    paths = [path for path in _paths(model) if path.rpartition(".")[2] == key]
    return f"; did you mean {' or '.join(repr(path) for path in paths)}?" if 0 < len(paths) <= _MAX_ELSEWHERE else ""


def _paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Key paths of all keys in plain tables, those in lists of tables left out."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.validation_alias or name}"
        yield path
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _paths(field.annotation, f"{path}.")


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg))), None)
