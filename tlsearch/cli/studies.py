"""Where a command takes STUDY: a TOML file, a name under `runs/`, or nothing for the newest run."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlsearch.errors import Fault, StoreError, StudyFileError, UnknownNameError
from tlsearch.paths import DATABASE, RUNS, newest_run, run_folder
from tlsearch.store.reading import StoreReader
from tlsearch.store.sqlite import sqlite_path
from tlsearch.text import did_you_mean, safe, slug

RUN_IT = "start one with tlsearch run STUDY.toml"
STORE_VARIABLE = "TLSEARCH_STORE_URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredStudy:
    """A study that a run left behind.

    Args:
        name: As the store knows it.
        store: The store's URL.
        folder: Of the run.
        lock: What the one process that writes the study holds.
    """

    name: str
    store: str
    folder: Path
    lock: Path


def find_study(study: str | None, store: str | None = None) -> StoredStudy:
    """Find what a command's STUDY and `--store` name.

    Raises:
        UnknownNameError: Where there is no such run.
        StudyFileError: Where a study file cannot be read, or names no study.
        StoreError: Where the store cannot be read.
    """
    url = store or os.environ.get(STORE_VARIABLE)
    name, folder, told = _named(study)
    url = url or told
    if url is not None:
        folder = None  # the newest run has nothing to do with a store that was named
    else:
        if folder is None:
            raise UnknownNameError("there is no run yet", hint=RUN_IT)
        if not (folder / DATABASE).is_file():
            shown = safe(name or folder.name)
            raise UnknownNameError(f"study '{shown}' has no run in {folder}{_close(shown)}", hint="see ls runs")
        url = f"sqlite:///{folder / DATABASE}"
    with StoreReader.open(url) as opened:
        known = opened.names()
    if not known:
        raise UnknownNameError(f"{folder or 'the store'} holds no study: its run ended before it began", hint=RUN_IT)
    name = name or known[-1]
    matching = [stored for stored in known if stored == name or run_folder(stored) == run_folder(name)]
    if not matching:
        raise StoreError(f"the store has no study '{safe(name)}'{did_you_mean(name, known)}")
    folder = folder or run_folder(matching[0])
    return StoredStudy(name=matching[0], store=url, folder=folder, lock=study_lock(url, matching[0]))


def study_lock(store: str, name: str) -> Path:
    """A study's lock lies beside its store, so that who writes there meets it, from whatever folder."""
    return sqlite_path(store).parent / f"{slug(name)}.lock"


def _named(study: str | None) -> tuple[str | None, Path | None, str | None]:
    """The study's name, where it is known before the store is opened, its folder, and the store that its file names."""
    if study is None:
        return None, newest_run(), None
    if not study.endswith(".toml"):
        return study, run_folder(study), None
    name, store = _read(Path(study))
    return name, run_folder(name), store


def _read(path: Path) -> tuple[str, str | None]:
    """A study file's name and store. Its other faults are for `run` to tell: what is stored can be told regardless."""
    from tlsearch.study.text import read_toml  # with all that checks a study file, which a name does not need

    tables = read_toml(path)
    name, store = _text(tables, "study", "name"), _text(tables, "run", "store")
    if not name:
        raise StudyFileError(str(path), [Fault(place="study.name", message="a text in quotes is required")])
    return name, store


def _text(tables: dict[str, Any], table: str, key: str) -> str | None:
    inner = tables.get(table)
    value = inner.get(key) if isinstance(inner, dict) else None
    return value if isinstance(value, str) else None


def _close(name: str) -> str:
    known = [path.parent.name for path in RUNS.glob(f"*/{DATABASE}") if path.is_file()]
    return did_you_mean(name, known)
