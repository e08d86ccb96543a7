"""Records to numbers: what a report says follows from what the store holds."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tlsearch.records import FailureReason, TrialKind, TrialState
from tlsearch.report.as_json import to_json
from tlsearch.stats import Verdict, score

Records = Any  # the conftest's


def test_counts_leave_out_baselines_and_duplicates(finished: Records) -> None:
    counts = finished.summary().trials
    assert (counts.counted, counts.completed, counts.pruned, counts.failed) == (15, 12, 1, 2)
    assert (counts.running, counts.duplicates, counts.baselines, counts.budget) == (1, 1, 2, 60)
    assert counts.counted == counts.completed + counts.pruned + counts.failed


def test_the_chosen_trial_is_best_with_the_corrected_score(finished: Records) -> None:
    finished.choose(max(finished.predictions, key=lambda number: finished.trials[number].score or 0.0))
    best = finished.summary().best
    assert best.chosen
    assert best.entry.score == best.estimate.naive_score
    assert best.score == best.estimate.score < best.estimate.naive_score
    assert best.interval.low < best.score < best.interval.high


def test_a_cheaper_one_than_the_best_is_promised_the_mean_of_its_own_two_scores(finished: Records) -> None:
    summary = finished.summary()
    best = summary.best
    assert best.entry.trial == 13
    assert best.alike == (11, 12, 13)
    assert best.entry.confirmed == pytest.approx((0.92, 0.93))
    assert best.score == pytest.approx((min(best.entry.score, best.estimate.bootstrapped) + 0.92) / 2)
    assert best.score < best.estimate.bootstrapped
    assert best.interval.low == pytest.approx(best.estimate.low - best.handicap)
    assert to_json(summary)["best"]["score"] == best.score

    gains = [baseline.gain.value for baseline in summary.baselines]
    assert [one["gain"]["value"] for one in to_json(summary)["baselines"]] == gains
    lower = best.estimate.bootstrapped - min(best.estimate.bootstrapped, best.entry.score)
    finished.choose(max(finished.predictions, key=lambda number: finished.trials[number].score or 0.0))
    of_the_best = [baseline.gain.value for baseline in finished.summary().baselines]
    assert gains == pytest.approx([gain - lower for gain in of_the_best]), "the baselines were scored once"


def test_before_a_run_has_chosen_the_best_score_so_far_is_shown_uncorrected(records: Records) -> None:
    records.add(skill=3.0)
    leader = records.add(skill=6.0)
    best = records.summary().best
    assert (best.entry.trial, best.chosen, best.estimate) == (leader, False, None)
    assert best.score == records.trials[leader].score


def test_trials_that_end_after_the_choice_leave_it_outdated_until_the_run_chooses_again(finished: Records) -> None:
    before = finished.summary()
    assert (before.best.later, before.best.outdated) == (0, False)
    better = finished.add(skill=30.0, unfrozen=4)
    for trial in (17, better):
        finished.tell("told", trial=trial)
    summary = finished.summary()
    assert (summary.best.entry.trial, summary.best.later) == (13, 2)
    assert to_json(summary)["best"]["outdated"] is True
    gains = [[one.gain for one in each.baselines] for each in (before, summary)]
    assert gains[0] == gains[1], "what came after the choice is no merit of the chosen one"
    finished.choose(better)
    assert (finished.summary().best.entry.trial, finished.summary().best.later) == (better, 0)


def test_nothing_completed_leaves_nothing_best(records: Records) -> None:
    records.add(skill=None, state=TrialState.FAILED, reason=FailureReason.EXCEPTION, detail="no")
    summary = records.summary()
    assert summary.best is None
    assert to_json(summary)["best"] is None
    assert to_json(summary)["backbones"] == []


def test_freeze_depth_counts_frozen_stages_from_the_input(finished: Records) -> None:
    entry = finished.summary().best.entry
    assert (entry.unfrozen, entry.stages, entry.freeze_depth) == (2, 19, 17)


def test_a_baseline_that_the_search_beats_is_said_to_be_beaten(finished: Records) -> None:
    article, probe = finished.summary().baselines
    assert article.entry.name == "the article's recipe"
    assert article.gain.verdict is Verdict.BETTER
    assert article.gain.low > 0
    assert article.entry.interval.low < article.entry.score < article.entry.interval.high
    assert probe.entry.params["learning_rate"] == 0.004


def test_a_baseline_as_good_as_the_search_cannot_be_told_apart(records: Records) -> None:
    records.add(skill=5.0, kind=TrialKind.BASELINE, name="as good", unfrozen=1)
    for _ in range(5):
        records.add(skill=5.0, unfrozen=1)
    assert records.summary().baselines[0].gain.verdict is Verdict.ALIKE


def test_a_failed_baseline_is_listed_without_a_gain(records: Records) -> None:
    failed = {"state": TrialState.FAILED, "reason": FailureReason.OUT_OF_MEMORY, "detail": "no memory"}
    records.add(skill=None, kind=TrialKind.BASELINE, name="too big", **failed)
    records.add(skill=4.0)
    (baseline,) = records.summary().baselines
    assert baseline.gain is None
    assert baseline.entry.score is None


def test_the_frozen_linear_trial_stands_in_where_no_baseline_is_one(records: Records, finished: Records) -> None:
    frozen = records.add(skill=3.0, unfrozen=0, head="linear")
    records.add(skill=6.0, unfrozen=2, head="mlp")
    assert records.summary().frozen_linear.entry.trial == frozen
    assert finished.summary().frozen_linear is None


def test_the_same_network_in_two_frameworks_is_one_line(finished: Records) -> None:
    twins, lite = finished.summary().backbones
    assert twins.names == ("mobilenet_v2_keras", "mobilenet_v2")
    assert twins.frameworks == ("keras", "torch")
    assert lite.names == ("efficientnet_lite0",)
    assert twins.completed + lite.completed == 12
    assert finished.summary().completed_backbones == ("efficientnet_lite0", "mobilenet_v2", "mobilenet_v2_keras")


@pytest.mark.parametrize("change", [{"preprocessing": {"resize": "squash"}}, {"image_px": 224}, {"digest": "f00d"}])
def test_other_weights_pixels_or_preprocessing_make_another_network(finished: Records, change: dict[str, Any]) -> None:
    backbones = finished.study().context["backbones"]
    finished.context["backbones"] = {
        **backbones,
        "mobilenet_v2": {**backbones["mobilenet_v2"], **change},
    }
    assert len(finished.summary().backbones) == 3


def test_random_networks_with_one_seed_are_not_one_network(finished: Records) -> None:
    backbones = finished.study().context["backbones"]
    random = {"source": "random", "digest": "seed 7"}
    finished.context["backbones"] = {name: {**facts, **random} for name, facts in backbones.items()}
    assert len(finished.summary().backbones) == 3


def test_duplicates_are_not_ranked(finished: Records) -> None:
    summary = finished.summary()
    assert 14 not in {entry.trial for entry in summary.leaderboard}
    assert len(summary.leaderboard) == 10
    scores = [entry.score for entry in summary.leaderboard]
    assert scores == sorted(scores, reverse=True)


def test_a_closed_holdout_is_none_and_an_opened_one_is_told(finished: Records) -> None:
    assert finished.summary().holdout is None
    assert not finished.summary().holdout_seen
    open_holdout(finished, trial=13)
    summary = finished.summary()
    assert (summary.holdout.n, summary.holdout.accuracy) == (30, 0.9)
    assert not summary.holdout_seen


@pytest.mark.parametrize("later", ["told", "chosen"])
def test_a_search_that_goes_on_after_the_opening_has_seen_the_holdout(finished: Records, later: str) -> None:
    open_holdout(finished, trial=13)
    if later == "told":
        finished.tell("told", trial=20)
    else:
        finished.choose(12)
    assert finished.summary().holdout_seen


def test_another_winner_does_not_inherit_the_holdout_score(finished: Records) -> None:
    open_holdout(finished, trial=13)
    finished.choose(12)
    assert finished.summary().holdout is None
    open_holdout(finished, trial=12)
    assert finished.summary().holdout.n == 30
    assert finished.summary().holdout_seen


def open_holdout(records: Records, *, trial: int) -> None:
    records.tell("holdout_opened", trial=trial, final="abc", n=30, accuracy=0.9, score=0.89, low=0.75, high=0.97)


def test_the_truth_on_fresh_drawings_is_told(finished: Records) -> None:
    truth = finished.summary().truth
    assert (truth.n, truth.interval.low < truth.score < truth.interval.high) == (5000, True)
    finished.choose(12)
    assert finished.summary().truth is None


def test_depths_hold_searched_trials_alone(finished: Records) -> None:
    depths = finished.summary().depths
    assert [one.unfrozen for one in depths] == [0, 1, 2, 3, 4]
    assert sum(one.trials for one in depths) == 12
    assert all(one.median <= one.best for one in depths)


def test_mistakes_are_the_surest_wrong_answers_first(finished_with: Callable[..., Records]) -> None:
    records = finished_with(n=600)
    answers = records.summary().answers
    log_probs, labels = records.predictions[13], records.labels
    wrong = log_probs.argmax(axis=1) != labels
    assert answers.wrong == wrong.sum()
    sureness = [one.probability for one in answers.mistakes]
    assert sureness == sorted(sureness, reverse=True)
    assert sureness[0] == pytest.approx(float(np.exp(log_probs[wrong].max())))
    first = answers.mistakes[0]
    assert first.file.startswith(first.truth)
    assert first.truth != first.predicted


def test_pictures_without_a_prediction_are_no_mistakes(finished: Records) -> None:
    finished.predictions[13][:100] = np.nan
    answers = finished.summary().answers
    assert sum(map(sum, answers.confusion)) == 20
    assert len(answers.mistakes) == answers.wrong <= 20


def test_the_cache_saves_what_a_plain_loop_would_have_computed(records: Records) -> None:
    records.add(skill=4.0)  # 6 epochs on 5 folds of 120 pictures: each trains on 96 and is scored on 24
    records.tell("cache", hits=1, misses=1, images=120, seconds=3.0)
    cache = records.summary().cache
    assert cache.pictures_without == 5 * (6 * 96 + 24)
    assert cache.seconds_saved == pytest.approx((3000 - 120) * 3.0 / 120)


def test_failures_are_grouped_with_the_first_detail(finished: Records) -> None:
    (failure,) = finished.summary().failures
    assert (failure.reason, failure.trials) == ("non_finite", (15, 16))
    assert failure.detail == "the loss became NaN in epoch 2"


def test_importance_is_read_as_the_run_left_it(finished: Records) -> None:
    importance = finished.summary().importance
    assert importance.shares[0] == ("unfrozen", 0.52)
    assert importance.branches[0].where == "head=mlp"
    finished.files["importance"] = json.dumps({"shared": {}, "branches": {}, "withheld": "too few trials"})
    assert finished.summary().importance.withheld == "too few trials"


def test_json_is_exactly_what_programs_may_rely_on(finished: Records) -> None:
    open_holdout(finished, trial=13)
    printed = json.loads(json.dumps(to_json(finished.summary()), allow_nan=False))
    first = ["study", "metric", "trials", "backbones", "best", "baselines", "floors"]
    measured = ["truth", "holdout"]
    last = ["holdout_seen", "calibration", "findings", "data_check", "seconds"]
    assert list(printed) == [*first, *measured, *last]
    assert printed["trials"] == {"counted": 15, "completed": 12, "pruned": 1, "failed": 2, "running": 1}
    keys = ["trial", "backbone", "weights", "head", "freeze_depth", "unfrozen", "params", "score", "interval"]
    assert list(printed["best"]) == [*keys, "chosen", "outdated", "alike", "optimism"]
    assert (printed["best"]["chosen"], printed["best"]["outdated"]) == (True, False)
    assert printed["best"]["alike"] == [11, 12, 13]
    assert printed["best"]["optimism"] == finished.summary().best.estimate.optimism
    assert printed["holdout_seen"] is False
    assert list(printed["baselines"][0]) == ["name", *keys, "gain"]
    assert printed["baselines"][0]["gain"]["verdict"] == "better"
    for pictures in measured:
        assert list(printed[pictures]) == ["n", "accuracy", "score", "interval"]
    low, high = printed["best"]["interval"]
    assert low < printed["best"]["score"] < high


def test_a_closed_holdout_is_null_in_json(finished: Records) -> None:
    assert to_json(finished.summary())["holdout"] is None


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "log_loss"])
def test_every_metric_is_summarised(finished_with: Callable[..., Records], metric: str) -> None:
    records = finished_with(metric=metric)
    summary = records.summary()
    assert summary.metric == metric
    assert summary.best.entry.score == score(metric, records.predictions[13], records.labels)
    json.dumps(to_json(summary), allow_nan=False)


def test_trials_whose_predictions_are_not_at_hand_are_still_ranked(finished: Records) -> None:
    finished.predictions.clear()
    summary = finished.summary()
    assert summary.leaderboard
    assert summary.answers is None
    assert all(baseline.gain is None for baseline in summary.baselines)


def test_a_trial_that_waits_for_its_first_worker_has_no_stage_count(records: Records) -> None:
    number = records.add(skill=4.0, unfrozen=2)
    records.trials[number] = replace(records.trials[number], facts=None)
    entry = records.summary().best.entry
    assert (entry.unfrozen, entry.stages, entry.freeze_depth) == (2, None, None)
