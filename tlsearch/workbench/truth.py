"""Scores the final model on fresh pictures, where the dataset can draw them: the truth that an estimate is held to."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from tlsearch.data.pixels import fit, shrink
from tlsearch.errors import DataError
from tlsearch.features.extract import BATCH, choose_pass
from tlsearch.model import Prefix, load_final
from tlsearch.records import TrialState
from tlsearch.specs import ExportableModel
from tlsearch.stats import score, score_interval
from tlsearch.work import Job, RowResult
from tlsearch.workbench.parts import Parts

Batch = tuple[NDArray[np.uint8], NDArray[np.int64]]  # pictures (n, S, S, 3) and their labels


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
    labels, log_probs = [], []
    predict: Callable[[NDArray[np.uint8]], NDArray[np.float32]] | None = None
    for pictures, truth in _ahead(_batches(parts, model, int(job.options["seed"]), wanted)):
        predict = predict or _predictor(parts, model, pictures, wanted, job.id)
        log_probs.append(predict(pictures))
        labels.append(truth)
        progress(sum(map(len, labels)), wanted)
    y = np.concatenate(labels)
    predictions = np.concatenate(log_probs)
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


def _ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches; the next one is drawn while this one is scored."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield batch


def _batches(parts: Parts, model: ExportableModel, seed: int, wanted: int) -> Iterator[Batch]:
    """Fresh pictures as the network gets them, `(n, S, S, 3)`, with their labels."""
    spec = parts.host.dataset(str(parts.context.dataset["source"]))
    options = spec.options(**parts.context.dataset["options"])
    fresh = spec.load(options, Path(parts.context.dataset["cache"])).fresh
    if fresh is None:
        raise DataError(f"dataset '{spec.name}' has no fresh pictures to draw")
    stream = islice(fresh(seed), wanted)
    while drawn := list(islice(stream, BATCH)):
        squares = [
            fit(
                np.asarray(shrink(Image.fromarray(pixels), parts.store.shorter_px)), model.preprocessing, model.image_px
            )
            for pixels, _ in drawn
        ]
        yield np.stack(squares), np.array([label for _, label in drawn], dtype=np.int64)


def _predictor(
    parts: Parts, model: ExportableModel, sample: NDArray[np.uint8], wanted: int, name: str
) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """The whole network, its backbone run eagerly or exported, whichever is faster for so many pictures."""
    stages = len(model.backbone.stages)
    pools = model.pools
    prefix = Prefix(model.preprocessing, model.backbone, () if pools else (stages,), pooled=pools)
    file = Path(parts.context.models) / f"{name}.prefix"
    _, run = choose_pass(
        prefix,
        sample,
        passes=wanted,
        onnx_file=file,
        device=parts.device,
        threads=parts.context.threads,
        deterministic=parts.context.deterministic,
    )
    file.unlink(missing_ok=True)  # of this one model: the session holds what it read
    head = model.head.to(parts.device)

    @torch.no_grad()
    def predict(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        (features,) = run(pictures)
        logits = head(torch.from_numpy(features).to(parts.device)) / model.temperature
        return np.asarray(torch.log_softmax(logits.float(), dim=1).cpu().numpy(), dtype=np.float32)

    return predict
