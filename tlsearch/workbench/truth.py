"""Scores the final model on fresh pictures, where the dataset can draw them: the truth that an estimate is held to."""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from tlsearch.data.pixels import fit, shrink
from tlsearch.errors import DataError
from tlsearch.features.extract import MEASURED, choose_pass
from tlsearch.features.passes import Pass
from tlsearch.model import Prefix, load_final
from tlsearch.records import TrialState
from tlsearch.specs import ExportableModel
from tlsearch.stats import score, score_interval
from tlsearch.work import Job, RowResult
from tlsearch.workbench.parts import Parts

Fresh = tuple[NDArray[np.uint8], int]  # a picture (S, S, 3) and its label


def score_truth(parts: Parts, job: Job, progress: Callable[[int, int], None]) -> RowResult:
    """Score the final model on `options["n"]` pictures that were never part of the data.

    Args:
        parts: Of the study.
        job: Its options: "folder" of the final model, "n" pictures, "seed" of the stream.
        progress: Told pictures done, of how many.

    Returns:
        `extras` hold "n", "score", "accuracy", and the accuracy's Wilson interval "low" and "high".

    Raises:
        DataError: Where the dataset has no stream of fresh pictures.
    """
    began = time.monotonic()
    (row,) = job.rows
    model = load_final(Path(job.options["folder"]), parts.host)
    wanted = int(job.options["n"])
    y, predictions = _scored(parts, model, _fresh(parts, model, int(job.options["seed"])), wanted, progress)
    interval = score_interval(parts.context.metric, predictions, y)
    return RowResult.of(
        job,
        row,
        TrialState.COMPLETED,
        seconds=time.monotonic() - began,
        extras={
            "n": len(y),
            "score": score(parts.context.metric, predictions, y),
            "accuracy": score("accuracy", predictions, y),
            "low": interval.low,
            "high": interval.high,
        },
    )


def _scored(
    parts: Parts,
    model: ExportableModel,
    stream: Iterator[Fresh],
    wanted: int,
    progress: Callable[[int, int], None],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Labels and log-probabilities of the first pictures of a stream; the next are drawn while some are scored."""
    first = list(islice(stream, min(MEASURED, wanted)))
    run = _backbone_pass(parts, model, np.stack([pixels for pixels, _ in first]), wanted)
    head = model.head.to(parts.device)
    labels: list[int] = []
    answers: list[NDArray[np.float32]] = []
    pictures = islice(chain(first, stream), wanted)
    for (features,) in run.over(_batches(pictures, run.batch, labels)):
        with torch.no_grad():
            logits = head(torch.from_numpy(features).to(parts.device)) / model.temperature
            answers.append(torch.log_softmax(logits.float(), dim=1).cpu().numpy())
        progress(sum(map(len, answers)), wanted)
    return np.array(labels, dtype=np.int64), np.concatenate(answers)


def _batches(pictures: Iterable[Fresh], size: int, labels: list[int]) -> Iterator[NDArray[np.uint8]]:
    """Batches `(n, S, S, 3)`; each picture's label is appended to `labels`."""
    stream = iter(pictures)
    while drawn := list(islice(stream, size)):
        labels.extend(label for _, label in drawn)
        yield np.stack([pixels for pixels, _ in drawn])


def _fresh(parts: Parts, model: ExportableModel, seed: int) -> Iterator[Fresh]:
    """Fresh pictures as the network gets them, with their labels, without end."""
    spec = parts.host.dataset(str(parts.context.dataset["source"]))
    options = spec.options(**parts.context.dataset["options"])
    fresh = spec.load(options, Path(parts.context.dataset["cache"])).fresh
    if fresh is None:
        raise DataError(f"dataset '{spec.name}' has no fresh pictures to draw")
    for pixels, label in fresh(seed):
        stored = np.asarray(shrink(Image.fromarray(pixels), parts.store.shorter_px))
        yield fit(stored, model.preprocessing, model.image_px), label


def _backbone_pass(parts: Parts, model: ExportableModel, sample: NDArray[np.uint8], wanted: int) -> Pass:
    """The way of running the model's backbone that is the fastest for so many pictures."""
    stages = len(model.backbone.stages)
    pools = model.pools
    prefix = Prefix(model.preprocessing, model.backbone, () if pools else (stages,), pooled=pools)
    return choose_pass(
        prefix,
        sample,
        passes=wanted,
        onnx_file=None,  # of this one model
        device=parts.device,
        threads=parts.context.threads,
        deterministic=parts.context.deterministic,
    ).run
