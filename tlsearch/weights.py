"""Where weights come from: a source's name, "auto", "random" or a file becomes one verified file. Loads no torch."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import file_digest, sha256
from importlib import metadata
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from tlsearch.errors import UnknownNameError, WeightsError
from tlsearch.hubs import Hubs
from tlsearch.specs import BackboneSpec, PackageLocation, Preprocessing, UrlLocation, WeightsSource
from tlsearch.text import did_you_mean

LOCK_TIMEOUT_S = 900.0  # another process downloads the same file
MIN_DIGITS = 8  # of a published prefix of a sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedWeights:
    """Weights that are on this machine and were verified.

    Args:
        source: The weights source's name, "random", or "file".
        path: The file; None with random weights. It belongs to the cache, a package or the user: only read it.
        digest: sha256 of the file in hex; with random weights the seed's text.
        variant: Of the architecture that they are for.
        preprocessing: What pictures must go through.
        trained_on: For reports.
        license: Of the weights.
    """

    source: str
    path: Path | None
    digest: str
    variant: str
    preprocessing: Preprocessing
    trained_on: str
    license: str


def resolve_weights(spec: BackboneSpec, wanted: str, *, cache_dir: Path, seed: int, hubs: Hubs) -> ResolvedWeights:
    """Find a backbone's weights, downloading them where need be.

    Args:
        spec: The backbone.
        wanted: "auto": the first source in reach, in the spec's order; a source's name; "random"; or a file's
            path. A file is read with the variant and preprocessing of the first source whose own file has the
            same ending (".h5"), otherwise of the first source; random weights with those of the first source.
        cache_dir: Where downloads are kept between runs.
        seed: Decides random weights.
        hubs: The run's.

    Raises:
        WeightsError: Where none can be had: each source that was tried, why not, and the way out; the caller knows
            of which backbone.
        UnknownNameError: Where `wanted` is neither a source of this backbone nor a path.
    """
    if wanted == "random":
        return _described(_first(spec), "random", None, str(seed), trained_on="nothing: random weights")
    if wanted == "auto":
        return _first_in_reach(spec, spec.weights, cache_dir, hubs)
    named = [source for source in spec.weights if source.name == wanted]
    if named:
        return _first_in_reach(spec, named, cache_dir, hubs)
    path = Path(wanted).expanduser()
    if path.suffix or len(path.parts) > 1 or path.exists():
        return _users_file(spec, path)
    known = [*(source.name for source in spec.weights), "auto", "random"]
    raise UnknownNameError(
        f"backbone '{spec.name}' has no weights '{wanted}'{did_you_mean(wanted, known)}",
        hint=f"one of {', '.join(known)}, or the path of a file",
    )


def _first_in_reach(
    spec: BackboneSpec, sources: Sequence[WeightsSource], cache_dir: Path, hubs: Hubs
) -> ResolvedWeights:
    failures: list[WeightsError] = []
    for source in sources:
        try:
            if isinstance(source.location, UrlLocation):
                path, digest = _cached(source, source.location, cache_dir, hubs)
            else:
                path, digest = _packaged(source, source.location)
        except WeightsError as error:
            failures.append(WeightsError(f"{source.name}: {error.message}", hint=error.hint))
        else:
            return _described(source, source.name, path, digest)
    hints = dict.fromkeys(failure.hint for failure in failures if failure.hint)
    raise WeightsError(
        "no weights can be had: "
        + ("; ".join(failure.message for failure in failures) or "its plugin names no source"),
        hint="; or ".join([*hints, 'write weights = "random", or the path of a file that you have']),
    )


def _cached(source: WeightsSource, location: UrlLocation, cache_dir: Path, hubs: Hubs) -> tuple[Path, str]:
    folder = cache_dir / sha256(location.url.encode()).hexdigest()[:16]
    name = re.sub(r"[^A-Za-z0-9._-]", "_", PurePosixPath(urlsplit(location.url).path).name) or "weights"
    file, record = folder / name, folder / f"{name}.sha256"
    try:
        found = _digest(file)
        if _fits(found, _expected(source, record)):
            return file, found  # needs no lock, so a read-only cache can be shared
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{name}.lock", timeout=LOCK_TIMEOUT_S):
            return file, _downloaded(source, location, file, record, hubs)
    except Timeout as error:
        raise WeightsError(f"another process has been downloading {file} for {LOCK_TIMEOUT_S:g} s") from error
    except OSError as error:
        raise WeightsError(f"the cache {folder} cannot be used: {error}", hint="free it, or make room") from error


def _downloaded(source: WeightsSource, location: UrlLocation, file: Path, record: Path, hubs: Hubs) -> str:
    expected = _expected(source, record)
    found = _digest(file)
    if _fits(found, expected):
        return found  # another process was faster
    damage = ""
    if found:
        damage = f"the cached copy was damaged and is deleted ({_expected_got(expected, found)}); "
        file.unlink()
    part = file.with_name(f"{file.name}.part")
    try:
        digest = hubs.download(location, part)
        if expected and not _fits(digest, expected):
            raise WeightsError(
                f"{location.url} has changed or is damaged: {_expected_got(expected, digest)}",
                hint=None if source.digest else f"delete {record} where you trust the new file",
            )
        if not source.digest:
            _write_whole(record, digest)  # before the file: a file without a record counts as damaged
        part.replace(file)
    except WeightsError as error:
        raise WeightsError(damage + error.message, hint=error.hint) from error
    finally:
        part.unlink(missing_ok=True)
    return digest


def _packaged(source: WeightsSource, location: PackageLocation) -> tuple[Path, str]:
    try:
        distribution = metadata.distribution(location.distribution)
    except metadata.PackageNotFoundError as error:
        raise WeightsError(
            f"package {location.distribution} is not installed", hint=f"install it: {location.install}"
        ) from error
    path = Path(str(distribution.locate_file(location.path)))
    try:
        found = _digest(path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error}") from error
    if not found:
        raise WeightsError(
            f"package {location.distribution} {distribution.version} has no file {location.path}",
            hint=f"install it again: {location.install}",
        )
    if source.digest and not _fits(found, source.digest):
        raise WeightsError(
            f"{path} is not the file that was published: {_expected_got(source.digest, found)}",
            hint=f"install it again: {location.install}",
        )
    return path, found


def _users_file(spec: BackboneSpec, path: Path) -> ResolvedWeights:
    way_out = f"weights of '{spec.name}': " + ", ".join(
        [*(source.name for source in spec.weights), "auto", "random", "or a file"]
    )
    try:
        digest = _digest(path)
    except OSError as error:
        raise WeightsError(f"weights file {path} cannot be read: {error}", hint=way_out) from error
    if not digest:
        raise WeightsError(f"weights file {path} does not exist", hint=way_out)
    alike = [source for source in spec.weights if _suffix(source) == path.suffix.lower()]
    return _described(
        alike[0] if alike else _first(spec),
        "file",
        path.absolute(),
        digest,
        trained_on=f"as in {path.name}",
        license="as its author says",
    )


def _described(
    source: WeightsSource | None,
    name: str,
    path: Path | None,
    digest: str,
    *,
    trained_on: str = "",
    license: str = "",
) -> ResolvedWeights:
    return ResolvedWeights(
        source=name,
        path=path,
        digest=digest,
        variant=source.variant if source else "",
        preprocessing=source.preprocessing if source else Preprocessing(),
        trained_on=trained_on or (source.trained_on if source else ""),
        license=license or (source.license if source and path else ""),
    )


def _first(spec: BackboneSpec) -> WeightsSource | None:
    return spec.weights[0] if spec.weights else None


def _suffix(source: WeightsSource) -> str:
    at = source.location
    return PurePosixPath(urlsplit(at.url).path if isinstance(at, UrlLocation) else at.path).suffix.lower()


def _expected(source: WeightsSource, record: Path) -> str:
    """The digest that the publisher states, else the one recorded at the first download, else ""."""
    if source.digest:
        return source.digest
    try:
        return record.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return ""


def _fits(found: str, expected: str) -> bool:
    return len(expected) >= MIN_DIGITS and found.startswith(expected.lower())


def _expected_got(expected: str, found: str) -> str:
    return f"expected sha256 {expected or 'on record'}, got {found[: max(len(expected), MIN_DIGITS)]}"


def _digest(path: Path) -> str:
    """sha256 of a file in hex, or "" where there is none."""
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def _write_whole(path: Path, text: str) -> None:
    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
