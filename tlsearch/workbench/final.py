"""The final model: fitted on all development images, and saved with its own answers."""

import hashlib
import io
import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import nn

from tlsearch.disk import sync_folder, write_synced, writing
from tlsearch.features.passes import BATCH, EAGER
from tlsearch.features.provider import POOLED
from tlsearch.final_files import ANSWERS, DESCRIPTION, SEALED, WEIGHTS
from tlsearch.model import Network
from tlsearch.records import Json, TrialState
from tlsearch.stats import tempered
from tlsearch.training.fit import Fitted, fitted
from tlsearch.training.loop import Fold
from tlsearch.training.order import derive
from tlsearch.work import Job, Row, RowResult
from tlsearch.workbench.costs import Costs
from tlsearch.workbench.parts import ALL_DATA, Parts
from tlsearch.workbench.scoring import OnEpoch, epoch_record
from tlsearch.workbench.starting import Starts

FORMAT = 1
# Pictures, or all where there are fewer, that the network itself answers from their pixels. What makes it differ from
# cached features (other weights, another view, another runtime) differs in nearly all pictures; two batches show it.
CHECKED = 64
CLOSE = 5e-5  # of a probability: half of what an exported file may be off by (C6)

Answers = NDArray[np.float32]  # log-probabilities at the temperature, `(pictures, classes)`


def fit_final(parts: Parts, starts: Starts, costs: Costs, job: Job, on_epoch: OnEpoch) -> RowResult:
    """Fit the job's one recipe on every development image, and save it in the context's models folder.

    The saved answers are what is exported is held against, so they must be those that a user of the model gets.
    Development images are answered from their cached values, the holdout from its pixels; then the whole network, as
    PyTorch runs it, answers a sample of both from pixels. Where that differs, it answers all of them.
    (Every exported file answers every image from its file again, in `export/verify.py`.)

    Args:
        parts: Of the study.
        starts: What its head begins from.
        costs: Of its network.
        job: Its option "temperature" is what the model's logits are divided by; left out, 1.
        on_epoch: Told of each epoch.

    Returns:
        `extras` hold "folder" and "cached_difference": the largest difference of a probability in the sample.
    """
    (row,) = job.rows
    temperature = float(job.options.get("temperature", 1.0))
    began = time.monotonic()
    material = parts.material(row.recipe)
    fold = parts.fold(job.repeat, ALL_DATA)
    head = parts.head(row.recipe, derive(parts.context.seed, "init", row.seed_key, "final"))
    starts.begin(head, row.recipe, material, fold)

    def told(_: Fitted, epoch: int, loss: float, seconds: float) -> None:
        on_epoch(epoch_record(row, fold, epoch, loss, seconds))

    seed = derive(parts.context.seed, "dropout", row.seed_key, "final")
    with fitted(row.recipe, head, material, fold, dropout_seed=seed, on_epoch=told) as result:
        network = parts.network(row.recipe, head).eval()
        development, sealed, difference = _answered(parts, row, result, network, fold, temperature)
        folder = _save(parts, row, network, temperature, development=development, sealed=sealed)
        facts = costs.facts(row.recipe, head, result.frozen)
    return RowResult.of(
        job,
        row,
        TrialState.COMPLETED,
        facts=facts,
        seconds=time.monotonic() - began,
        extras={"folder": str(folder), "cached_difference": difference},
    )


def _answered(
    parts: Parts, row: Row, result: Fitted, network: Network, fold: Fold, temperature: float
) -> tuple[Answers, Answers, float]:
    """Answers about the development images and the holdout, and how far they were from the network's own."""
    context = parts.context

    def asked(indices: Sequence[int]) -> Answers:
        return _from_pixels(parts, row, network, indices, temperature)

    development = tempered(result.predict(fold.train), temperature)
    if result.frozen == len(network.stages):
        sealed = _from_features(parts, row, result, temperature)
    else:
        sealed = asked(context.holdout)
    indices = np.array([*context.development, *context.holdout])
    places = evenly_chosen(np.asarray(context.labels)[indices], CHECKED)
    own = asked(indices[places].tolist())
    difference = np.abs(np.exp(own) - np.exp(np.concatenate([development, sealed])[places])).max()
    if not difference <= CLOSE:  # so written, NaN is not close
        development, sealed = asked(context.development), asked(context.holdout)
    return development, sealed, float(difference)


