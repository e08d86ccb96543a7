"""PluginHost: which plugins there are and what they provide; the only caller of pluggy."""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, TypeVar

import pluggy

from tlsearch import hookspecs
from tlsearch.errors import PluginError, UnknownNameError
from tlsearch.plugin_contract import PROVIDING_HOOKS, Spec, check_answer, kind_of
from tlsearch.plugin_sources import (
    ALLOW_VARIABLE,
    BrokenPlugin,
    LoadedPlugin,
    PluginSource,
    allow_list,
    first_line,
    load_file,
    load_installed,
)
from tlsearch.records import EpochRecord, StudyRecord, TrialRecord
from tlsearch.specs import BackboneSpec, DatasetSpec, ExporterSpec, HeadSpec
from tlsearch.text import did_you_mean, safe

_SpecT = TypeVar("_SpecT", BackboneSpec, HeadSpec, DatasetSpec, ExporterSpec)
_VERSIONED = ("tlsearch", "torch", "torchvision", "keras", "optuna")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One plugin, as `tlsearch plugins list` shows it.

    Args:
        source: Its name and where it comes from.
        status: "disabled" plugins are known by their entry point alone and were never imported.
        specs: What it provides, sorted by kind and name; empty unless active.
        observes: The observing hooks that it answers.
        error: Why it is broken.
    """

    source: PluginSource
    status: Literal["active", "broken", "disabled"]
    specs: tuple[Spec, ...] = ()
    observes: tuple[str, ...] = ()
    error: str = ""


class PluginHost:
    """The plugins of one process, and what they provide as checked, typed values.

    Args:
        plugins: Imported plugins. One that breaks the contract is left out and listed in `broken`.
        broken: Plugins that could not be imported.
        disabled: Plugins that were not allowed.

    Raises:
        PluginError: Where two plugins provide one name.
    """

    def __init__(
        self,
        plugins: Sequence[LoadedPlugin],
        *,
        broken: Sequence[BrokenPlugin] = (),
        disabled: Sequence[PluginSource] = (),
    ) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._disabled = tuple(disabled)
        active, faulty = [], list(broken)
        for plugin in plugins:
            try:
                active.append(_admit(self._manager, plugin))
            except PluginError as error:
                faulty.append(BrokenPlugin(source=plugin.source, error=safe(error.message)))
            except (Exception, SystemExit) as error:  # whatever a stranger's hook does when it is asked
                faulty.append(BrokenPlugin(source=plugin.source, error=first_line(error)))
        _refuse_doubles(active)
        self._active = tuple(active)
        self.broken: tuple[BrokenPlugin, ...] = tuple(faulty)

    @classmethod
    def load(cls, *, files: Sequence[Path] = (), allow: Collection[str] | None = None) -> "PluginHost":
        """Load the installed plugins and the given files.

        Args:
            files: Plugin files, as `--plugin` names them; always loaded.
            allow: Names of plugins or distributions; None asks `TLSEARCH_LOAD_PLUGINS`, which, where it is not
                set, allows all that are installed.

        Raises:
            PluginError: Where a file cannot be used, or two plugins provide one name. An installed plugin that
                cannot be used is left out and listed in `broken`.
        """
        found = load_installed(allow_list() if allow is None else allow)
        from_files = [load_file(path) for path in files]
        host = cls([*found.loaded, *from_files], broken=found.broken, disabled=found.disabled)
        for plugin in host.broken:
            if any(plugin.source is loaded.source for loaded in from_files):
                raise PluginError(str(plugin))  # asked for by name: never left out
        return host

    def backbones(self) -> dict[str, BackboneSpec]:
        """Every backbone by name, sorted."""
        return self._provided(BackboneSpec)

    def heads(self) -> dict[str, HeadSpec]:
        """Every head by name, sorted."""
        return self._provided(HeadSpec)

    def datasets(self) -> dict[str, DatasetSpec]:
        """Every dataset by name, sorted."""
        return self._provided(DatasetSpec)

    def exporters(self) -> dict[str, ExporterSpec]:
        """Every export format by name, sorted."""
        return self._provided(ExporterSpec)

    def backbone(self, name: str) -> BackboneSpec:
        """One backbone; raises UnknownNameError."""
        return self._one("backbone", name, self.backbones())

    def head(self, name: str) -> HeadSpec:
        """One head; raises UnknownNameError."""
        return self._one("head", name, self.heads())

    def dataset(self, name: str) -> DatasetSpec:
        """One dataset; raises UnknownNameError."""
        return self._one("dataset", name, self.datasets())

    def exporter(self, name: str) -> ExporterSpec:
        """One export format; raises UnknownNameError."""
        return self._one("exporter", name, self.exporters())

    def providers(self) -> tuple[Provider, ...]:
        """Every plugin, sorted by name: the active, the broken and the disabled."""
        broken = [Provider(source=b.source, status="broken", error=b.error) for b in self.broken]
        disabled = [Provider(source=source, status="disabled") for source in self._disabled]
        return tuple(sorted([*self._active, *broken, *disabled], key=lambda p: (p.source.name, p.source.origin)))

    def versions(self) -> dict[str, str]:
        """Installed versions of tlsearch, the frameworks and every active plugin's distribution; imports none."""
        brought_by = {provider.source.distribution for provider in self._active} - {""}
        found = {}
        for distribution in sorted({*_VERSIONED, *brought_by}):
            try:
                found[distribution] = version(distribution)
            except PackageNotFoundError:
                continue  # a framework that is not installed has no version to compare
        return found

    def notify_study_started(self, study: StudyRecord) -> tuple[str, ...]:
        """Tell every observer; returns one notice for each that raised."""
        return self._notify("tlsearch_study_started", study)

    def notify_epoch_finished(self, epoch: EpochRecord) -> tuple[str, ...]:
        """Tell every observer; returns one notice for each that raised."""
        return self._notify("tlsearch_epoch_finished", epoch)

    def notify_trial_finished(self, trial: TrialRecord) -> tuple[str, ...]:
        """Tell every observer; returns one notice for each that raised."""
        return self._notify("tlsearch_trial_finished", trial)

    def _notify(self, hook: str, record: StudyRecord | EpochRecord | TrialRecord) -> tuple[str, ...]:
        notices = []
        for observer in getattr(self._manager.hook, hook).get_hookimpls():
            try:
                observer.function(*(record for _ in observer.argnames))  # it may leave the argument out
            except (Exception, SystemExit) as error:  # an observer cannot change the search
                notice = f"{observer.plugin_name} raised in {hook}: {first_line(error)}"
                logging.getLogger(__name__).warning("%s", notice, exc_info=error)
                notices.append(notice)
        return tuple(notices)

    def _provided(self, kind: type[_SpecT]) -> dict[str, _SpecT]:
        specs = [spec for provider in self._active for spec in provider.specs if isinstance(spec, kind)]
        return {spec.name: spec for spec in sorted(specs, key=lambda spec: spec.name)}

    def _one(self, kind: str, name: str, known: Mapping[str, _SpecT]) -> _SpecT:
        if name in known:
            return known[name]
        message = f"no plugin provides {kind} '{safe(name)}'{did_you_mean(name, known)}"
        broken = ", ".join(sorted({plugin.source.name for plugin in self.broken}))
        beside = f" (broken and left out: {safe(broken)})" if broken else ""
        raise UnknownNameError(message, hint=f"See: tlsearch plugins list{beside}")


