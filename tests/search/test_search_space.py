from dataclasses import replace

import pytest
from search_world import BACKBONES, HEADS, SET, config, space_of

from tlsearch import Choice, FloatRange, IntRange
from tlsearch.errors import StudyFileError
from tlsearch.search import SearchSpace
from tlsearch.search.dimensions import Condition, Dimension
from tlsearch.search.sampler import Asker

ALL_NAMES = {
    "backbone",
    "head",
    "unfrozen",
    "epochs",
    "batch_size",
    "augment",
    "weight_decay",
    "label_smoothing",
    "suffix_lr_scale",
    "linear.learning_rate",
    "linear.dropout",
    "mlp.learning_rate",
    "mlp.hidden",
    "mlp.layers",
    "mlp.dropout",
    "large.width",
}


def draws(space: SearchSpace, count: int = 60) -> list[dict]:
    asker = Asker(space, (), sampler="random", seed=1)
    return [asker.ask() for _ in range(count)]


def test_names_are_shared_across_backbones_and_prefixed_where_conditional() -> None:
    space = space_of(config(search={"augment": ["none", "flip"]}))

    assert {d.name for d in space.dimensions} == ALL_NAMES | {"imbalance"}
    assert space.searched == ALL_NAMES


def test_a_draw_holds_what_counts_and_nothing_else() -> None:
    space = space_of(config())

    for params in draws(space):
        assert ("suffix_lr_scale" in params) == (params["unfrozen"] > 0)
        assert ("large.width" in params) == (params["backbone"] == "large")
        heads = {name.partition(".")[0] for name in params if name.endswith(".dropout")}
        assert heads == {params["head"]}
        assert space.contains(params)
        assert not space.contains({**params, "epochs": 21})
        assert not space.contains({**params, "other": 1})
        assert not space.contains({name: v for name, v in params.items() if name != "weight_decay"})


def test_a_dimension_with_one_value_is_set_and_not_searched() -> None:
    space = space_of(config(search={**SET, "epochs": {"low": 3, "high": 4}}), BACKBONES[:1])

    (params, *_) = draws(space, 1)

    assert params.keys() == {"epochs"}
    recipe = space.recipe(params)
    assert (recipe.backbone, recipe.head, recipe.batch_size) == ("small", "linear", 16)
    assert recipe.phases[0].learning_rate == 0.01
    assert recipe.head_params == {"dropout": 0.0}


def test_a_recipe_says_all_that_was_chosen() -> None:
    space = space_of(config(backbones=[{"name": "large", "params": {"width": 0.5}}]), BACKBONES[2:])
    params = {
        "head": "mlp",
        "unfrozen": 2,
        "epochs": 7,
        "batch_size": 32,
        "weight_decay": 1e-3,
        "label_smoothing": 0.1,
        "suffix_lr_scale": 0.05,
        "mlp.learning_rate": 2e-3,
        "mlp.hidden": 256,
        "mlp.layers": 3,
        "mlp.dropout": 0.2,
    }

    recipe = space.recipe(params)

    assert space.contains(params)
    assert recipe.backbone_params == {"width": 0.5}
    assert recipe.head_params == {"hidden": 256, "layers": 3, "dropout": 0.2}
    assert (recipe.weight_decay, recipe.label_smoothing, recipe.augment) == (1e-3, 0.1, "none")
    (phase,) = recipe.phases
    assert (phase.epochs, phase.unfrozen, phase.learning_rate, phase.suffix_lr_scale) == (7, 2, 2e-3, 0.05)
    assert recipe.start == "probe"
    assert (recipe.schedule, recipe.clip_norm, recipe.optimizer) == ("cosine", 1.0, "adamw")


def test_only_a_head_with_hidden_layers_on_a_frozen_backbone_starts_from_random_weights() -> None:
    space = space_of(config())

    found = {(r.head, r.fine_tunes, r.start) for r in map(space.recipe, draws(space))}

    assert found == {
        ("linear", False, "probe"),
        ("linear", True, "probe"),
        ("mlp", False, "random"),
        ("mlp", True, "probe"),
    }


def test_values_of_a_recipe_are_found_again() -> None:
    space = space_of(config())

    for params in draws(space, 20):
        assert space.params_of(space.recipe(params)) == params


