"""What `tlsearch doctor` looks at: this machine, its plugins, and which weights are in reach. Downloads nothing."""

import platform
import shutil
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from tlsearch.devices import cpu_threads, find_devices
from tlsearch.errors import WeightsError
from tlsearch.host import PluginHost
from tlsearch.hubs import OFFLINE, Hubs
from tlsearch.paths import cache_root
from tlsearch.specs import BackboneSpec, UrlLocation, WeightsSource
from tlsearch.weights import resolve_weights

PATIENCE_S = 5.0  # for all publishers together, as in a run


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """One weights source of one backbone.

    Args:
        name: The source's name.
        state: "here": verified on this machine; "reachable": its publisher answers, and a run downloads it;
            "missing": neither.
        place: The package or the publisher's host.
        detail: The file, or why there is none and what to do.
    """

    name: str
    state: Literal["here", "reachable", "missing"]
    place: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneState:
    """One backbone, and where its weights are.

    Args:
        name: The backbone's name.
        sources: All of them, whichever is wanted.
        wanted: As a study file says it: "auto", a source's name, "random" or a user's own file.
    """

    name: str
    sources: tuple[SourceState, ...]
    wanted: str = "auto"

    @property
    def usable(self) -> bool:
        """Whether a run gets the wanted weights; random ones and a user's own file need no source."""
        able = [source.state != "missing" for source in self.sources if self.wanted in ("auto", source.name)]
        return any(able) if able or self.wanted == "auto" else True


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """This machine, as a run will find it."""

    python: str
    system: str
    cores: int
    devices: tuple[str, ...]
    cache: str
    cache_bytes: int
    free_bytes: int


def look_at_machine() -> Machine:
    """Devices, cores, and the cache folder with the room beside it."""
    cache = cache_root()
    there = next(folder for folder in (cache, *cache.absolute().parents) if folder.is_dir())
    return Machine(
        python=platform.python_version(),
        system=platform.platform(terse=True),
        cores=cpu_threads(),
        devices=find_devices(),
        cache=str(cache),
        cache_bytes=sum(path.lstat().st_size for path in cache.rglob("*") if not path.is_dir()),
        free_bytes=shutil.disk_usage(there).free,
    )


def look_for_weights(host: PluginHost, wanted: Mapping[str, str]) -> tuple[BackboneState, ...]:
    """Where the weights of some backbones are, or could be had.

    Args:
        host: With the plugins of the backbones.
        wanted: For each backbone by its name what `BackboneState.wanted` says.
    """
    hubs = Hubs(offline=True)
    answers = Answers() if not Hubs().offline else None
    return tuple(
        BackboneState(
            name=name,
            sources=tuple(_state(host.backbone(name), source, hubs, answers) for source in host.backbone(name).weights),
            wanted=weights,
        )
        for name, weights in wanted.items()
    )


class Answers:
    """Which publishers' hosts accept a connection; each is asked once, all together for at most `patience_s`."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._left_s = patience_s
        self._silent: dict[str, str] = {}

    def why_not(self, url: str) -> str:
        """ "" where the host of an address answers, else why not."""
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
        if host not in self._silent:
            self._silent[host] = self._ask(host, port)
        return self._silent[host]

    def _ask(self, host: str, port: int) -> str:
        if self._left_s <= 0:
            return "not asked: other hosts had used up the time for waiting"
        told: list[str] = []
        # a thread of its own: a name look-up knows no time-out; a daemon, so that one in vain keeps nobody waiting
        asking = threading.Thread(target=lambda: told.append(_connect(host, port, self._left_s)), daemon=True)
        started = time.monotonic()
        asking.start()
        asking.join(self._left_s)
        self._left_s -= time.monotonic() - started
        return told[0] if told else "no answer"


def _connect(host: str, port: int, timeout_s: float) -> str:
    try:
        socket.create_connection((host, port), timeout=timeout_s).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _state(spec: BackboneSpec, source: WeightsSource, hubs: Hubs, answers: Answers | None) -> SourceState:
    location = source.location
    address = location.url if isinstance(location, UrlLocation) else ""
    place = _place(source)
    try:
        found = resolve_weights(spec, source.name, cache_dir=cache_root() / "weights", seed=0, hubs=hubs)
    except WeightsError as error:
        if not address:
            detail = f"{error.message}; {error.hint}" if error.hint else error.message
        elif answers is None:
            detail = f"{OFFLINE} forbids downloads"
        elif why_not := answers.why_not(address):
            detail = f"{place} is out of reach: {why_not}"
        else:
            return SourceState(name=source.name, state="reachable", place=place, detail="downloaded when needed")
        return SourceState(name=source.name, state="missing", place=place, detail=detail)
    return SourceState(name=source.name, state="here", place=place, detail=str(found.path))


def _place(source: WeightsSource) -> str:
    at = source.location
    return str(urlsplit(at.url).hostname) if isinstance(at, UrlLocation) else f"package {at.distribution}"
