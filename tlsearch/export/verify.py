"""Proof that an exported file is the model that was measured: fresh processes score pictures from their files."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tlsearch.devices import computing_environment
from tlsearch.errors import VerificationError
from tlsearch.export.manifest import CheckEntry, Part
from tlsearch.export.predict_template import MODEL_FILE
from tlsearch.specs import ExporterSpec

TOLERANCE = 1e-4  # of a probability: far above what two correct runtimes differ by (7e-6), far below what a label needs
NAMED = 3  # files that a message names
ISOLATED = Path(__file__).with_name("isolated.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """One part of the data with the answers that the final model gave when it was measured.

    Args:
        part: Which.
        paths: The files.
        labels: Index into the classes, one a file.
        probabilities: `(n, C)`, in the order of the files.
    """

    part: Part
    paths: tuple[Path, ...]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]


def check(
    bundle: Path, exporter: ExporterSpec, pictures: Pictures, *, final: Path, plugins: Sequence[Path] = ()
) -> CheckEntry:
    """Score the pictures with one exported file in a fresh process, and compare.

    The file that `predict.py` runs is scored by the bundle's own `predict.py`, where tlsearch, torch and keras cannot
    be imported; any other by its exporter's `load`, or, where it carries weights alone, `restore`.

    Args:
        bundle: Folder with model.json and the exported file.
        exporter: Whose file it is; must have a `load` or a `restore`.
        final: Folder of the final model, whose description says what to build anew for a `restore`.
        pictures: To score.
        plugins: Plugin files given with `--plugin`, for the fresh process.

    Raises:
        VerificationError: Where a label differs, or a probability by more than the tolerance; with the numbers.
    """
    found = score_in_fresh_process(bundle, exporter, pictures.paths, final=final, plugins=plugins)
    return compare(exporter.filename, pictures, found)


def compare(file: str, pictures: Pictures, found: NDArray[np.float32]) -> CheckEntry:
    """Compare an exported file's probabilities with the measured ones; raises VerificationError."""
    expected = pictures.probabilities
    if found.shape != expected.shape:
        raise VerificationError(f"{file} answers with shape {found.shape}, not {expected.shape}")
    differences = np.abs(found.astype(np.float64) - expected).max(axis=1, initial=0.0)  # (n,); NaN stays NaN
    labels = found.argmax(axis=1)
    same = labels == expected.argmax(axis=1)
    entry = CheckEntry(
        file=file,
        part=pictures.part,
        n=len(found),
        max_dp=float(differences.max(initial=0.0)),
        label_agreement=float(same.mean()) if len(same) else 1.0,
        accuracy=float((labels == pictures.labels).mean()) if len(same) else float("nan"),
    )
    wrong = np.flatnonzero(~(same & (differences <= TOLERANCE)))  # so written, NaN is wrong
    if len(wrong):
        raise _disagreement(entry, pictures, wrong)
    return entry


def score_in_fresh_process(
    bundle: Path, exporter: ExporterSpec, paths: Sequence[Path], *, final: Path, plugins: Sequence[Path] = ()
) -> NDArray[np.float32]:
    """Probabilities `(n, C)` of pictures, by a process that never saw the model; raises VerificationError."""
    alone = exporter.filename == MODEL_FILE
    program = ["-I", str(ISOLATED)] if alone else ["-m", "tlsearch.export.child"]
    with tempfile.TemporaryDirectory(prefix="tlsearch-verify-") as scratch:
        job, out = Path(scratch, "job.json"), Path(scratch, "probabilities.npy")
        content = {
            "bundle": str(bundle.resolve()),
            "exporter": exporter.name,
            "file": exporter.filename,
            "pictures": [str(path.resolve()) for path in paths],
            "final": str(final.resolve()),
            "plugins": [str(path.resolve()) for path in plugins],
            "out": str(out),
        }
        job.write_text(json.dumps(content), encoding="utf-8")
        ended = subprocess.run(
            [sys.executable, *program, str(job)],
            check=False,
            capture_output=True,
            text=True,
            errors="backslashreplace",
            env=computing_environment(),
        )
        if ended.returncode != 0 or not out.is_file():
            words = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
            raise VerificationError(f"{exporter.filename} cannot be checked in a fresh process: {words[-1]}")
        found: NDArray[np.float32] = np.load(out, allow_pickle=False)
    return found


def _disagreement(entry: CheckEntry, pictures: Pictures, wrong: NDArray[np.int64]) -> VerificationError:
    named = ", ".join(str(pictures.paths[index]) for index in wrong[:NAMED])
    more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    return VerificationError(
        f"{entry.file} does not give the final model's answers on the {entry.part} pictures: "
        f"{len(wrong)} of {entry.n} differ (largest difference of a probability {entry.max_dp:.2g}, "
        f"allowed {TOLERANCE:.0e}; labels agree on {entry.label_agreement:.2%}): {named}{more}",
        hint="where these pictures were changed since the run, run the study again; else report this as a bug",
    )
