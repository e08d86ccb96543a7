"""The final model: fitted on all development images, and saved with its own answers."""

import hashlib
import io
import json
import os
import shutil
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from tlsearch.disk import sync_folder, write_synced, writing
from tlsearch.features.passes import BATCH, EAGER
from tlsearch.features.pictures import Pictures
from tlsearch.final_files import ANSWERS, DESCRIPTION, SEALED, WEIGHTS
from tlsearch.model import Network
from tlsearch.records import Json, TrialState
from tlsearch.stats import tempered
from tlsearch.training.fit import Fitted, fitted, set_head_state
from tlsearch.training.order import derive
from tlsearch.work import Job, Row, RowResult
from tlsearch.workbench.parts import ALL_DATA, Parts
from tlsearch.workbench.scoring import OnEpoch, epoch_record

FORMAT = 1


def fit_final(parts: Parts, job: Job, on_epoch: OnEpoch) -> RowResult:
    """Fit the job's one recipe on every development image, and save it in the context's models folder.

    The saved answers come from the whole network on the pictures' pixels, not from cached features, so what is
    exported is held against what a user of the model will get. They are given at the temperature.

    Args:
        parts: Of the study.
        job: Its option "temperature" is what the model's logits are divided by; left out, 1.
        on_epoch: Told of each epoch.

    Returns:
        `extras` hold "folder" and "cached_difference": the largest difference of a probability between cached
        features and pixels, over the first batch.
    """
    (row,) = job.rows
    temperature = float(job.options.get("temperature", 1.0))
    began = time.monotonic()
    material = parts.material(row.recipe)
    fold = parts.fold(job.repeat, ALL_DATA)
    head = parts.head(row.recipe, derive(parts.context.seed, "init", row.seed_key, "final"))
    if row.recipe.fine_tunes and row.recipe.start == "probe":
        set_head_state(head, parts.probe(row.recipe, material, fold)[0].state)

    def told(_: Fitted, epoch: int, loss: float, seconds: float) -> None:
        on_epoch(epoch_record(row, fold, epoch, loss, seconds))

    seed = derive(parts.context.seed, "dropout", row.seed_key, "final")
    with fitted(row.recipe, head, material, fold, dropout_seed=seed, on_epoch=told) as result:
        cached = tempered(result.predict(fold.train[: BATCH[EAGER]]), temperature)
        network = parts.network(row.recipe, head).eval()
        folder, development = _save(parts, row, network, temperature)
        facts = parts.facts(row.recipe, head, result.frozen)
    difference = np.abs(np.exp(development[: len(cached)]) - np.exp(cached)).max()
    return RowResult.of(
        job,
        row,
        TrialState.COMPLETED,
        facts=facts,
        seconds=time.monotonic() - began,
        extras={"folder": str(folder), "cached_difference": float(difference)},
    )


@torch.no_grad()
def answers(
    network: Network, pictures: Pictures, *, classes: int, device: torch.device, temperature: float
) -> NDArray[np.float32]:
    """Log-probabilities of pictures from their pixels, end to end, at a temperature, `(pictures, classes)`."""
    parts = [
        torch.log_softmax(network(torch.from_numpy(batch).to(device)).float() / temperature, dim=1).cpu().numpy()
        for batch in pictures.batches("none", 0, BATCH[EAGER])
    ]
    return np.concatenate([np.empty((0, classes), dtype=np.float32), *parts])


def _save(parts: Parts, row: Row, network: Network, temperature: float) -> tuple[Path, NDArray[np.float32]]:
    """Write the final model's folder, whole or not at all.

    Returns:
        The folder, and the log-probabilities of the development images.

    Raises:
        StoreError: Where the disk does not take it.
    """
    context = parts.context
    development, sealed = (
        answers(
            network,
            parts.pictures(row.recipe, indices),
            classes=len(context.classes),
            device=parts.device,
            temperature=temperature,
        )
        for indices in (context.development, context.holdout)
    )
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
    return folder, development


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
