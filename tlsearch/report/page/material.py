"""What a page shows beyond the summary, as plain frozen values: trials, pictures, findings, and how to repeat it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tlsearch.records import Json, TrialKind
from tlsearch.report.values import Entry, Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One trial as charts draw it.

    Args:
        entry: The trial.
        kind: Why it was run.
        partial: Of a trial that was stopped early: its score until then, on a part of the pictures or of the epochs.
    """

    entry: Entry
    kind: TrialKind
    partial: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What the named configuration answered, by fits that did not train on the picture.

    Args:
        files: `(n,)` development pictures.
        labels: `(n,)` true classes.
        log_probs: `(n, C)`; rows of NaN where no fold asked.
    """

    files: tuple[str, ...]
    labels: NDArray[np.int64]
    log_probs: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMap:
    """Where a network looked when it answered: the picture with Grad-CAM laid over it."""

    file: str
    image: str  # base64
    fold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Small pictures that the run stored, as base64 texts.

    Args:
        thumbs: By file.
        heat_maps: Of the surest mistakes.
        thumb_note: Why some pictures are missing, in a sentence; else "".
        cam_note: What to know of the heat maps, such as why they are missing, likewise.
    """

    thumbs: Mapping[str, str]
    heat_maps: tuple[HeatMap, ...]
    thumb_note: str
    cam_note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What it takes to repeat the study.

    Args:
        created: UTC, ISO 8601.
        config: The study file after all overrides.
        definition: Hashes of what must be equal, by name.
        versions: Of the libraries of the newest run.
        plugin_files: Name and sha256 of each file that it loaded as a plugin.
        backbones: The resolved networks: source, digest and preprocessing, by name.
        recipe: Of the named configuration, complete; None where nothing completed.
        license: Of the pictures; "" where it is not known.
        holdout_opened: UTC, ISO 8601; "" while it is closed.
    """

    created: str
    config: Mapping[str, Json]
    definition: Mapping[str, str]
    versions: Mapping[str, str]
    plugin_files: tuple[tuple[str, str], ...]
    backbones: Mapping[str, Json]
    recipe: Mapping[str, Json] | None
    license: str
    holdout_opened: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Everything that a page is made of; None where a run did not store it.

    Args:
        summary: Of the study.
        tries: Its trials, duplicates left out.
        answered: By the named configuration.
        pictures: Their small copies.
        origin: What it takes to repeat the study.
        read: When all this was read, UTC, ISO 8601.
    """

    summary: Summary
    tries: tuple[Try, ...]
    answered: Answered | None
    pictures: Pictures | None
    origin: Origin
    read: str