@pytest.mark.parametrize(
    "changed",
    [
        {"epochs": {"low": 2, "high": 19}},
        {"unfrozen": {"low": 0, "high": 3}},
        {"batch_size": [16, 32]},
        {"augment": ["none", "flip"]},
        {"weight_decay": {"low": 1e-5, "high": 1e-1, "log": True}},
        {"label_smoothing": 0.0},
        {"suffix_lr_scale": {"low": 1e-3, "high": 0.2, "log": True}},
        {"heads": ["linear"]},
        {"head": {"mlp": {"hidden": [64, 128]}}},
        {"head": {"linear": {"learning_rate": {"low": 1e-3, "high": 1e-1, "log": False}}}},
    ],
)
def test_digest_changes_with_any_range(changed: dict) -> None:
    assert space_of(config(search=changed)).digest() != space_of(config()).digest()


def test_digest_changes_with_backbones_and_what_is_set_for_them() -> None:
    whole = space_of(config())

    assert space_of(config(), BACKBONES[:2]).digest() != whole.digest()
    narrow = config(backbones=[{"name": "large", "params": {"width": 0.5}}])
    assert space_of(narrow).digest() != whole.digest()


def test_digest_does_not_change_with_budget_or_baselines() -> None:
    grown = config(trials=400, baselines=[{"name": "theirs", "backbone": "small"}])

    assert space_of(grown).digest() == space_of(config()).digest()


def test_all_names_that_nobody_knows_are_told_at_once() -> None:
    study = config(
        search={
            "heads": ["linaer", "mlp"],
            "head": {"mpl": {"hidden": [64]}, "mlp": {"hiden": [64], "learning_rate": 0.1}},
        },
        backbones=[{"name": "large", "params": {"widht": 0.5}}],
    )

    with pytest.raises(StudyFileError) as caught:
        space_of(study)

    told = {fault.place: fault.message for fault in caught.value.faults}
    assert "did you mean 'linear'" in told["search.heads"]
    assert "did you mean 'mlp'" in told["search.head.mpl"]
    assert "did you mean 'hidden'" in told["search.head.mlp.hiden"]
    assert "did you mean 'width'" in told["backbones.large.params.widht"]
    assert len(told) == 4


def test_a_parameter_that_a_head_only_sets_can_be_searched() -> None:
    space = space_of(config(search={"head": {"mlp": {"activation": ["relu", "gelu"]}}}))

    assert space.dimension("mlp.activation").range == Choice("relu", "gelu", strict=False)


def test_learning_rates_come_from_the_head_unless_the_study_says_otherwise() -> None:
    space = space_of(config(search={"head": {"mlp": {"learning_rate": {"low": 1e-5, "high": 1e-3}}}}))

    assert space.dimension("linear.learning_rate").range == HEADS["linear"].learning_rate
    assert space.dimension("mlp.learning_rate").range == FloatRange(1e-5, 1e-3)


def test_answers_to_skewed_classes_are_searched_where_there_are_several() -> None:
    plain = space_of(config())
    answered = space_of(config(), imbalance=("none", "class_weights", "logit_adjustment"))

    assert "imbalance" not in plain.searched, "one value is no sampler's"
    assert {plain.recipe(params).imbalance for params in draws(plain)} == {"none"}
    found = {answered.recipe(params).imbalance for params in draws(answered)}
    assert found == {"none", "class_weights", "logit_adjustment"}
    assert all(answered.params_of(answered.recipe(params)) == params for params in draws(answered, 20))
    assert answered.digest() != plain.digest()


def test_rows_of_a_job_may_answer_skewed_classes_in_their_own_way() -> None:
    space = space_of(config(), imbalance=("none", "class_weights"))
    (params, *_) = draws(space, 1)

    assert "imbalance" in params
    assert "imbalance" not in space.shared_part(params)


def test_shared_parts_are_counted_without_making_them() -> None:
    space = space_of(config(search={"heads": ["linear"], "unfrozen": 0, "batch_size": [16, 32]}))
    huge = Dimension(name="large.units", range=IntRange(1, 10**18), when=Condition(on="backbone", equals="large"))
    assert space.most_shared_parts() == 3 * 2 * 2  # backbones, batch sizes, and what the large one varies
    grown = replace(space, dimensions=(*space.dimensions, huge))
    assert grown.most_shared_parts() == 3 * 2 * 2 * 10**18
