"""What a step of heads that are trained side by side minimises: each row's own loss on each fold."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from tlsearch.training.imbalance import Objective
from tlsearch.training.stacked_batch import Present


@dataclass(frozen=True, slots=True, kw_only=True)
class StackedObjective:
    """As `Objective`, with fold and row in front.

    Args:
        label_smoothing: `(R, 1)`, or None where no row smooths.
        weights: `(F, R, C)`, or None where no row weighs its classes.
        offset: `(F, R, 1, C)`, or None where no row shifts its logits.
    """

    label_smoothing: torch.Tensor | None
    weights: torch.Tensor | None
    offset: torch.Tensor | None

    @classmethod
    def of(cls, objectives: Sequence[Sequence[Objective]], classes: int, device: torch.device) -> "StackedObjective":
        """Stack the objectives of each fold's rows."""
        rows = objectives[0]
        smoothing = torch.tensor([[row.label_smoothing] for row in rows], device=device)
        weights = [[_or(row.weights, torch.ones(classes, device=device)) for row in rows] for rows in objectives]
        offset = [[_or(row.offset, torch.zeros(classes, device=device)) for row in rows] for rows in objectives]
        weighs = any(row.weights is not None for row in rows)
        shifts = any(row.offset is not None for row in rows)
        return cls(
            label_smoothing=smoothing if any(row.label_smoothing for row in rows) else None,
            weights=torch.stack([torch.stack(of_fold) for of_fold in weights]) if weighs else None,
            offset=torch.stack([torch.stack(of_fold) for of_fold in offset])[:, :, None] if shifts else None,
        )

    @torch.no_grad()
    def totals(
        self, logits: torch.Tensor, labels: torch.Tensor, present: Present | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`(F, R)`: the sum of the losses of each fold's pictures; and its gradient, `(F, R, n, C)`.

        Args:
            logits: `(F, R, n, C)`.
            labels: `(F, n)`.
            present: None where all are pictures.
        """
        if self.offset is not None:
            logits = logits + self.offset
        log_probs = torch.log_softmax(logits, dim=3)
        classes = logits.shape[3]
        at = labels[:, None, :, None]  # (F, 1, n, 1)
        wanted = torch.zeros_like(log_probs[:, :1]).scatter_(3, at, 1.0)  # (F, 1, n, C)
        each = -log_probs.gather(3, at.expand(-1, log_probs.shape[1], -1, -1))[..., 0]  # (F, R, n)
        if self.label_smoothing is not None:
            each = torch.lerp(each, -log_probs.mean(dim=3), self.label_smoothing)
            wanted = torch.lerp(wanted, torch.full_like(wanted, 1 / classes), self.label_smoothing[:, :, None])
        gradient = log_probs.exp_() - wanted
        if self.weights is not None or present is not None:
            counted = self._counted(labels, present)
            each, gradient = each * counted, gradient * counted[..., None]
        return each.sum(dim=2), gradient

    def _counted(self, labels: torch.Tensor, present: Present | None) -> torch.Tensor:
        """How much each picture's loss counts, `(F, R or 1, n)`."""
        filled = torch.ones_like(labels[:, None], dtype=torch.float32) if present is None else present.mask[:, None]
        if self.weights is None:
            return filled
        return filled * self.weights.gather(2, labels[:, None].expand(-1, self.weights.shape[1], -1))

    def keep(self, rows: torch.Tensor) -> "StackedObjective":
        """Of these rows alone."""
        return replace(
            self,
            label_smoothing=None if self.label_smoothing is None else self.label_smoothing[rows],
            weights=None if self.weights is None else self.weights[:, rows],
            offset=None if self.offset is None else self.offset[:, rows],
        )


def _or(given: torch.Tensor | None, plain: torch.Tensor) -> torch.Tensor:
    return plain if given is None else given
