"""Where things lie: the user's cache folder, and one folder a run under `runs/`."""

import os
from pathlib import Path

import platformdirs

from tlsearch.text import slug

RUNS = Path("runs")  # relative to where the command runs
DATABASE = "study.db"


def cache_root() -> Path:
    """Where features, weights and drawn data are kept for all studies; `TLSEARCH_CACHE` overrides it."""
    chosen = os.environ.get("TLSEARCH_CACHE")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("tlsearch", appauthor=False)


def run_folder(name: str) -> Path:
    """The folder of a study's run; always one level below `runs/`, whatever the name is."""
    return RUNS / slug(name)


def newest_run() -> Path | None:
    """The run folder whose database was written last; None where there is none."""
    databases = [path for path in RUNS.glob(f"*/{DATABASE}") if path.is_file()]
    newest = max(databases, key=_last_write, default=None)
    return None if newest is None else newest.parent


def _last_write(database: Path) -> int:
    """Nanoseconds; SQLite writes the log beside the database first."""
    beside = (database, database.with_name(f"{database.name}-wal"))
    return max(path.stat().st_mtime_ns for path in beside if path.exists())
