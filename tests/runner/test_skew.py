"""What is decided where classes are of unequal size and the study file says nothing, and that it is said."""

import pytest

from tlsearch.runner.skew import ANSWERS, answer_to_skew
from tlsearch.study import StudyConfig

ALIKE, AT_THE_EDGE, SKEWED = {"cat": 30, "dog": 30}, {"cat": 90, "dog": 30}, {"cat": 91, "dog": 30}


def config(**tables: dict[str, object]) -> StudyConfig:
    return StudyConfig.model_validate({"study": {"name": "x", **tables.pop("study", {})}, **tables})


@pytest.mark.parametrize("per_class", [ALIKE, AT_THE_EDGE])
def test_up_to_three_to_one_nothing_is_decided_and_nothing_said(per_class: dict[str, int]) -> None:
    answer = answer_to_skew(config(), per_class)
    assert (answer.metric, answer.imbalance, answer.said) == ("accuracy", ("none",), "")


def test_over_three_to_one_every_class_counts_alike_and_all_answers_are_searched() -> None:
    answer = answer_to_skew(config(), SKEWED)
    assert (answer.metric, answer.imbalance) == ("balanced_accuracy", ANSWERS)
    assert answer.said == (
        "'cat' has 91 pictures and 'dog' 30, so the score is balanced accuracy, for which every "
        "class counts alike, and class weights, balanced sampling and logit adjustment are tried as well."
    )


def test_what_the_file_says_holds_and_is_not_called_a_decision() -> None:
    written = config(study={"metric": "macro_f1"}, search={"imbalance": ["class_weights"]})
    answer = answer_to_skew(written, SKEWED)
    assert (answer.metric, answer.imbalance, answer.said) == ("macro_f1", ("class_weights",), "")


def test_only_what_the_file_leaves_open_is_decided() -> None:
    metric_written = answer_to_skew(config(study={"metric": "accuracy"}), SKEWED)
    assert (metric_written.metric, metric_written.imbalance) == ("accuracy", ANSWERS)
    assert "balanced accuracy" not in metric_written.said
    imbalance_written = answer_to_skew(config(search={"imbalance": "none"}), SKEWED)
    assert (imbalance_written.metric, imbalance_written.imbalance) == ("balanced_accuracy", ("none",))
    assert "class weights" not in imbalance_written.said


def test_answers_that_are_written_are_searched_whatever_the_sizes() -> None:
    answer = answer_to_skew(config(search={"imbalance": ["none", "logit_adjustment"]}), ALIKE)
    assert answer.imbalance == ("none", "logit_adjustment")
