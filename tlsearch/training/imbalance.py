"""What a step of training minimises, with an answer to classes of unequal size in it."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from tlsearch.training.recipe import Imbalance

TAU = 1.0  # Menon et al. 2021, arXiv:2007.07314, sec. 4.2: consistent for the balanced error


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """Cross-entropy, as one recipe wants it on one fold.

    Args:
        label_smoothing: 0 to below 1.
        weights: `(C,)`, what a picture's loss is multiplied by, by its class; None weighs all alike.
        offset: `(C,)`, added to the logits in training and never in predicting; None adds nothing.
    """

    label_smoothing: float = 0.0
    weights: torch.Tensor | None = None
    offset: torch.Tensor | None = None

    @classmethod
    def on(cls, labels: torch.Tensor, *, classes: int, imbalance: Imbalance, label_smoothing: float) -> "Objective":
        """The objective for training on pictures with these labels.

        Args:
            labels: `(n,)`, of the fold's training pictures; the class counts come from them alone.
            classes: C, of which some may have no picture.
            imbalance: As in the recipe; sampling is decided by the order and leaves the objective plain.
            label_smoothing: 0 to below 1.
        """
        counts = torch.bincount(labels, minlength=classes).clamp(min=1).float()  # (C,)
        weights = offset = None
        if imbalance == "class_weights":
            weights = len(labels) / (classes * counts)  # their mean over the pictures is 1: rates mean the same
        elif imbalance == "logit_adjustment":
            offset = TAU * (counts / len(labels)).log()
        return cls(label_smoothing=label_smoothing, weights=weights, offset=offset)

    def total(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The sum of the losses of some pictures.

        Args:
            logits: `(n, C)`, float32.
            labels: `(n,)`.
        """
        if self.offset is not None:
            logits = logits + self.offset
        if self.weights is None:
            return F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing, reduction="sum")
        each = F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing, reduction="none")  # (n,)
        return (each * self.weights[labels]).sum()
