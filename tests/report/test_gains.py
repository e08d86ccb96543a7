"""What the search gained over the recipes that it was to beat, where both were scored again and where not."""

from typing import Any

import pytest

from tlsearch.records import ConfirmationRecord, TrialKind
from tlsearch.report.gains import baselines, frozen_linear
from tlsearch.report.headline import headline
from tlsearch.report.text import Words
from tlsearch.report.values import Best
from tlsearch.report.verdict import best
from tlsearch.stats import difference


def searched(records: Any, *, fall: float, baseline_fall: float | None) -> Best:
    """A search whose winner equals its one baseline (trial 0); both scored again, each with its own fall."""
    records.add(skill=5.0, unfrozen=1, kind=TrialKind.BASELINE, name="the same")
    for skill in (5.0, 4.0, 3.0):
        records.add(skill=skill, unfrozen=1)
    records.predictions[1] = records.predictions[0]
    for number, fell in ((0, baseline_fall), (1, fall)):
        if fell is not None:
            score = (records.trials[0].score or 0.0) - fell
            records.confirmations.append(ConfirmationRecord(trial=number, repeat=1, score=score))
    records.choose(1)
    found = best(records.evidence())
    assert found is not None
    return found


@pytest.mark.parametrize("fall", [0.05, -0.05])
def test_a_part_that_is_harder_for_all_is_no_loss_to_an_equal_baseline(records: Any, fall: float) -> None:
    named = searched(records, fall=fall, baseline_fall=fall)
    (one,) = baselines(records.evidence(), named)
    assert one.gain is not None
    assert one.gain.value == pytest.approx(0.0, abs=0.01)
    assert one.gain.verdict == "cannot be told apart"


def test_where_both_were_scored_again_half_the_gain_is_that_of_the_second_scores(records: Any) -> None:
    named = searched(records, fall=0.08, baseline_fall=0.02)
    (one,) = baselines(records.evidence(), named)
    assert one.gain is not None
    assert one.gain.value == pytest.approx(-0.03, abs=0.01)


def test_a_baseline_that_was_scored_once_is_compared_on_the_same_pictures_alone(records: Any) -> None:
    named = searched(records, fall=0.08, baseline_fall=None)
    (one,) = baselines(records.evidence(), named)
    assert one.gain is not None
    assert one.gain.value == pytest.approx(0.0, abs=0.02)


def test_the_named_configuration_is_not_compared_with_itself(records: Any) -> None:
    for skill in (5.0, 4.0):
        records.add(skill=skill)
    records.choose(0)
    evidence = records.evidence()
    assert frozen_linear(evidence, best(evidence)) is None
    records.choose(1)
    evidence = records.evidence()
    other = frozen_linear(evidence, best(evidence))
    assert other is not None
    assert other.entry.trial == 0


def test_a_gain_knows_nothing_of_trials_that_ended_after_the_choice(records: Any) -> None:
    named = searched(records, fall=0.0, baseline_fall=0.0)
    (before,) = baselines(records.evidence(), named)
    late = records.add(skill=9.0, unfrozen=1)
    records.tell("told", trial=late, state="completed", score=records.trials[late].score)
    (after,) = baselines(records.evidence(), named)
    assert after == before


def test_a_cheaper_one_than_the_best_is_as_unsure_as_its_own_answers_are(records: Any) -> None:
    for skill in (5.0, 5.0):
        records.add(skill=skill)
    first, second = sorted((0, 1), key=lambda number: records.trials[number].score)
    parted = (records.predictions[0].argmax(axis=1) != records.predictions[1].argmax(axis=1)).mean()
    assert parted > 0.05
    records.choose(first)
    evidence = records.evidence()
    one = frozen_linear(evidence, best(evidence))
    assert one is not None
    assert one.entry.trial == second
    assert one.gain is not None
    assert one.gain.verdict == "cannot be told apart"
    own = difference(records.predictions[first], records.predictions[second], records.labels, records.metric)
    assert one.gain.high - one.gain.low >= own.high - own.low


def test_where_no_baseline_was_asked_for_the_headline_compares_with_the_best_frozen_network(records: Any) -> None:
    for skill in (3.0, 6.0):
        records.add(skill=skill, unfrozen=0 if skill < 4 else 2)
    records.choose(1)
    summary = records.summary()
    _, compared = headline(summary, Words(metric=summary.metric))
    assert compared.startswith("It is better than the best frozen network, linear head (trial 0) by")
