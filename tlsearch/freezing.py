"""How deep a backbone is frozen: from the depth or the layer that a recipe names to a cut."""

from collections.abc import Sequence

from tlsearch.errors import UnknownNameError
from tlsearch.specs import Backbone
from tlsearch.text import did_you_mean


def frozen_stages(backbone: Backbone, *, unfrozen: int | None, freeze_until: str | None) -> int:
    """How many stages are frozen, counted from the input.

    Args:
        backbone: The backbone.
        unfrozen: Stages to train, counted from the head; None trains all.
        freeze_until: In its place, the last layer to freeze; the nearest cut at or before it counts.

    Raises:
        UnknownNameError: Where no layer has that name.
    """
    stages = len(backbone.stages)
    if freeze_until is None:
        return 0 if unfrozen is None else max(0, stages - unfrozen)
    names = layer_names(backbone)
    for index, layers in enumerate(names):
        if freeze_until in layers:
            return index + 1 if _ends_stage(freeze_until, layers) else index
    known = [layer for layers in names for layer in layers]
    raise UnknownNameError(
        f"freeze_until = '{freeze_until}': the backbone has no such layer{did_you_mean(freeze_until, known)}",
        hint=f"its layers run from '{known[0]}' to '{known[-1]}'",
    )


def layer_names(backbone: Backbone) -> Sequence[Sequence[str]]:
    """The layers' names in each stage: the publisher's where the plugin tells them, else the module tree's."""
    if backbone.layer_names:
        return backbone.layer_names
    return [
        [f"{index}.{name}" if name else str(index) for name, _ in stage.named_modules()]
        for index, stage in enumerate(backbone.stages)
    ]


def _ends_stage(layer: str, layers: Sequence[str]) -> bool:
    """Whether nothing comes after a layer in its stage but its own parts ("3.conv.0" of "3.conv") and its wholes."""
    after = layers[layers.index(layer) + 1 :]
    return all(other.startswith(f"{layer}.") or layer.startswith(f"{other}.") for other in after)
