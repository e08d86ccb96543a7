"""What a figure was made with: the code that was measured, what it stands on, where, and when."""

import hashlib
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import machine
import tlsearch

ROOT = Path(__file__).parents[1]
SHOWS_ONLY = ("results", "*.md", "peers_table.py", "peers_plot.py")  # of the benchmarks, what measures nothing
MEASURED = ("tlsearch", "plugins", "benchmarks", *(f":!benchmarks/{each}" for each in SHOWS_ONLY))
PACKAGES = ("tlsearch", "torch", "onnxruntime", "optuna", "keras", "keras-tuner", "numpy", "pillow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What figures must share to be counted together.

    Args:
        commit: The last one that touched what runs, with a digest of what is changed since; empty outside a repository.
        versions: Of Python and of the packages that are timed.
        machine: Cores and processor, or the GPU.
    """

    commit: str
    versions: str
    machine: str

    @classmethod
    def of_now(cls) -> "Provenance":
        """Of what runs here and now.

        Raises:
            SystemExit: Where this environment would run tlsearch from another folder than these benchmarks'.
        """
        runs = Path(tlsearch.__file__).resolve().parents[1]
        if runs != ROOT.resolve():
            raise SystemExit(
                f"this environment has tlsearch in {runs}: run {ROOT}'s benchmarks in an environment of its own"
            )
        return cls(commit=code(ROOT), versions=machine.versions(*PACKAGES), machine=machine.machine())


def code(root: Path) -> str:
    """The state of the code that is measured in a repository; the same as long as nothing of it changes.

    Results, pages and the README of the benchmarks may change, and be committed, in between.
    """
    last = _git(root, "log", "-1", "--format=%h", "--", *MEASURED)
    changed = _git(root, "diff", "HEAD", "--", *MEASURED)
    new = _git(root, "ls-files", "--others", "--exclude-standard", "--", *MEASURED)
    digest = hashlib.sha256(changed.encode())
    for file in new.splitlines():
        digest.update((root / file).read_bytes())
    return f"{last}+{digest.hexdigest()[:7]}" if changed or new else last


def now() -> str:
    """UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git(root: Path, *words: str) -> str:
    asked = ["git", "-C", str(root), *words]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
