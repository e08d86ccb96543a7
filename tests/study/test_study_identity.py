import json
from collections.abc import Callable

from tlsearch.study import Budget, StudyConfig, StudyTable, config_from_json, config_json, differences

Load = Callable[..., StudyConfig]
TEXT = """
backbones = ["resnet18", "resnet50"]
[study]
name = "x"
budget = { trials = 9, time = "10m" }
[data]
path = "p"
[search]
epochs = { low = 2, high = 10 }
label_smoothing = [0.0, 0.05]
[[baselines]]
name = "b"
backbone = "resnet18"
head = "mlp"
hidden = [8, 4]
phases = [{ epochs = 2, unfrozen = "all" }]
"""


def test_a_study_survives_its_json(load: Load) -> None:
    config = load(TEXT)
    assert config_from_json(json.loads(json.dumps(config_json(config)))) == config


def test_python_code_builds_tables_by_field_names() -> None:
    table = StudyTable(name="x", budget=Budget(trials=3, time_s=1.5))
    assert table.budget.time_s == 1.5


def test_more_budget_other_settings_or_a_baseline_make_no_other_study(load: Load) -> None:
    before = load(TEXT)
    added = TEXT + "[[baselines]]\nname = 'c'\nbackbone = 'resnet18'\n"
    after = load(added, "study.budget.trials=20", "run.grace=5s", "run.devices=['cpu']")
    assert differences(config_json(before), config_json(after)) == []


def test_differences_are_told_by_key_path(load: Load) -> None:
    before = config_json(load(TEXT))
    after = config_json(
        load(TEXT, "search.epochs.high=5", "data.path=q", "backbones.resnet18.image_px=96", "study.metric=macro_f1")
    )
    assert differences(before, after) == [
        "backbones.resnet18.image_px was 224, is 96",
        'data.path was "p", is "q"',
        "search.epochs.high was 10, is 5",
        'study.metric was not set, is "macro_f1"',
    ]


def test_a_backbone_that_went_is_told_by_name(load: Load) -> None:
    before, after = config_json(load(TEXT)), config_json(load(TEXT, "backbones=['resnet18']"))
    assert all(change.startswith("backbones.resnet50.") for change in differences(before, after))


def test_another_floor_is_another_study_and_told_by_its_class(load: Load) -> None:
    before = config_json(load(TEXT, "constraints.min_recall.cat=0.8"))
    after = config_json(load(TEXT, "constraints.min_recall.cat=0.9"))
    assert differences(before, after) == ["constraints.min_recall.cat was 0.8, is 0.9"]


def test_a_key_that_an_older_version_did_not_know_is_no_difference_while_it_is_not_set(load: Load) -> None:
    now = config_json(load(TEXT))
    assert differences({key: value for key, value in now.items() if key != "constraints"}, now) == []
