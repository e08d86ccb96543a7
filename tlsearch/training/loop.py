"""The training loop: epochs of steps over pictures that stand at one cut, for whatever is trained from there on."""

import math
import time
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from tlsearch.training.imbalance import Objective
from tlsearch.training.optim import Stepper
from tlsearch.training.order import balanced_order, batches, epoch_order, rate_scale, view_of

PREDICT_BATCH = 64


class NonFiniteError(Exception):
    """The loss or an output is no longer a number."""


class PrunedError(Exception):
    """The trial was stopped because it did worse than earlier ones at the same point.

    Args:
        score: What it had reached.
    """

    def __init__(self, score: float) -> None:
        super().__init__(f"pruned at a score of {score:.4f}")
        self.score = score


class Values(Protocol):
    """Where training gets its pictures' values from."""

    @property
    def views(self) -> Sized:
        """As many as each picture has views."""

    def gather(self, rows: NDArray[np.int64], views: NDArray[np.int64] | None, device: torch.device) -> torch.Tensor:
        """The rows' values, `(len(rows), …)`, each in its own view; None is the plain view."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Every picture's cached values at one cut, a view at a time.

    Args:
        views: One array a view, each `(pictures, …)`, memory-mapped or in memory.
    """

    views: Sequence[NDArray[np.generic]]

    def gather(self, rows: NDArray[np.int64], views: NDArray[np.int64] | None, device: torch.device) -> torch.Tensor:
        """As `Values.gather`."""
        if views is None or len(self.views) == 1:
            batch = self.views[0][rows]
        else:
            batch = np.empty((len(rows), *self.views[0].shape[1:]), dtype=self.views[0].dtype)
            for view in np.unique(views):
                shown = views == view
                batch[shown] = self.views[view][rows[shown]]
        return torch.from_numpy(np.ascontiguousarray(batch)).to(device)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Which pictures one fit trains on and which it is scored on, and what its order follows from."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    seed: int
    repeat: int
    fold: int


