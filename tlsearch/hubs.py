"""Hubs: downloads from publishers over https, and which of them did not answer in this run."""

import http.client
import ipaddress
import os
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from tlsearch.errors import WeightsError
from tlsearch.specs import UrlLocation

OFFLINE = "TLSEARCH_OFFLINE"
CHUNK_BYTES = 2**20


class Hubs:
    """The publishers' hosts, as one run meets them. Make one a run and pass it on.

    A host that did not answer is not asked again, and all such hosts together cost at most `patience_s`: name
    look-up, connection, handshake and the first line of the answer included.

    Args:
        patience_s: For all hosts that don't answer, together.
        stall_s: How long a download that has begun may stand still.
        offline: Forbids every download; None asks the environment variable TLSEARCH_OFFLINE.
        allow_loopback_http: Whether http to this very machine is accepted; all else must be https.
        notice: Told one sentence before each download.
    """

    def __init__(
        self,
        *,
        patience_s: float = 5.0,
        stall_s: float = 20.0,
        offline: bool | None = None,
        allow_loopback_http: bool = False,
        notice: Callable[[str], None] | None = None,
    ) -> None:
        self.offline = _offline_by_environment() if offline is None else offline
        self._given_patience_s = patience_s
        self._patience_s = patience_s
        self._stall_s = stall_s
        self._allow_loopback_http = allow_loopback_http
        self._notice = notice
        self._silent: dict[str, str] = {}  # host: why it is not asked again; may be empty
        self._opener = urllib.request.build_opener(_SafeRedirects(self._refuse_unsafe))

    def download(self, location: UrlLocation, target: Path) -> str:
        """Write what a publisher serves into `target`, which is overwritten, and return its sha256 in hex.

        The content is as yet unverified, and a part of it may stay in `target` where this raises.

        Raises:
            WeightsError: Where the host does not answer, refuses, stalls, sends too much or too little, or
                downloads are forbidden.
            OSError: Where `target` cannot be written.
        """
        self._refuse_unsafe(location.url)
        if self.offline:
            raise WeightsError(f"{OFFLINE} forbids the download of {location.url}", hint=f"set {OFFLINE}=0")
        host = urlsplit(location.url).netloc
        if host in self._silent:
            raise _out_of_reach(host, self._silent[host])
        with self._open(location.url, host) as response:
            size = response.length  # None where the host does not tell
            if size is not None and size > location.max_bytes:
                raise _too_large(location, f"{size:,} bytes announced")
            if self._notice is not None:
                self._notice(f"downloading {location.url}" + (f" ({size / 1e6:.0f} MB)" if size else ""))
            try:
                return _receive(response, location, target, expected_bytes=size)
            except TimeoutError as error:
                self._silent[host] = f"a download stood still for {self._stall_s:g} s"
                raise WeightsError(f"{location.url}: {self._silent[host]}") from error
            except (ConnectionError, http.client.HTTPException) as error:
                raise WeightsError(f"{location.url}: the connection broke: {error!r}") from error

    def _open(self, url: str, host: str) -> http.client.HTTPResponse:
        if self._patience_s <= 0:
            raise WeightsError(
                f"{host} was not asked: other hosts had used up the {self._given_patience_s:g} s for waiting"
            )
        started = time.monotonic()
        answer = self._open_beside(url)
        try:
            return answer.result(timeout=self._patience_s)
        except urllib.error.HTTPError as error:
            error.close()
            raise WeightsError(f"{host} answered {error.code} {error.reason} for {url}") from error
        except TimeoutError as error:
            answer.add_done_callback(_close_late)
            reason = f"no answer within {self._patience_s:.1f} s"
            self._silent[host] = reason
            self._patience_s -= time.monotonic() - started
            raise _out_of_reach(host, reason) from error
        except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
            reason = _reason(getattr(error, "reason", error))
            self._silent[host] = reason
            self._patience_s -= time.monotonic() - started
            raise _out_of_reach(host, reason) from error

    def _open_beside(self, url: str) -> "Future[http.client.HTTPResponse]":
        # A thread of its own, because a name look-up knows no time-out and a host's several addresses each have
        # one. A daemon, so that one that waits in vain does not keep the program.
        answer: Future[http.client.HTTPResponse] = Future()

        def ask() -> None:
            request = urllib.request.Request(url, headers={"User-Agent": "tlsearch"})  # noqa: S310, checked above
            try:
                answer.set_result(self._opener.open(request, timeout=self._stall_s))
            except Exception as error:
                answer.set_exception(error)

        threading.Thread(target=ask, name=f"ask {urlsplit(url).netloc}", daemon=True).start()
        return answer

    def _refuse_unsafe(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme == "https":
            return
        if parts.scheme == "http" and self._allow_loopback_http and _is_loopback(parts.hostname or ""):
            return
        raise WeightsError(f"{url} is refused: weights are downloaded over https only")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only where its target is as safe as the first address had to be."""

    def __init__(self, refuse_unsafe: Callable[[str], None]) -> None:
        self._refuse_unsafe = refuse_unsafe

    def redirect_request(  # type: ignore[no-untyped-def]
        self, req, fp, code, msg, headers, newurl
    ) -> urllib.request.Request | None:
        try:
            self._refuse_unsafe(newurl)
        except WeightsError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _receive(
    response: http.client.HTTPResponse, location: UrlLocation, target: Path, *, expected_bytes: int | None
) -> str:
    digest = sha256()
    received = 0
    with target.open("wb") as file:
        while chunk := response.read(CHUNK_BYTES):
            received += len(chunk)
            if received > location.max_bytes:
                raise _too_large(location, f"{received:,} bytes and more")
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if expected_bytes is not None and received != expected_bytes:
        raise WeightsError(f"{location.url} is cut short: expected {expected_bytes:,} bytes, got {received:,}")
    return digest.hexdigest()


def _out_of_reach(host: str, reason: str) -> WeightsError:
    return WeightsError(f"{host} is out of reach: {reason}" if reason else f"{host} is out of reach")


def _reason(cause: object) -> str:
    """Why a host did not answer, without error numbers; nothing of a name that cannot be looked up."""
    if isinstance(cause, socket.gaierror):
        return ""
    return getattr(cause, "strerror", None) or str(cause) or repr(cause)


def _too_large(location: UrlLocation, got: str) -> WeightsError:
    return WeightsError(f"{location.url} is too large: expected at most {location.max_bytes:,} bytes, got {got}")


def _close_late(answer: "Future[http.client.HTTPResponse]") -> None:
    error = answer.exception()
    if error is None:
        answer.result().close()
    elif isinstance(error, urllib.error.HTTPError):
        error.close()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _offline_by_environment() -> bool:
    return os.environ.get(OFFLINE, "").strip().lower() not in ("", "0", "false", "no", "off")
