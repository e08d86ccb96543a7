from search_world import BACKBONES, PROBES, config, ended, record_of, space_of

from tlsearch.records import TrialKind
from tlsearch.search import baseline_recipe, baselines_left_out, next_round
from tlsearch.study import BaselineTable

ARTICLE = {
    "name": "the article's recipe",
    "backbone": "large",
    "freeze_until": "block_16",
    "head": "mlp",
    "head_params": {"hidden": [1024, 1024, 512]},
    "optimizer": "rmsprop",
    "epochs": 5,
    "batch_size": 16,
}


def test_a_baseline_is_exactly_as_written() -> None:
    recipe = baseline_recipe(BaselineTable.model_validate(ARTICLE))

    assert (recipe.backbone, recipe.head, recipe.freeze_until) == ("large", "mlp", "block_16")
    assert recipe.head_params == {"hidden": [1024, 1024, 512]}
    assert (recipe.optimizer, recipe.batch_size, recipe.epochs) == ("rmsprop", 16, 5)
    assert (recipe.schedule, recipe.clip_norm, recipe.start) == ("constant", None, "random")
    assert (recipe.label_smoothing, recipe.weight_decay, recipe.imbalance) == (0.0, 0.0, "none")
    assert recipe.phases[0].suffix_lr_scale == 1.0


def test_phases_of_a_baseline_follow_one_another() -> None:
    phases = [
        {"epochs": 3, "learning_rate": 1e-2},
        {"epochs": 4, "unfrozen": "all", "learning_rate": 1e-5},
    ]
    table = BaselineTable.model_validate({"name": "two steps", "backbone": "small", "phases": phases})

    first, second = baseline_recipe(table).phases

    assert (first.epochs, first.unfrozen, first.learning_rate) == (3, 0, 1e-2)
    assert (second.epochs, second.unfrozen, second.learning_rate) == (4, None, 1e-5)


def test_baselines_run_first_once_and_uncounted() -> None:
    study = config(trials=6, baselines=[ARTICLE, {"name": "plain", "backbone": "small"}])
    space = space_of(study)

    found = next_round(space, [], config=study, probe_scores=PROBES, room=100)

    assert [p.name for p in found[:2]] == ["the article's recipe", "plain"]
    assert [p.kind for p in found] == [TrialKind.BASELINE] * 2 + [TrialKind.STARTUP] * 6
    assert len({p.group for p in found[:3]}) == 3
    history = [ended(record_of(i, proposal)) for i, proposal in enumerate(found)]
    assert next_round(space, history, config=study, probe_scores=PROBES, room=100) == []


def test_a_baseline_that_was_added_or_changed_runs_in_a_later_run() -> None:
    study = config(trials=3, baselines=[ARTICLE])
    found = next_round(space_of(study), [], config=study, probe_scores=PROBES, room=100)
    history = [ended(record_of(i, proposal)) for i, proposal in enumerate(found)]
    grown = config(trials=3, baselines=[{**ARTICLE, "epochs": 6}, {"name": "new", "backbone": "small"}])

    later = next_round(space_of(grown), history, config=grown, probe_scores=PROBES, room=100)

    assert [p.name for p in later] == ["the article's recipe", "new"]


def test_a_baseline_without_its_backbone_is_named_and_not_run() -> None:
    study = config(trials=3, baselines=[ARTICLE, {"name": "plain", "backbone": "small"}])
    space = space_of(study, BACKBONES[:2])

    found = next_round(space, [], config=study, probe_scores=PROBES, room=100)

    assert [p.name for p in found if p.kind is TrialKind.BASELINE] == ["plain"]
    assert baselines_left_out(space, study) == ["the article's recipe"]


def test_a_baseline_gets_what_the_study_sets_for_its_backbone() -> None:
    large = {"name": "large", "params": {"width": 0.5}}
    study = config(trials=3, backbones=[large], baselines=[ARTICLE])

    (baseline, *_) = next_round(space_of(study, BACKBONES[2:]), [], config=study, probe_scores=PROBES, room=1)

    assert baseline.recipe.backbone_params == {"width": 0.5}


def test_a_baseline_answers_skewed_classes_where_it_says_so() -> None:
    table = BaselineTable.model_validate({**ARTICLE, "imbalance": "balanced_sampling"})

    assert baseline_recipe(table).imbalance == "balanced_sampling"