def _admit(manager: pluggy.PluginManager, plugin: LoadedPlugin) -> Provider:
    """Register a plugin and ask it for all that it provides; what fails leaves no trace in the manager."""
    name = str(plugin.source)
    _register(manager, plugin.namespace, name)
    try:
        hooks = _answered_hooks(manager, plugin.namespace)
        specs = [spec for hook in hooks if hook in PROVIDING_HOOKS for spec in _ask(manager, hook, name)]
    except BaseException:
        manager.unregister(name=name)
        raise
    observes = tuple(hook for hook in hooks if hook not in PROVIDING_HOOKS)
    by_name = sorted(specs, key=lambda spec: (kind_of(spec), spec.name))
    return Provider(source=plugin.source, status="active", specs=tuple(by_name), observes=observes)


def _register(manager: pluggy.PluginManager, namespace: object, name: str) -> None:
    """Register a plugin, or raise PluginError and leave the manager as it was."""
    try:
        manager.register(namespace, name)
    except pluggy.PluginValidationError as error:
        raise PluginError(" ".join(str(error).splitlines()[1:])) from error  # the first line is the name alone
    except ValueError as error:
        raise PluginError("it is loaded already") from error


def _answered_hooks(manager: pluggy.PluginManager, namespace: object) -> list[str]:
    callers = manager.get_hookcallers(namespace) or []
    known = [hook for hook in vars(hookspecs) if hook.startswith("tlsearch_")]
    for caller in callers:
        if not caller.has_spec():
            raise PluginError(f"there is no hook '{caller.name}'{did_you_mean(caller.name, known)}")
    if not callers:
        raise PluginError("it answers no hook; mark its functions with @tlsearch.hookimpl")
    return sorted(caller.name for caller in callers)


def _ask(manager: pluggy.PluginManager, hook: str, name: str) -> Iterable[Spec]:
    for hookimpl in getattr(manager.hook, hook).get_hookimpls():
        if hookimpl.plugin_name == name:
            yield from check_answer(hook, hookimpl.function())


def _refuse_doubles(active: Iterable[Provider]) -> None:
    """Raise PluginError where two specs of one kind have one name."""
    seen: dict[tuple[str, str], PluginSource] = {}
    for provider in active:
        for spec in provider.specs:
            key = (kind_of(spec), spec.name)
            if key in seen:
                raise PluginError(
                    f"two plugins provide {key[0]} '{safe(spec.name)}': {seen[key]} and {provider.source}",
                    hint=f"load one of them: {ALLOW_VARIABLE} lists the plugins to load",
                )
            seen[key] = provider.source