def evenly_chosen(labels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Places of at least so many pictures, where there are: of each class alike, from its first to its last, and both
    ends; what small classes cannot give comes from the others.
    """
    classes = np.unique(labels)
    each = -(-count // len(classes))
    chosen = {0, len(labels) - 1}
    for label in classes:
        places = np.flatnonzero(labels == label)
        chosen.update(places[np.linspace(0, len(places) - 1, min(each, len(places))).astype(np.int64)].tolist())
    others = np.setdiff1d(np.arange(len(labels)), sorted(chosen))
    missing = max(0, min(count - len(chosen), len(others)))
    chosen.update(others[np.linspace(0, len(others) - 1, missing).astype(np.int64)].tolist())
    return np.array(sorted(chosen))


def _from_features(parts: Parts, row: Row, result: Fitted, temperature: float) -> Answers:
    """The holdout's answers: the frozen backbone runs over its pixels as it ran for the cache, and nothing is kept."""
    pooled = parts.head_spec(row.recipe).input == "features"
    provider = parts.provider(row.recipe, result.frozen)
    pictures = parts.pictures(row.recipe, parts.context.holdout)
    answers = [np.empty((0, len(parts.context.classes)), dtype=np.float32)]
    for features in provider.uncached(POOLED if pooled else result.frozen, pictures):
        answers.append(_log_probs(result.head, torch.from_numpy(features), parts.device, temperature))
    return np.concatenate(answers)


def _from_pixels(parts: Parts, row: Row, network: Network, indices: Sequence[int], temperature: float) -> Answers:
    """Answers from pixels, end to end, as PyTorch runs the network."""
    answers = [np.empty((0, len(parts.context.classes)), dtype=np.float32)]
    for batch in parts.pictures(row.recipe, tuple(indices)).batches("none", 0, BATCH[EAGER]):
        answers.append(_log_probs(network, torch.from_numpy(batch), parts.device, temperature))
    return np.concatenate(answers)


@torch.no_grad()
def _log_probs(network: nn.Module, inputs: torch.Tensor, device: torch.device, temperature: float) -> Answers:
    logits = network(inputs.to(device)).float() / temperature
    return np.asarray(torch.log_softmax(logits, dim=1).cpu().numpy(), dtype=np.float32)


def _save(
    parts: Parts, row: Row, network: Network, temperature: float, *, development: Answers, sealed: Answers
) -> Path:
    """Write the final model's folder, whole or not at all.

    Raises:
        StoreError: Where the disk does not take it.
    """
    context = parts.context
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    # among the bytes, so that the digest, by which a holdout's opening is recorded, tells of the temperature too
    weights = save(tensors, metadata={"temperature": repr(temperature)})
    description = _description(parts, row, weights, temperature)
    folder = Path(context.models) / f"final-{row.trial:04d}-{row.recipe.digest()[:8]}-t{temperature:g}"
    temporary = folder.with_name(folder.name + ".tmp")
    with writing(folder):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        write_synced(temporary / WEIGHTS, weights)
        write_synced(temporary / ANSWERS, _packed(context.development, development))
        write_synced(temporary / SEALED, _packed(context.holdout, sealed))
        write_synced(temporary / DESCRIPTION, json.dumps(description, indent=1).encode())
        sync_folder(temporary)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
        sync_folder(folder.parent)
    return folder


def _packed(indices: tuple[int, ...], log_probs: NDArray[np.float32]) -> bytes:
    """Answers as the bytes of an npz file."""
    packed = io.BytesIO()
    np.savez(packed, index=np.array(indices, dtype=np.int64), log_probs=log_probs)
    return packed.getvalue()


def _description(parts: Parts, row: Row, weights: bytes, temperature: float) -> dict[str, Json]:
    choice = parts.context.backbones[row.recipe.backbone]
    params = {**choice.params, **row.recipe.backbone_params}
    return {
        "format": FORMAT,
        "trial": row.trial,
        "recipe": {**row.recipe.to_json(), "backbone_params": params},
        "backbone": asdict(choice),
        "classes": list(parts.context.classes),
        "image_px": choice.image_px,
        "stored_px": parts.store.shorter_px,
        "preprocessing": asdict(parts.preprocessing(row.recipe)),
        "temperature": temperature,
        "feature_dim": parts.loaded(row.recipe).backbone.feature_dim,
        "framework": parts.host.backbone(choice.name).framework,
        "head_input": parts.head_spec(row.recipe).input,
        "digest": hashlib.sha256(weights).hexdigest(),
    }
