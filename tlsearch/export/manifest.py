"""model.json: what a bundle holds, and whether it is still what was written."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tlsearch.errors import TlsearchError
from tlsearch.specs import Preprocessing

FORMAT = 1
MANIFEST = "model.json"
MANIFEST_BYTES = 16 * 1024 * 1024  # far above any real one; read whole, so it must have an end


class BundleError(TlsearchError):
    """A bundle that cannot be written, or is not what it says it is."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileEntry(_Table):
    """One file of a bundle."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]


class WeightsEntry(_Table):
    """What the backbone was before this study trained it."""

    backbone: str
    source: str
    trained_on: str
    license: str
    digest: str


Part = Literal["development", "holdout"]


class CheckEntry(_Table):
    """What verification measured of one file on one part of the data."""

    file: str
    part: Part
    n: int
    max_dp: float
    label_agreement: float
    accuracy: float


class Manifest(_Table):
    """All that model.json says.

    Args:
        format: Version of this layout.
        tlsearch: Version that wrote it.
        study: The study's name.
        trial: The trial whose configuration was fitted.
        final: sha256 of the final model's weights.
        classes: Names in the order of the probabilities.
        image_px: Side of the network's input.
        stored_px: The shorter side that a picture is shrunk to first.
        preprocessing: How a picture becomes the input; normalisation happens inside the network.
        temperature: What logits are divided by, inside the network.
        weights: The pretrained weights and their license.
        notes: Sentences that must be shown, such as "these are drawings".
        checks: What verification measured.
        files: Every other file of the bundle by name.
    """

    format: Literal[1] = 1
    tlsearch: str
    study: str
    trial: int
    final: str
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    image_px: Annotated[int, Field(ge=1, le=8192)]
    stored_px: Annotated[int, Field(ge=1, le=65536)]
    preprocessing: Preprocessing
    temperature: Annotated[float, Field(gt=0)]
    weights: WeightsEntry
    notes: tuple[str, ...] = ()
    checks: tuple[CheckEntry, ...] = ()
    files: Mapping[str, FileEntry] = {}


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Hash every other file of the folder and write model.json; returns it with the hashes."""
    names = sorted(path.name for path in folder.iterdir() if path.name != MANIFEST)
    files = {name: FileEntry(sha256=sha256_of(folder / name), bytes=(folder / name).stat().st_size) for name in names}
    complete = manifest.model_copy(update={"files": files})
    text = json.dumps(complete.model_dump(mode="json"), indent=2)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return complete


def read_manifest(folder: Path) -> Manifest:
    """Read model.json.

    Raises:
        BundleError: Where the folder is no bundle, or of a version that this tlsearch does not know.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f"{folder} is no bundle: it has no {MANIFEST}", hint="write one with tlsearch export-best")
    try:
        if path.stat().st_size > MANIFEST_BYTES:
            raise _damaged(folder, "it is too large")
        data = json.loads(path.read_bytes())
        version = data["format"]
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}", hint="make it readable") from error
    except (ValueError, RecursionError) as error:
        raise _damaged(folder, "it is no JSON") from error
    except (KeyError, TypeError) as error:
        raise _damaged(folder, "it names no format version") from error
    if version != FORMAT:
        raise BundleError(
            f"{path}: format version {str(version)[:20]!r} is unknown; this tlsearch reads version {FORMAT}",
            hint="update tlsearch, or export the model again",
        )
    return _validated(folder, data)


def verify_files(folder: Path, manifest: Manifest) -> None:
    """Check that the folder holds the listed files, unchanged, and nothing else.

    Raises:
        BundleError: Naming every file that is missing, extra or changed.
    """
    listed = set(manifest.files)
    faults = [f"'{name}' is missing" for name in sorted(listed - names_in(folder))]
    faults += [f"'{name}' is not part of the bundle" for name in sorted(names_in(folder) - listed)]
    for name in sorted(listed & names_in(folder)):
        found = sha256_of(folder / name)
        expected = manifest.files[name].sha256
        if found != expected:
            faults.append(f"'{name}' was changed: its sha256 is {found[:12]}…, not {expected[:12]}…")
    if faults:
        raise BundleError(f"bundle {folder}: {'; '.join(faults)}", hint="export it again with tlsearch export-best")


def names_in(folder: Path) -> set[str]:
    """The names of everything in a bundle's folder but model.json itself."""
    return {path.name for path in folder.iterdir()} - {MANIFEST}


def sha256_of(path: Path) -> str:
    """sha256 of a plain file in hex; of anything else BundleError."""
    if path.is_symlink() or not path.is_file():
        raise BundleError(f"'{path}' is no plain file, and a bundle holds nothing else")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _validated(folder: Path, data: Any) -> Manifest:
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5]]
        raise _damaged(folder, "; ".join(faults)) from error


def _damaged(folder: Path, why: str) -> BundleError:
    return BundleError(f"{MANIFEST} of {folder} is damaged ({why})", hint="export it again with tlsearch export-best")
