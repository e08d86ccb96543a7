"""Recipe: everything that decides one fit, as a value that travels as JSON. Loads no torch."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tlsearch.space import FloatRange

Optimizer = Literal["adamw", "sgd", "rmsprop"]
Start = Literal["probe", "random"]
Imbalance = Literal["none", "class_weights", "balanced_sampling", "logit_adjustment"]

LINEAR = "linear"  # the head of one layer, whose probe has a closed form
PROBE_EPOCHS = 10
PROBE_BATCH = 32
PROBE_WEIGHT_DECAY = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of epochs with one frozen part and one pair of learning rates.

    Args:
        epochs: At least 1.
        unfrozen: How many stages, counted from the head, are trained; 0 freezes the whole backbone; None trains all.
        learning_rate: Peak rate of the head.
        suffix_lr_scale: The suffix's rate is `learning_rate * suffix_lr_scale`.
    """

    epochs: int
    unfrozen: int | None = 0
    learning_rate: float = 1e-3
    suffix_lr_scale: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What is trained, and how. Two equal recipes give equal results but for initial weights and dropout.

    Args:
        backbone: A name that the study lists.
        backbone_params: The backbone plugin's own parameters.
        head: A head plugin's name.
        head_params: Its parameters.
        phases: Trained one after another; a searched trial has one.
        freeze_until: In place of `unfrozen` in every phase: a layer's name, mapped to the nearest cut at or before it.
        augment: "none", "flip" or "light".
        batch_size: Pictures a step; a smaller micro-batch with accumulation keeps it where memory is short.
        optimizer: AdamW, SGD with momentum 0.9, or RMSprop.
        weight_decay: Decoupled; never on biases and normalisation.
        label_smoothing: 0 to below 1.
        imbalance: What is done about classes of unequal size. "class_weights": a picture's loss counts n / (C n_c);
            "balanced_sampling": an epoch draws all classes alike; "logit_adjustment": the log prior is added to the
            logits in training (Menon et al. 2021, arXiv:2007.07314). The answers of all three are those of a world
            in which the classes are equally frequent.
        start: "random": from random weights; "probe": from the head that fits the features of the frozen backbone. Of a
            linear head that is the closed form; any other is trained for ten epochs where stages are fine-tuned after
            it, and begins from random weights where it is trained alone.
        schedule: "cosine" with a short warm-up, or "constant" as published recipes have it.
        clip_norm: Largest gradient norm; None does not clip.
        preprocessing: Overrides of the weights source's, to show what a recipe's choice costs.
    """

    backbone: str
    head: str
    phases: tuple[Phase, ...]
    backbone_params: Mapping[str, Any] = field(default_factory=dict)
    head_params: Mapping[str, Any] = field(default_factory=dict)
    freeze_until: str | None = None
    augment: str = "none"
    batch_size: int = 32
    optimizer: Optimizer = "adamw"
    weight_decay: float = 1e-4
    label_smoothing: float = 0.0
    imbalance: Imbalance = "none"
    start: Start = "probe"
    schedule: Literal["cosine", "constant"] = "cosine"
    clip_norm: float | None = 1.0
    preprocessing: Mapping[str, Any] = field(default_factory=dict)

    @property
    def epochs(self) -> int:
        """Epochs of all phases together."""
        return sum(phase.epochs for phase in self.phases)

    @property
    def fine_tunes(self) -> bool:
        """Whether any stage of the backbone is trained."""
        return self.freeze_until is not None or any(phase.unfrozen != 0 for phase in self.phases)

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Recipe":
        """Read what `to_json` wrote, or an earlier version of it that knew fewer fields."""
        return cls(**{**data, "phases": tuple(Phase(**phase) for phase in data["phases"])})

    def digest(self) -> str:
        """sha256 of the recipe: equal digests mean an equal proposal."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()


def start_of(head: str, *, fine_tunes: bool) -> Start:
    """What the search lets a head begin from; study files may say otherwise in a baseline."""
    return "probe" if fine_tunes or head == LINEAR else "random"


def probe_recipe(recipe: Recipe, rates: FloatRange) -> Recipe:
    """The probe of a recipe: its head alone, 10 epochs at the middle of its rates on plain features (Kumar et al.
    2022, arXiv:2202.10054: linear probing, then fine-tuning). It is plain: shared by recipes whatever they do about
    classes of unequal size.

    Args:
        recipe: Of any schedule: its backbone, head and preprocessing count.
        rates: In which the head's learning rate is searched.
    """
    middle = (rates.low * rates.high) ** 0.5
    return Recipe(
        backbone=recipe.backbone,
        backbone_params=recipe.backbone_params,
        head=recipe.head,
        head_params=recipe.head_params,
        preprocessing=recipe.preprocessing,
        phases=(Phase(epochs=PROBE_EPOCHS, unfrozen=0, learning_rate=middle),),
        batch_size=PROBE_BATCH,
        weight_decay=PROBE_WEIGHT_DECAY,
        start="random",
    )
