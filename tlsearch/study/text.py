"""The words of a study file before they mean anything: TOML, and `--set KEY=VALUE` on top of it."""

import datetime
import re
import tomllib
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from tlsearch.errors import Fault, StudyFileError
from tlsearch.study.tables import DataTable
from tlsearch.text import did_you_mean, toml_text

MAX_BYTES = 1_000_000  # a study file is written by hand; anything larger is another file
_INIT = "tlsearch init PHOTOS writes a study file"


def read_toml(path: Path) -> dict[str, Any]:
    """The file's tables as plain values; dates become texts.

    Raises:
        StudyFileError: Where the file is missing, a folder, unreadable, not UTF-8 or not TOML; with line and
            column where they are known.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise _refusal(path, "there is no such file", hint=_INIT) from error
    except IsADirectoryError as error:
        raise _refusal(path, "this is a folder, not a study file", hint=_INIT) from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise _refusal(path, f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > MAX_BYTES:
        raise _refusal(path, f"larger than {MAX_BYTES:,} bytes: this is no study file", hint=_INIT)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        place = f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
        raise _refusal(path, "not UTF-8 text; save the file as UTF-8", place=place) from error
    return _parse(text, path)


def apply_overrides(tables: dict[str, Any], overrides: Sequence[str]) -> None:
    """Set each `KEY=VALUE` in place; a key's steps are names of tables, or of entries of a list, or their index.

    Another `data.source` comes first and takes the former source's own options out.

    Raises:
        StudyFileError: With every override that cannot be applied.
    """
    faults: list[Fault] = []
    settings = []
    for override in overrides:
        key, equals, value = override.partition("=")
        if equals and all(key.split(".")):
            settings.append((key.strip(), _value(value.strip())))
        else:
            faults.append(Fault(place=override, message="expected KEY=VALUE, such as search.epochs.high=5"))
    for key, value in sorted(settings, key=lambda setting: setting[0] != "data.source"):
        if key == "data.source":
            _drop_options_of_another_source(tables, value)
        try:
            _set(tables, key, value)
        except LookupError as error:
            faults.append(Fault(place=key, message=str(error.args[0])))
    if faults:
        raise StudyFileError("--set", faults)


def quoted(overrides: Sequence[str], keys: Container[str]) -> list[str]:
    """The overrides, with what was typed for some keys as texts where TOML reads a number, true or false."""
    found = []
    for override in overrides:
        key, _, value = override.partition("=")
        bare = key.strip() in keys and isinstance(_value(value.strip()), int | float)
        found.append(f"{key}={toml_text(value.strip())}" if bare else override)
    return found


def _refusal(path: Path, message: str, *, place: str = "", hint: str | None = None) -> StudyFileError:
    return StudyFileError(str(path), [Fault(place=place, message=message)], hint=hint)


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        return {key: _plain(value) for key, value in tomllib.loads(text).items()}
    except RecursionError as error:
        raise _refusal(path, "nested too deeply") from error
    except ValueError as error:  # TOMLDecodeError, and whole numbers of thousands of digits
        message = re.sub(r" \(at (line \d+, column \d+|end of document)\)$", "", str(error))
        found = re.search(r"\(at line (\d+), column (\d+)\)$", str(error))
        place = f"{found[1]}:{found[2]}" if found else ""
        ended = " at the end of the file" if "(at end of document)" in str(error) else ""
        raise _refusal(path, f"not TOML: {message[:1].lower()}{message[1:]}{ended}", place=place) from error


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else value


def _value(text: str) -> Any:
    """A TOML value; a bare word is a text."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    value = parsed.get("value")
    return text if len(parsed) > 1 or isinstance(value, datetime.date | datetime.time) else _plain(value)


def _drop_options_of_another_source(tables: dict[str, Any], source: Any) -> None:
    data = tables.get("data")
    if isinstance(data, dict) and data.get("source", "folder") != source:
        engine = set(DataTable.model_fields) - {"options"}
        tables["data"] = {key: value for key, value in data.items() if key in engine}


def _set(tables: dict[str, Any], key: str, value: Any) -> None:
    """Set one value; raises LookupError, with the reason in words, where the key leads nowhere."""
    *steps, last = key.split(".")
    node: Any = tables
    for done, step in enumerate(steps):
        if isinstance(node, dict):
            node = node.setdefault(step, {})
        elif isinstance(node, list):
            node = node[_index(node, step)]
        if not isinstance(node, dict | list):
            whole = ".".join(steps[: done + 1])
            raise LookupError(f"{whole} is {node!r}, not a table; set {whole} as a whole")
    if isinstance(node, dict):
        node[last] = value
    else:
        node[_index(node, last)] = value


def _index(entries: list[Any], step: str) -> int:
    names = [str(entry.get("name")) if isinstance(entry, dict) else str(entry) for entry in entries]
    if step in names:
        return names.index(step)
    if step.isdecimal() and int(step) < len(entries):
        return int(step)
    raise LookupError(f"the file lists no '{step}'{did_you_mean(step, names)}")
