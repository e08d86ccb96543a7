"""The report as one HTML file: appears whole, in the place of an earlier report and of nothing else."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tlsearch.disk import writing
from tlsearch.errors import TlsearchError
from tlsearch.report.page.reading import load_material
from tlsearch.report.page.render import GENERATOR, page
from tlsearch.report.values import Summary
from tlsearch.store.reading import StudyReader

NAME = "report.html"
MARK = f'<meta name="generator" content="{GENERATOR}">'.encode()
MARK_WITHIN = 4096  # bytes
PROTECTED = (errno.EACCES, errno.EPERM, errno.EROFS)


class PageError(TlsearchError):
    """A place where no report can be written."""


def write_html(store: StudyReader, study: str, target: Path) -> Summary:
    """Write a stored study's report as a page.

    Args:
        store: Holds the study.
        study: Its name.
        target: The file; an earlier report is replaced once the new one is complete.

    Returns:
        What the page is about.

    Raises:
        PageError: Where the target is something else, or its folder is missing or may not be written.
        StoreError: Where the store has no such study, or the disk takes no more.
    """
    refuse_target(target)
    material = load_material(store, study)
    _put(target, page(material).encode("utf-8"))
    return material.summary


def refuse_target(target: Path) -> None:
    """Raise PageError where the target is not ours to write."""
    if not target.parent.is_dir():
        raise PageError(
            f"{target} cannot be written: there is no folder {target.parent}", hint="name another with --to"
        )
    if (target.exists() or target.is_symlink()) and not _ours(target):
        raise PageError(
            f"{target} exists and is no report of tlsearch, so it is left as it is", hint="name another file with --to"
        )


def _ours(target: Path) -> bool:
    if target.is_symlink() or not target.is_file():
        return False
    with writing(target), _protected_places_refused(target), target.open("rb") as file:
        return MARK in file.read(MARK_WITHIN)


def _put(target: Path, data: bytes) -> None:
    with writing(target), _protected_places_refused(target):
        handle, draft = tempfile.mkstemp(prefix=f".{target.name[:40]}-", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(draft).chmod(0o644)  # mkstemp's own is for the owner alone; a report is there to be shown
            Path(draft).replace(target)
        finally:
            Path(draft).unlink(missing_ok=True)


@contextmanager
def _protected_places_refused(target: Path) -> Iterator[None]:
    """Raise PageError where nothing may be written: another place is the way out, and not more room."""
    try:
        yield
    except OSError as error:
        if error.errno not in PROTECTED:
            raise
        raise PageError(f"{target} cannot be written: {error.strerror}", hint="name another file with --to") from error
