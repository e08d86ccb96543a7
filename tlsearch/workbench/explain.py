"""Explains answers: fits the models that gave them once more, and maps where in the pictures those answers came from.

Grad-CAM: Selvaraju et al. 2017, arXiv:1610.02391.
"""

import math
import time
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from tlsearch.model import Network
from tlsearch.records import EpochRecord, Json, TrialState
from tlsearch.training.fit import Fitted
from tlsearch.training.loop import Fold
from tlsearch.work import Job, Progress, Row, RowResult
from tlsearch.workbench.costs import Costs
from tlsearch.workbench.parts import Parts
from tlsearch.workbench.scoring import Emit, Scorer
from tlsearch.workbench.starting import Starts

DIGITS = 3  # of a map's values, which become shades


def explain(parts: Parts, starts: Starts, costs: Costs, job: Job, emit: Emit) -> RowResult:
    """Map the answers of one row's fold models, each fitted again as it was when the row was scored.

    Args:
        parts: Of the study.
        starts: What heads begin from.
        costs: Of networks.
        job: Its option "answers" is a list of [development image, class]: which logit is explained on which image.
        emit: Told how many folds are done, and of passes that fill the cache. Epochs are not told: they are on record
            as the trial's own.

    Returns:
        `extras` hold "maps", a list of {"image", "fold", "grid": rows of values from 0 to 1}, and "note", why there
        are none. `log_probs` are those of the folds that were fitted.
    """
    (row,) = job.rows
    began = time.monotonic()
    answers = {int(image): int(answer) for image, answer in job.options["answers"]}
    axis = _channels(parts, row)
    log_probs = np.full((len(parts.labels), len(parts.context.classes)), np.nan, dtype=np.float32)
    maps: list[Json] = []
    scorer = Scorer(parts, starts, costs, job, _without_epochs(emit))
    if isinstance(axis, int):
        folds = [fold for fold in parts.folds(job.repeat) if _asked(answers, fold)]
        for done, fold in enumerate(folds):
            emit(Progress(text="where the network looked", done=done, total=len(folds)))
            with scorer.refit(row, fold) as fit:
                log_probs[fold.validation] = fit.predict(fold.validation)
                maps += _maps(parts, row, fold, fit, answers, axis)
    return RowResult.of(
        job,
        row,
        TrialState.COMPLETED,
        log_probs=log_probs,
        seconds=time.monotonic() - began,
        extras={"maps": maps, "note": "" if isinstance(axis, int) else axis},
    )


def grad_cam(network: Network, pixels: NDArray[np.uint8], answers: NDArray[np.int64], axis: int) -> NDArray[np.float32]:
    """Where the evidence for an answer lies in each picture.

    Args:
        network: In inference mode.
        pixels: `(N, S, S, 3)`.
        answers: `(N,)`: the class whose logit is explained.
        axis: Of the channels in the last stage's map, as `channel_axis` finds it.

    Returns:
        `(N, h, w)`, 0 where nothing speaks for the answer to 1 where most does; all 0 where nothing does anywhere.
    """
    device = network.normalise.scale.device
    with torch.no_grad():
        values = _last_map(network, torch.from_numpy(pixels).to(device))
    values.requires_grad_(True)
    logits = network.head(network.pool(values))  # (N, D, h, w) -> (N, C)
    asked = logits[torch.arange(len(pixels)), torch.from_numpy(answers).to(device)].sum()
    (gradient,) = torch.autograd.grad(asked, values)
    places = (1, 2) if axis == 3 else (2, 3)
    weights = gradient.mean(dim=places, keepdim=True)  # (N, D, 1, 1): what a channel is worth to the answer
    heat = torch.relu((weights * values).sum(dim=axis)).detach().float()  # (N, h, w)
    most = heat.amax(dim=(1, 2), keepdim=True)
    return np.asarray((heat / torch.where(most > 0, most, 1.0)).cpu().numpy(), dtype=np.float32)


def channel_axis(shape: tuple[int, ...], feature_dim: int) -> int | None:
    """Which axis of the last stage's output counts channels: 1 in torch's order, 3 in Keras's; None: it is no map.

    Args:
        shape: Of the output.
        feature_dim: Of the pooled features: as many as the map has channels.
    """
    if len(shape) != 4:  # such as a transformer's tokens
        return None
    return next((axis for axis in (1, 3) if shape[axis] == feature_dim), None)


def _last_map(network: Network, pixels: torch.Tensor) -> torch.Tensor:
    x: torch.Tensor = network.normalise(pixels)
    for stage in network.stages:
        x = stage(x)
    return x


@torch.no_grad()
def _channels(parts: Parts, row: Row) -> int | str:
    """The channels' axis of a row's last map; or why its answers have no place in the picture."""
    network = parts.network(row.recipe, torch.nn.Sequential())
    side = parts.context.backbones[row.recipe.backbone].image_px
    shape = tuple(_last_map(network, torch.zeros(1, side, side, 3, dtype=torch.uint8, device=parts.device)).shape)
    axis = channel_axis(shape, parts.loaded(row.recipe).backbone.feature_dim)
    if axis is None:
        return "the last stage of this network gives no map of the picture"
    places = math.prod(shape[1:]) // shape[axis]
    return axis if places > 1 else "the last stage of this network sees the picture as a whole"


def _asked(answers: Mapping[int, int], fold: Fold) -> list[int]:
    """The images of a fold whose answers are to be explained."""
    return [image for image in fold.validation.tolist() if image in answers]


def _maps(parts: Parts, row: Row, fold: Fold, fit: Fitted, answers: Mapping[int, int], axis: int) -> list[Json]:
    """The maps of one fold's images, as plain JSON."""
    images = _asked(answers, fold)
    network = parts.network(row.recipe, fit.head).eval()
    pictures = parts.pictures(row.recipe, tuple(parts.context.development[image] for image in images))
    (pixels,) = pictures.batches("none", 0, len(images))
    grids = grad_cam(network, pixels, np.array([answers[image] for image in images]), axis)
    return [
        {"image": image, "fold": fold.fold, "grid": np.round(grid.astype(float), DIGITS).tolist()}
        for image, grid in zip(images, grids, strict=True)
    ]


def _without_epochs(emit: Emit) -> Emit:
    def told(event: EpochRecord | RowResult | Progress) -> None:
        if not isinstance(event, EpochRecord):
            emit(event)

    return told
