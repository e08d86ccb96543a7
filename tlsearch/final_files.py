"""The folder of a final model: which files lie in it, what they say, and whether they are whole. Loads no torch."""

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlsearch.errors import WeightsError

DESCRIPTION = "final.json"
WEIGHTS = "model.safetensors"
ANSWERS = "development.npz"
SEALED = "holdout.npz"  # nothing looks at what it says before the one event that opens the holdout
NEEDED = {"backbone", "classes", "digest", "feature_dim", "image_px", "preprocessing", "recipe", "temperature", "trial"}
ANEW = "run the study again: it fits the final model anew"


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedAnswers:
    """A final model's answers as the run saved them.

    Args:
        index: Of each picture in the pixel store.
        log_probs: float32 `(n, C)`.
    """

    index: NDArray[np.int64]
    log_probs: NDArray[np.float32]


def read_final(folder: Path) -> dict[str, Any]:
    """Read the description of a final model: what it was made of, and its weights' sha256.

    Raises:
        WeightsError: Where there is none, or one that says too little to build the network anew.
    """
    try:
        final: dict[str, Any] = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        missing = ", ".join(sorted(NEEDED - final.keys()))
    except (OSError, ValueError, AttributeError) as error:
        raise WeightsError(f"the final model in {folder} cannot be read: {error}", hint=ANEW) from error
    if missing:
        raise WeightsError(f"the final model in {folder} cannot be read: {DESCRIPTION} lacks {missing}", hint=ANEW)
    return final


def read_weights(folder: Path) -> bytes:
    """Read a final model's weights; raises WeightsError where they are not those that the description tells of."""
    final = read_final(folder)
    try:
        weights = (folder / WEIGHTS).read_bytes()
    except OSError as error:
        raise WeightsError(f"the final model in {folder} cannot be read: {error}", hint=ANEW) from error
    digest = hashlib.sha256(weights).hexdigest()
    if digest != final["digest"]:
        raise WeightsError(
            f"the final model in {folder} is damaged: its sha256 is {digest[:12]}…, not {final['digest'][:12]}…",
            hint=ANEW,
        )
    return weights


def is_sound(folder: Path) -> bool:
    """Whether a final model's files are all there and whole; a run fits the model anew where they are not.

    The sealed answers are checked too: whether they can be read, never what they say.
    """
    try:
        for name in (ANSWERS, SEALED):
            read_answers(folder / name)
        read_weights(folder)
    except WeightsError:
        return False
    return True


def read_answers(path: Path) -> SavedAnswers:
    """Read `development.npz` or, after the opening, `holdout.npz`; raises WeightsError where it is damaged."""
    try:
        # through memory: of a damaged file numpy leaves the handle open
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            return SavedAnswers(index=arrays["index"], log_probs=arrays["log_probs"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path} cannot be read: {error}", hint=ANEW) from error
