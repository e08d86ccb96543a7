"""A small world for the search's tests: three backbones, two heads, and a score without noise."""

from __future__ import annotations  # torch is loaded where a network is built

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tlsearch import Backbone, BackboneSpec, Choice, FloatRange, HeadSpec, IntRange, Params
from tlsearch.records import FailureReason, TrialKind, TrialRecord, TrialState
from tlsearch.search import Proposal, SearchSpace, SpaceExhausted, next_round
from tlsearch.search.jobs import Known
from tlsearch.study import Imbalance, StudyConfig
from tlsearch.training.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

PROBES = {"small": 0.7, "middle": 0.9, "large": 0.8}


class LinearParams(Params):
    dropout: Annotated[float, Choice(0.0, 0.2, 0.5)] = 0.0


class MlpParams(Params):
    hidden: Annotated[int, Choice(64, 128, 256)] = 128
    layers: Annotated[int, IntRange(1, 3)] = 1
    dropout: Annotated[float, Choice(0.0, 0.2, 0.5)] = 0.0
    activation: str = "relu"


class LargeParams(Params):
    width: Annotated[float, Choice(0.5, 1.0)] = 1.0


def build_linear(params: LinearParams, feature_dim: int, classes: int) -> nn.Sequential:
    from torch import nn

    return nn.Sequential(nn.Dropout(params.dropout), nn.Linear(feature_dim, classes))


def build_mlp(params: MlpParams, feature_dim: int, classes: int) -> nn.Sequential:
    from torch import nn

    sizes = [feature_dim, *[params.hidden] * params.layers]
    hidden = [nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(sizes)]
    return nn.Sequential(*hidden, nn.Dropout(params.dropout), nn.Linear(sizes[-1], classes))


def build_backbone(params: Params, image_px: int) -> Backbone:
    from torch import nn

    return Backbone(stages=(nn.Conv2d(3, 8, 3),), pool=nn.AdaptiveAvgPool2d(1), feature_dim=8)


def load_nothing(backbone: Backbone, path: Path) -> None:
    raise AssertionError("no test loads weights here")


def backbone(name: str, params: type[Params] = Params) -> BackboneSpec:
    return BackboneSpec(
        name=name,
        framework="torch",
        build=build_backbone,
        load=load_nothing,
        weights=(),
        image_px=32,
        min_image_px=16,
        parameters=224,
        gmacs=0.001,
        paper="",
        license="Apache-2.0",
        params=params,
    )


BACKBONES = (backbone("small"), backbone("middle"), backbone("large", LargeParams))
HEADS = {
    "linear": HeadSpec(
        name="linear", params=LinearParams, build=build_linear, learning_rate=FloatRange(1e-3, 1e-1, log=True)
    ),
    "mlp": HeadSpec(name="mlp", params=MlpParams, build=build_mlp, learning_rate=FloatRange(1e-4, 1e-2, log=True)),
}
# one backbone and one head with everything set: only what a test adds is searched
SET = {
    "heads": ["linear"],
    "unfrozen": 0,
    "epochs": 5,
    "batch_size": 16,
    "weight_decay": 1e-4,
    "label_smoothing": 0.0,
    "head": {"linear": {"learning_rate": 0.01, "dropout": 0.0}},
}


def config(*, trials: int = 40, seed: int = 7, search: Mapping[str, Any] | None = None, **tables: Any) -> StudyConfig:
    study = {"name": "faces", "seed": seed, "budget": {"trials": trials}}
    return StudyConfig.model_validate({"study": study, "search": dict(search or {}), **tables})


def space_of(
    study: StudyConfig, backbones: Sequence[BackboneSpec] = BACKBONES, *, imbalance: Sequence[Imbalance] = ("none",)
) -> SearchSpace:
    return SearchSpace.build(study, backbones, HEADS, metric="accuracy", imbalance=imbalance)


def score_of(recipe: Recipe) -> float:
    phase = recipe.phases[0]
    depth = 0.02 * (phase.unfrozen or 0)
    rate = -0.03 * abs(math.log10(phase.learning_rate) + 2.5)
    return {"small": 0.6, "middle": 0.8, "large": 0.7}[recipe.backbone] + depth + rate


def record_of(number: int, proposal: Proposal, state: TrialState = TrialState.WAITING) -> TrialRecord:
    return TrialRecord(
        number=number,
        kind=proposal.kind,
        name=proposal.name,
        state=state,
        params=proposal.params,
        recipe=proposal.recipe.to_json(),
        duplicate_of=proposal.duplicate_of,
    )


def ended(record: TrialRecord) -> TrialRecord:
    """Complete a trial with its score; every ninth one fails, and every tenth is pruned where it fine-tunes."""
    recipe = Recipe.from_json(record.recipe)
    score = score_of(recipe)
    if record.number % 9 == 8:
        return replace(record, state=TrialState.FAILED, reason=FailureReason.NON_FINITE)
    if record.number % 10 == 9 and recipe.fine_tunes:
        return replace(record, state=TrialState.PRUNED, fold_scores=(score,))
    return replace(record, state=TrialState.COMPLETED, score=score, fold_scores=(score, score))


def through_json(record: TrialRecord) -> TrialRecord:
    """A record as it comes back from a store."""
    told = json.loads(json.dumps(asdict(record)))
    kinds = {"kind": TrialKind(told["kind"]), "state": TrialState(told["state"])}
    reason = None if told["reason"] is None else FailureReason(told["reason"])
    return TrialRecord(**{**told, **kinds, "reason": reason, "fold_scores": tuple(told["fold_scores"])})


def play(
    study: StudyConfig,
    *,
    space: Callable[[], SearchSpace],
    kept: Callable[[TrialRecord], TrialRecord] = lambda record: record,
    room: int = 100,
    known: Known | None = None,
) -> tuple[list[TrialRecord], list[list[Proposal]], SpaceExhausted | None]:
    """Run a study with one worker: its records, its rounds, and why it ended before the budget, if it did."""
    history: list[TrialRecord] = []
    rounds: list[list[Proposal]] = []
    while True:
        found = next_round(space(), history, config=study, probe_scores=dict(PROBES), room=room, known=known)
        if isinstance(found, SpaceExhausted):
            return history, rounds, found
        if not found:
            return history, rounds, None
        rounds.append(found)
        for proposal in found:
            history = [*map(kept, history), kept(ended(record_of(len(history), proposal)))]
