"""Baselines: published recipes, run first and exactly as written."""

from collections.abc import Mapping, Sequence
from typing import Any

from tlsearch.records import TrialKind, TrialRecord
from tlsearch.search.space import SearchSpace
from tlsearch.study import BaselinePhase, BaselineTable, StudyConfig
from tlsearch.training.recipe import Phase, Recipe


def baseline_recipe(table: BaselineTable, *, backbone_params: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe that a baseline's table says: constant rates, no clipping, nothing that is not written.

    Args:
        table: As in the study file.
        backbone_params: What the study's own table of that backbone sets.
    """
    written = table.phases or (
        BaselinePhase(
            epochs=table.epochs,
            unfrozen=table.unfrozen,
            learning_rate=table.learning_rate,
            suffix_lr_scale=table.suffix_lr_scale,
        ),
    )
    return Recipe(
        backbone=table.backbone,
        backbone_params=dict(backbone_params or {}),
        head=table.head,
        head_params=dict(table.head_params),
        phases=tuple(_phase(phase) for phase in written),
        freeze_until=table.freeze_until,
        augment=table.augment,
        batch_size=table.batch_size,
        optimizer=table.optimizer,
        weight_decay=table.weight_decay,
        label_smoothing=table.label_smoothing,
        imbalance=table.imbalance,
        start=table.start,
        schedule="constant",
        clip_norm=None,
        preprocessing=dict(table.preprocessing),
    )


def baselines(space: SearchSpace, config: StudyConfig) -> list[tuple[str, Recipe]]:
    """Name and recipe of every baseline whose backbone is at hand, in the study's order."""
    params = {table.name: table.params for table in config.backbones}
    return [
        (table.name, baseline_recipe(table, backbone_params=params.get(table.backbone)))
        for table in config.baselines
        if space.dimension("backbone").contains(table.backbone)
    ]


def baselines_left_out(space: SearchSpace, config: StudyConfig) -> list[str]:
    """Names of the baselines that cannot be run, because their backbone is not at hand."""
    backbone = space.dimension("backbone")
    return [table.name for table in config.baselines if not backbone.contains(table.backbone)]


def missing_baselines(
    space: SearchSpace, config: StudyConfig, history: Sequence[TrialRecord]
) -> list[tuple[str, Recipe]]:
    """Those that were never run as they are written now."""
    run = {
        (record.name, Recipe.from_json(record.recipe).digest())
        for record in history
        if record.kind is TrialKind.BASELINE
    }
    return [(name, recipe) for name, recipe in baselines(space, config) if (name, recipe.digest()) not in run]


def _phase(written: BaselinePhase) -> Phase:
    return Phase(
        epochs=written.epochs,
        unfrozen=None if written.unfrozen == "all" else written.unfrozen,
        learning_rate=written.learning_rate,
        suffix_lr_scale=written.suffix_lr_scale,
    )
