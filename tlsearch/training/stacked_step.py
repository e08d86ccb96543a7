"""The steps of heads that are trained side by side: operation by operation, or on a GPU as one CUDA graph.

A step of small heads is some sixty operations of a few microseconds each. On a GPU telling it of them takes longer than
they do, so a step that many more like it will follow is recorded once and repeated as a whole. What a graph cannot
hold, the draws of dropout and the copies of a batch, is done before it.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch

from tlsearch.cuda_graph import Capture
from tlsearch.training.row_stepper import RowStepper
from tlsearch.training.stacked_batch import Present, Seen
from tlsearch.training.stacked_head import StackedHead
from tlsearch.training.stacked_objective import StackedObjective

# Steps of the same rows that pay for a graph, which is made by six: three to warm up, the recording, and two to see
# that it learns the same. A guess, for no GPU was at hand.
WORTH = 30
SAME = 1e-4  # relative difference of what a step leaves in a row, as between a head in a stack and alone


class Steps:
    """Trains a stack step by step.

    Args:
        head: In training.
        objective: What its rows minimise.
        capture: Makes a graph of a step; None never makes one. With it every batch has to be of one size, and every
            stepper one whose steps can be repeated.
    """

    def __init__(self, head: StackedHead, objective: StackedObjective, capture: Capture | None) -> None:
        self._head, self._objective, self._capture = head, objective, capture
        self._stepper: RowStepper | None = None
        self._graph: _Graph | None = None
        self.begin_epoch()

    @property
    def of_one_size(self) -> bool:
        """Whether all batches have to be of one size."""
        return self._capture is not None

    def begin_phase(self, stepper: RowStepper) -> None:
        """Go on with another optimizer."""
        self._forget_graph()
        self._stepper = stepper

    def begin_epoch(self) -> None:
        """Count `losses` from zero: `(F, R)`, the sums of an epoch so far."""
        first = self._head.parameters[0]
        if self._graph is None:
            self.losses = torch.zeros(first.shape[:2], device=first.device)
        else:
            self.losses.zero_()

    def take(self, seen: Seen, scales: torch.Tensor, *, left: int) -> None:
        """Take one step.

        Args:
            seen: Its batch.
            scales: As of `RowStepper.step`.
            left: Steps that these rows will take together from the epoch's beginning on, so far as is known.
        """
        if self._graph is None and self._capture is not None and left >= WORTH:
            self._graph = self._captured(self._capture, seen, scales)
        if self._graph is None:
            self._take(seen, scales)
        else:
            self._graph.take(seen, scales)

    def keep(self, kept: Sequence[int]) -> None:
        """Go on with these rows alone, in ascending order."""
        assert self._stepper is not None, "a phase has begun"
        self._forget_graph()  # its tensors are those of all rows
        rows = torch.tensor(kept, device=self._head.parameters[0].device)
        self._head.keep(kept)
        self._objective = self._objective.keep(rows)
        self._stepper.keep(rows)

    def _take(self, seen: Seen, scales: torch.Tensor) -> None:
        assert self._stepper is not None, "a phase has begun"
        logits, kept = self._head.logits(seen.x, seen.present)
        losses, gradient = self._objective.totals(logits, seen.labels, seen.present)
        self.losses += losses
        self._stepper.step(self._head.gradients(kept, gradient.div_(seen.counts)), scales)

    def _captured(self, capture: Capture, seen: Seen, scales: torch.Tensor) -> "_Graph | None":
        assert self._stepper is not None, "a phase has begun"
        changed = [*self._head.weights_and_statistics, *self._stepper.tensors, self.losses]
        before = [tensor.clone() for tensor in changed]
        self._head.hold_draws(True)
        try:
            graph = _Graph(self._take, self._head, seen, scales, capture)
            reason = "" if graph.is_true(changed, before) else "as one they learned something else"
        except RuntimeError as error:
            reason = _first_line(error)
        _put_back(changed, before)  # where this fails, nothing may go on
        if not reason:
            return graph
        sys.stderr.write(f"heads side by side go on without a CUDA graph: {reason}\n")  # the worker's log
        self._capture = None
        self._head.hold_draws(False)
        return None

    def _forget_graph(self) -> None:
        if self._graph is not None:
            self._graph = None
            self._head.hold_draws(False)


class _Graph:
    """A step on fixed tensors, as a graph; what it changes is changed by making it.

    Args:
        step: Takes one.
        head: That it trains, holding its draws.
        seen: A batch, filled up to the size of all.
        scales: Of a step.
        capture: As of `Steps`.

    Raises:
        RuntimeError: Where there is no graph of the step.
    """

    def __init__(
        self,
        step: Callable[[Seen, torch.Tensor], None],
        head: StackedHead,
        seen: Seen,
        scales: torch.Tensor,
        capture: Capture,
    ) -> None:
        self._head = head
        # other values than those of `is_true`: a graph that has learned them by heart is found out
        self._seen, self._scales = _copied(seen), scales / 2
        self._seen.x.copy_(seen.x.flip(1))
        self._seen.labels.copy_(seen.labels.flip(1))
        self._step: Callable[[], None] = partial(step, self._seen, self._scales)

        def compute() -> Sequence[torch.Tensor]:
            self._step()
            return ()

        self._replay, _ = capture(compute, seen.x.device)
        self._hold(seen, scales)

    def take(self, seen: Seen, scales: torch.Tensor) -> None:
        """Take one step."""
        self._hold(seen, scales)
        self._head.draw(seen.present)
        self._replay()

    def is_true(self, changed: Sequence[torch.Tensor], before: Sequence[torch.Tensor]) -> bool:
        """Whether the graph leaves in tensors what the step leaves there.

        Args:
            changed: All that a step changes.
            before: What these held before one.
        """
        _put_back(changed, before)
        self._step()
        wanted = [tensor.clone() for tensor in changed]
        _put_back(changed, before)
        self._replay()
        return all(_agrees(found, want) for found, want in zip(changed, wanted, strict=True))

    def _hold(self, seen: Seen, scales: torch.Tensor) -> None:
        for held, new in zip(_tensors(self._seen), _tensors(seen), strict=True):
            held.copy_(new)
        self._scales.copy_(scales)


def _tensors(seen: Seen) -> list[torch.Tensor]:
    """What of a batch lies on the device."""
    assert isinstance(seen.counts, torch.Tensor), "batches of one size count their pictures"
    assert seen.present is not None, "batches of one size say what fills up"
    return [seen.x, seen.labels, seen.counts, seen.present.mask]


def _copied(seen: Seen) -> Seen:
    x, labels, counts, mask = (tensor.clone() for tensor in _tensors(seen))
    assert seen.present is not None, "batches of one size say what fills up"
    return replace(seen, x=x, labels=labels, counts=counts, present=Present(lengths=seen.present.lengths, mask=mask))


@torch.no_grad()
def _put_back(tensors: Sequence[torch.Tensor], values: Sequence[torch.Tensor]) -> None:
    for tensor, value in zip(tensors, values, strict=True):
        tensor.copy_(value)


def _agrees(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    """Whether two `(F, R, …)` are equal in each row but for rounding; a row that diverged ends with its epoch."""
    own = tuple(range(2, wanted.ndim))
    difference, size = (
        torch.linalg.vector_norm(one, dim=own) if own else one.abs()
        for one in (found.float() - wanted.float(), wanted.float())
    )
    return bool(((difference <= SAME * size) | ~torch.isfinite(size)).all())


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
