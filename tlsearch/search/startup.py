"""Start-up: which trials give every backbone its chance before a sampler decides."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tlsearch.search.dimensions import Dimension
from tlsearch.search.space import SearchSpace
from tlsearch.space import Choice, ParamValue
from tlsearch.training.recipe import LINEAR

GENTLE = ("epochs", "weight_decay", "label_smoothing", f"{LINEAR}.learning_rate", f"{LINEAR}.dropout")
STARTUP_SHARE = 0.3  # of the budget
STARTUP_EACH = 3  # trials that every backbone gets, even where they exceed the share


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """What a start-up trial is given; the rest is drawn at random.

    Args:
        backbone: As in the search, like the other two.
        head: Likewise.
        unfrozen: Likewise.
        schedule: Further values by their names.
    """

    backbone: ParamValue
    head: ParamValue
    unfrozen: ParamValue
    schedule: Mapping[str, ParamValue] = field(default_factory=dict)

    def fixed(self) -> dict[str, ParamValue]:
        """The values by the names of the search."""
        return {"backbone": self.backbone, "head": self.head, "unfrozen": self.unfrozen, **self.schedule}


def startup_slots(space: SearchSpace, *, trials: int, probe_scores: Mapping[str, float]) -> list[Slot]:
    """The start-up trials of a study, in order: round after round over the backbones.

    A backbone begins with a linear head, where there is one, that is trained as little as the space allows: nearly the
    closed form that it starts from. After that every second trial is fine-tuned, at depths that take turns, and so do
    the heads.

    Args:
        space: What may be varied.
        trials: The budget, which is never exceeded.
        probe_scores: Of linear probes, by backbone; the best begins. Backbones without one come last.
    """
    names = sorted(space.dimension("backbone").values(), key=lambda name: -probe_scores.get(str(name), float("-inf")))
    count = min(trials, max(round(STARTUP_SHARE * trials), STARTUP_EACH * len(names)))
    return [_slot(space, names[i % len(names)], rank=i % len(names), turn=i // len(names)) for i in range(count)]


def _slot(space: SearchSpace, backbone: ParamValue, *, rank: int, turn: int) -> Slot:
    """The given part of a backbone's trial number `turn`; `rank` is the backbone's place."""
    heads = sorted(space.dimension("head").values(), key=lambda name: name != LINEAR)
    depths = space.dimension("unfrozen").values()
    pair, second = divmod(turn, 2)
    frozen = [depth for depth in depths if depth == 0]
    trained = [depth for depth in depths if depth != 0]
    offered = (trained or frozen) if second else (frozen or trained)
    # shifted between the frozen and the fine-tuned trials, so that both meet every head
    head, depth = heads[(pair + second) % len(heads)], offered[(pair + rank) % len(offered)]
    gentle = turn == 0 and head == LINEAR and depth == 0
    return Slot(backbone=backbone, head=head, unfrozen=depth, schedule=_gentlest(space) if gentle else {})


def _gentlest(space: SearchSpace) -> dict[str, ParamValue]:
    """The values that change a linear head least."""
    return {dimension.name: _least(dimension) for dimension in space.dimensions if dimension.name in GENTLE}


def _least(dimension: Dimension) -> ParamValue:
    values = dimension.range
    return min(dimension.values(), key=float) if isinstance(values, Choice) else values.low
