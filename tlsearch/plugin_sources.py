"""Where plugins come from: installed entry points and single files, imported one at a time."""

import hashlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from tlsearch.errors import PluginError
from tlsearch.text import safe

GROUP = "tlsearch"
ALLOW_VARIABLE = "TLSEARCH_LOAD_PLUGINS"
_ERROR_LENGTH = 300  # characters of a foreign error that are shown


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginSource:
    """A plugin before it is imported.

    Args:
        name: Of its entry point, or of its file without the ending.
        distribution: The installed distribution that brings it; "" for a file.
        version: Of that distribution; "" for a file.
        origin: The module's name, or the file's path.
    """

    name: str
    origin: str
    distribution: str = ""
    version: str = ""

    def __str__(self) -> str:
        brought_by = f"{self.distribution} {self.version}" if self.distribution else f"file {self.origin}"
        return safe(f"plugin '{self.name}' ({brought_by})")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPlugin:
    """An imported plugin: a module, or any object whose functions are marked `@tlsearch.hookimpl`."""

    source: PluginSource
    namespace: object


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenPlugin:
    """A plugin that is left out, and the first line of why."""

    source: PluginSource
    error: str

    def __str__(self) -> str:
        return f"{self.source}: {self.error}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a look for plugins found."""

    loaded: tuple[LoadedPlugin, ...]
    broken: tuple[BrokenPlugin, ...]
    disabled: tuple[PluginSource, ...]


def allow_list() -> frozenset[str] | None:
    """The plugin or distribution names in `TLSEARCH_LOAD_PLUGINS`; None, where it is not set, allows all."""
    value = os.environ.get(ALLOW_VARIABLE)
    return None if value is None else frozenset(name.strip() for name in value.split(",") if name.strip())


def load_installed(allow: Collection[str] | None) -> Found:
    """Import the installed plugins that are allowed, in the order of their names.

    Args:
        allow: Plugin or distribution names; None allows all. The others are listed and never imported.
    """
    loaded, broken, disabled = [], [], []
    for entry in sorted(entry_points(group=GROUP), key=lambda e: (e.name, e.value)):
        source = _source_of(entry)
        if allow is not None and not {source.name, source.distribution} & set(allow):
            disabled.append(source)
            continue
        try:
            loaded.append(LoadedPlugin(source=source, namespace=entry.load()))
        except (Exception, SystemExit) as error:  # whatever a stranger's module does while it is imported
            broken.append(BrokenPlugin(source=source, error=first_line(error)))
    return Found(loaded=tuple(loaded), broken=tuple(broken), disabled=tuple(disabled))


def load_file(path: Path) -> LoadedPlugin:
    """Import one plugin file, as `--plugin FILE` asks.

    Raises:
        PluginError: Where the file is missing or its import fails, with file and line.
    """
    if not path.is_file():
        raise PluginError(f"plugin file {safe(str(path))}: there is no such file")
    # the folder is part of the name, so that two files of one name can be loaded together
    digest = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:8]
    name = f"tlsearch_plugin_{digest}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"plugin file {safe(str(path))}: not a Python file", hint="its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where pydantic and dataclasses look up a module's annotations
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever a stranger's module does while it is imported
        del sys.modules[name]
        place = f"{safe(str(path))}{_line_in(error, path)}"
        raise PluginError(f"plugin file {place}: {first_line(error)}") from error
    return LoadedPlugin(source=PluginSource(name=path.stem, origin=str(path)), namespace=module)


def first_line(error: BaseException) -> str:
    """An error's type and the first line of its message, safe to show."""
    words = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {words[0]}" if words else type(error).__name__
    return safe(text)[:_ERROR_LENGTH]


def _source_of(entry: EntryPoint) -> PluginSource:
    distribution, version = (entry.dist.name, entry.dist.version) if entry.dist else ("", "")
    return PluginSource(name=entry.name, origin=entry.value, distribution=distribution, version=version)


def _line_in(error: BaseException, path: Path) -> str:
    """`:12`, the last line of the file on the way to the error; "" where none is known."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f":{error.lineno}"
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return f":{lines[-1]}" if lines else ""
