"""Floors: what a class must reach, and by how much answers miss it."""

import numpy as np
import pytest

from tlsearch.stats.floors import Floor, Reached, floors_of, not_again, shortfalls, violation, violations
from tlsearch.stats.metrics import Outcomes

CLASSES = ("cat", "big dog")
LABELS = np.array([0, 0, 0, 0, 0, 1, 1, 1])
ANSWERS = np.array([0, 0, 0, 0, 1, 1, 1, 0])  # of the cats 4 of 5 are found; 4 of 5 that are called cats are


def answered(predicted: np.ndarray) -> np.ndarray:
    probabilities = np.full((len(predicted), 2), 0.1)
    probabilities[np.arange(len(predicted)), predicted] = 0.9
    return np.log(probabilities).astype(np.float32)


def test_floors_are_those_of_the_file_with_their_classes_numbers() -> None:
    floors = floors_of({"min_recall": {"big dog": 0.5}, "min_precision": {"cat": 0.7}}, CLASSES)
    assert floors == (
        Floor(measure="recall", name="big dog", label=1, wanted=0.5),
        Floor(measure="precision", name="cat", label=0, wanted=0.7),
    )
    assert [floor.key for floor in floors] == ["min_recall.big dog", "min_precision.cat"]
    assert floors_of({}, CLASSES) == (), "as of a study before there were floors"


@pytest.mark.parametrize(
    ("constraints", "missed"),
    [
        ({"min_recall": {"cat": 0.9}}, {"min_recall.cat": 0.1}),
        ({"min_recall": {"big dog": 0.5}}, {"min_recall.big dog": 0.5 - 2 / 3}),
        ({"min_precision": {"cat": 1.0}}, {"min_precision.cat": 0.2}),
    ],
)
def test_what_is_missed_is_wanted_less_reached(constraints: dict, missed: dict[str, float]) -> None:
    assert shortfalls(floors_of(constraints, CLASSES), answered(ANSWERS), LABELS) == pytest.approx(missed)


def test_a_floor_that_is_reached_exactly_is_kept() -> None:
    missed = shortfalls(floors_of({"min_recall": {"cat": 0.8}}, CLASSES), answered(ANSWERS), LABELS)
    assert missed == {"min_recall.cat": 0.0}
    assert violation(missed) == 0.0


def test_a_class_that_is_never_named_reaches_no_precision() -> None:
    floors = floors_of({"min_precision": {"big dog": 0.5}}, CLASSES)
    assert shortfalls(floors, answered(np.zeros(8, dtype=int)), LABELS) == {"min_precision.big dog": 0.5}


def test_pictures_without_an_answer_do_not_count() -> None:
    log_probs = answered(ANSWERS)
    log_probs[4] = np.nan  # the cat that was not found
    missed = shortfalls(floors_of({"min_recall": {"cat": 0.9}}, CLASSES), log_probs, LABELS)
    assert missed == {"min_recall.cat": pytest.approx(-0.1)}


def test_a_violation_is_the_sum_of_what_is_missed_and_nothing_makes_up_for_it() -> None:
    assert violation({"a": 0.1, "b": -0.5, "c": 0.2}) == pytest.approx(0.3)
    assert violation({}) == 0.0


def test_violations_of_samples_are_those_of_the_pictures_in_them() -> None:
    floors = floors_of({"min_recall": {"cat": 0.9, "big dog": 0.5}, "min_precision": {"cat": 0.95}}, CLASSES)
    models = [answered(ANSWERS), answered(LABELS), answered(1 - LABELS)]
    weights = np.array([np.ones(8), [1, 1, 0, 0, 2, 0, 1, 1], [1, 1, 1, 1, 1, 0, 0, 0]], dtype=np.float32)
    expected = [
        [violation(shortfalls(floors, np.repeat(one, count, axis=0), np.repeat(LABELS, count))) for one in models]
        for count in weights.astype(int)
    ]
    assert violations(floors, Outcomes.of(models, LABELS), weights) == pytest.approx(np.array(expected), abs=1e-6)


def test_a_floor_that_is_kept_once_and_missed_when_scored_again_is_told_with_what_was_reached_there() -> None:
    kept = Reached(floor="min_recall.cat", wanted=0.8, reached=0.85, again=0.82)
    once = Reached(floor="min_recall.dog", wanted=0.9, reached=0.95, again=0.896)
    missed = Reached(floor="min_precision.cat", wanted=0.9, reached=0.5, again=0.5)
    assert not_again([kept]) == ""
    said = "the floor min_recall.dog = 0.9 was kept while searching, and not with other folds and seeds: 0.89 there"
    assert not_again([kept, once]) == said
    assert not_again([missed]) == "", "what is missed at once is told as such"