@dataclass(slots=True)
class MicroBatch:
    """How many pictures go through the network at a time; halves where memory is short, never grows back."""

    size: int | None = None

    def halve(self, batch: int) -> bool:
        """Halve the size; False where it cannot become smaller."""
        current = min(self.size or batch, batch)
        if current <= 1:
            return False
        self.size = current // 2
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The epochs of one phase.

    Args:
        epochs: How many.
        first: The number of the first one, counted over all phases.
        batch_size: Pictures a step.
        objective: What a step minimises.
        schedule: "cosine" or "constant".
        balanced: Whether an epoch draws all classes alike.
    """

    epochs: int
    first: int
    batch_size: int
    objective: Objective
    schedule: str
    balanced: bool = False


EpochDone = Callable[[int, float, float], None]  # epoch, mean training loss, seconds


def train(
    forward: Callable[[torch.Tensor], torch.Tensor],
    stepper: Stepper,
    inputs: Values,
    labels: torch.Tensor,
    fold: Fold,
    stretch: Stretch,
    *,
    micro: MicroBatch,
    on_epoch: EpochDone,
) -> None:
    """Train in place, to the last epoch of the schedule.

    Args:
        forward: A batch of inputs to logits `(n, C)`.
        stepper: Holds the parameters that are trained.
        inputs: Of all development images.
        labels: Of all development images, on the device.
        fold: Which of them are trained on.
        stretch: For how long.
        micro: Shared by all stretches of a fit.
        on_epoch: Told after each epoch; may raise PrunedError.

    Raises:
        NonFiniteError: Where the loss is no longer a number.
        torch.OutOfMemoryError: Where a single picture does not fit.
    """
    steps_an_epoch = len(batches(fold.train, stretch.batch_size))
    steps = stretch.epochs * steps_an_epoch
    for offset in range(stretch.epochs):
        began = time.monotonic()
        epoch = stretch.first + offset
        order = order_of(fold, labels, epoch, balanced=stretch.balanced)
        views = view_of(len(labels), seed=fold.seed, views=len(inputs.views), epoch=epoch)
        total = torch.zeros((), device=labels.device)
        for index, rows in enumerate(batches(order, stretch.batch_size)):
            x = inputs.gather(rows, views[rows], labels.device)
            loss, gradients = _gradients(forward, stepper.parameters, x, labels[rows], stretch.objective, micro)
            total += loss * len(rows)
            stepper.step(gradients, rate_scale(offset * steps_an_epoch + index, steps, stretch.schedule))
        mean = total.item() / len(order)  # the one point of an epoch at which a GPU is waited for
        if not math.isfinite(mean):
            raise NonFiniteError(f"the training loss became {mean} in epoch {epoch + 1}")
        on_epoch(epoch, mean, time.monotonic() - began)


@torch.no_grad()
def log_probabilities(
    forward: Callable[[torch.Tensor], torch.Tensor],
    inputs: Values,
    rows: NDArray[np.int64],
    device: torch.device,
    *,
    micro: MicroBatch,
    most: int = PREDICT_BATCH,
) -> NDArray[np.float32]:
    """Log-probabilities of rows in their plain view, `(len(rows), C)`.

    Args:
        forward: A batch of inputs to logits `(n, C)`.
        inputs: Of all development images.
        rows: Which of them; at least one.
        device: Where it is computed.
        micro: Of the fit; halved where memory is short here as well.
        most: Rows at a time.

    Raises:
        NonFiniteError: Where an output is not a number.
        torch.OutOfMemoryError: Where a single picture does not fit.
    """
    parts: list[torch.Tensor] = []
    done = 0
    while done < len(rows):
        batch = rows[done : done + min(micro.size or most, most)]
        try:
            parts.append(torch.log_softmax(forward(inputs.gather(batch, None, device)).float(), dim=1))
            done += len(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or not micro.halve(len(batch)):
                raise
    result = torch.cat(parts)
    if not bool(torch.isfinite(result).all()):
        raise NonFiniteError("an output of the trained network is not a number")
    return np.asarray(result.cpu().numpy(), dtype=np.float32)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error tells that memory ran out, on whatever device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # torch has no type for it on the CPU
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def is_device_lost(error: BaseException) -> bool:
    """Whether an error leaves the device unusable for this process: CUDA tells its faults to every later call."""
    return isinstance(error, torch.AcceleratorError) and not is_out_of_memory(error)


def order_of(fold: Fold, labels: torch.Tensor, epoch: int, *, balanced: bool) -> NDArray[np.int64]:
    """The images of an epoch in training order.

    Args:
        fold: Which images.
        labels: Of all development images.
        epoch: Counted over all phases.
        balanced: Whether all classes are drawn alike.
    """
    place = {"seed": fold.seed, "repeat": fold.repeat, "fold": fold.fold, "epoch": epoch}
    if not balanced:
        return epoch_order(fold.train, **place)
    return balanced_order(fold.train, labels[fold.train].cpu().numpy(), **place)


def _gradients(
    forward: Callable[[torch.Tensor], torch.Tensor],
    parameters: Sequence[torch.Tensor],
    x: torch.Tensor,
    y: torch.Tensor,
    objective: Objective,
    micro: MicroBatch,
) -> tuple[torch.Tensor, Sequence[torch.Tensor]]:
    """The batch's mean loss and its gradients, in as many pieces as memory asks for."""
    while True:
        try:
            return _accumulated(forward, parameters, x, y, objective, micro.size or len(x))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or not micro.halve(len(x)):
                raise


def _accumulated(
    forward: Callable[[torch.Tensor], torch.Tensor],
    parameters: Sequence[torch.Tensor],
    x: torch.Tensor,
    y: torch.Tensor,
    objective: Objective,
    piece: int,
) -> tuple[torch.Tensor, Sequence[torch.Tensor]]:
    total = torch.zeros((), device=x.device)
    gradients: list[torch.Tensor] = []
    for start in range(0, len(x), piece):
        logits = forward(x[start : start + piece]).float()
        target = y[start : start + piece]
        loss = objective.total(logits, target) / len(x)
        new = torch.autograd.grad(loss, parameters)
        total += loss.detach()
        if gradients:
            torch._foreach_add_(gradients, new)
        else:
            gradients = list(new)
    return total, gradients
