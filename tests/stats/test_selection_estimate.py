"""BBC-CV: what it promises is tried on searches whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from tlsearch.stats import SelectionEstimate, bbc_cv, score, selection_differences
from tlsearch.stats.floors import Floor
from tlsearch.stats.resampling import bootstrap_weights

Array = np.ndarray


def search(rng: np.random.Generator, *, configurations: int, n: int, truth: float) -> tuple[Array, Array]:
    """Log-probabilities `(T, n, 2)` of configurations that are all equally good: each is luck alone."""
    labels = rng.integers(0, 2, n)
    right = rng.random((configurations, n)) < truth
    predicted = np.where(right, labels, 1 - labels)
    return np.log(np.where(np.eye(2)[predicted] > 0, 0.8, 0.2)).astype(np.float32), labels


def test_the_corrected_interval_holds_the_truth_and_the_naive_one_does_not() -> None:
    rng = np.random.default_rng(0)
    truth, simulations = 0.75, 60
    corrected = naive = 0
    scores = []
    for seed in range(simulations):
        estimate = bbc_cv(*search(rng, configurations=40, n=120, truth=truth), "accuracy", repeats=200, seed=seed)
        corrected += estimate.low <= truth <= estimate.high
        naive += estimate.naive_low <= truth <= estimate.naive_high
        scores.append(estimate.score)
    assert corrected >= 0.93 * simulations
    assert naive <= 0.7 * simulations
    assert np.mean(scores) == pytest.approx(truth, abs=0.02)


def test_a_search_among_equals_flatters_itself_and_a_search_of_one_does_not() -> None:
    predictions, labels = search(np.random.default_rng(1), configurations=40, n=200, truth=0.7)
    many = bbc_cv(predictions, labels, "accuracy")
    alone = bbc_cv(predictions[:1], labels, "accuracy")
    assert many.optimism > 0.03
    assert abs(alone.optimism) < 0.01
    assert many.naive_score == max(score("accuracy", one, labels) for one in predictions)
    assert (many.n, many.candidates) == (200, 40)


def test_a_clear_winner_keeps_its_score() -> None:
    rng = np.random.default_rng(2)
    weak, labels = search(rng, configurations=20, n=400, truth=0.55)
    strong = np.log(np.where(np.eye(2)[np.where(np.arange(400) % 10, labels, 1 - labels)] > 0, 0.8, 0.2))
    estimate = bbc_cv([*weak, strong.astype(np.float32)], labels, "accuracy")
    assert estimate.naive_score == pytest.approx(0.9)
    assert estimate.score == pytest.approx(0.9, abs=0.005)


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1", "log_loss"])
def test_every_metric_is_corrected(metric: str) -> None:
    rng = np.random.default_rng(3)
    predictions, labels = search(rng, configurations=30, n=150, truth=0.7)
    estimate = bbc_cv(predictions, labels, metric, repeats=300)
    assert estimate.low < estimate.score < estimate.high
    assert estimate.optimism > 0


def test_groups_are_left_out_as_wholes() -> None:
    rng = np.random.default_rng(4)
    groups = np.arange(240) // 12
    labels = np.zeros(240, dtype=int)
    right = (rng.random((20, 20)) < 0.7)[:, groups]
    predictions = np.log(np.where(np.eye(2)[np.where(right, 0, 1)] > 0, 0.8, 0.2)).astype(np.float32)
    grouped = bbc_cv(predictions, labels, "accuracy", groups=groups.tolist())
    alone = bbc_cv(predictions, labels, "accuracy")
    assert grouped.optimism > 2 * alone.optimism
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)


def test_the_second_score_of_the_winner_is_half_of_what_is_expected() -> None:
    predictions, labels = search(np.random.default_rng(8), configurations=10, n=200, truth=0.7)
    once = bbc_cv(predictions, labels, "accuracy")
    best = int(np.argmax([score("accuracy", one, labels) for one in predictions]))
    twice = bbc_cv(predictions, labels, "accuracy", again={best: once.score - 0.04})
    assert twice.score == pytest.approx(once.score - 0.02)
    assert twice.bootstrapped == pytest.approx(once.score)
    assert twice.optimism == pytest.approx(once.optimism + 0.02)


def test_what_folds_and_seeds_change_widens_the_interval_and_a_fall_of_all_alike_does_not() -> None:
    predictions, labels = search(np.random.default_rng(9), configurations=3, n=200, truth=0.7)
    own = [score("accuracy", one, labels) for one in predictions]
    fell_alike = bbc_cv(predictions, labels, "accuracy", again={k: own[k] - 0.02 for k in range(3)})
    fell_unlike = bbc_cv(predictions, labels, "accuracy", again={k: own[k] - 0.05 * k for k in range(3)})
    assert fell_alike.noise == pytest.approx(0)
    assert fell_unlike.noise == pytest.approx(0.05 / np.sqrt(2))
    assert fell_unlike.high - fell_unlike.low > 1.1 * (fell_alike.high - fell_alike.low)


def test_the_interval_of_a_low_share_ends_at_0_and_stays_a_share_when_it_is_lowered() -> None:
    predictions, labels = search(np.random.default_rng(13), configurations=3, n=40, truth=0.1)
    own = [score("accuracy", one, labels) for one in predictions]
    estimate = bbc_cv(predictions, labels, "accuracy", again={k: own[k] + 0.2 * (k - 1) for k in range(3)})
    assert estimate.low == 0
    _, interval = estimate.lowered(0.01)
    assert interval.low == 0
    assert interval.high == pytest.approx(estimate.high - 0.01)


def test_a_search_of_one_has_the_interval_of_its_one_score() -> None:
    predictions, labels = search(np.random.default_rng(10), configurations=1, n=400, truth=0.7)
    alone = bbc_cv(predictions, labels, "accuracy", repeats=4000)
    assert alone.high - alone.low == pytest.approx(alone.naive_high - alone.naive_low, rel=0.08)


def test_few_groups_spread_by_no_less_than_their_number_says() -> None:
    rng = np.random.default_rng(11)
    groups = np.repeat(np.arange(12), 20)
    shares = rng.random(12)
    draw = next(bootstrap_weights(np.zeros(240, dtype=int), groups=groups.tolist(), repeats=20_000, rng=rng))
    spread = (draw @ shares[groups].astype(np.float32) / draw.sum(axis=1)).std()
    assert spread == pytest.approx(shares.std(ddof=1) / np.sqrt(12), rel=0.02)


def test_groups_of_several_classes_are_drawn_from_one_pot_so_that_each_is_left_out_at_times() -> None:
    groups = [0, 0, 1, 1, 2, 2, 3, 4, 5, 6]
    labels = np.array([0, 1, 2, 1, 1, 1, 1, 1, 1, 1])  # a first picture's class would leave group 0 in every sample
    (draw,) = bootstrap_weights(labels, groups=groups, repeats=500, rng=np.random.default_rng(12))
    assert (draw == 0).any(axis=0).all()


def test_pictures_that_no_fold_predicted_do_not_count() -> None:
    predictions, labels = search(np.random.default_rng(5), configurations=10, n=300, truth=0.7)
    predictions[:, 60:] = np.nan
    estimate = bbc_cv(predictions, labels, "accuracy", seed=1)
    assert estimate == bbc_cv(predictions[:, :60], labels[:60], "accuracy", seed=1)


def test_a_search_without_predictions_is_refused() -> None:
    with pytest.raises(ValueError, match="no predictions"):
        bbc_cv([], [0, 1], "accuracy")
    with pytest.raises(ValueError, match="no picture was predicted"):
        bbc_cv(np.full((1, 2, 2), np.nan, dtype=np.float32), [0, 1], "accuracy")


def test_a_winner_by_luck_does_not_beat_an_equal_baseline() -> None:
    rng = np.random.default_rng(6)
    predictions, labels = search(rng, configurations=41, n=200, truth=0.7)
    (gain,) = selection_differences(predictions[:40], predictions[40:], labels, "accuracy")
    assert gain.low < 0 < gain.high
    assert gain.verdict == "cannot be told apart"


def test_a_better_search_beats_its_baseline() -> None:
    rng = np.random.default_rng(7)
    predictions, labels = search(rng, configurations=20, n=300, truth=0.9)
    baseline = np.where(rng.random((300, 1)) < 0.6, predictions[0], predictions[0][:, ::-1])
    gain, none = selection_differences(predictions, [baseline, predictions[0]], labels, "accuracy")
    assert gain.verdict == "better"
    assert gain.low < gain.value < gain.high
    assert none.verdict == "cannot be told apart"


def test_a_class_of_one_picture_is_not_dropped_from_the_score() -> None:
    labels = np.array([0] * 40 + [1] * 40 + [2])
    predicted = np.where(labels == 2, 0, labels)  # the one picture of the last class is never found
    one = np.log(np.where(np.eye(3)[predicted] > 0, 0.8, 0.1)).astype(np.float32)
    estimate = bbc_cv([one], labels, "balanced_accuracy", repeats=200)
    assert estimate.naive_score == pytest.approx(2 / 3)
    assert estimate.score == pytest.approx(2 / 3)
    assert estimate.high > 0.8, "one picture says next to nothing about its class"


def test_keeping_a_floor_by_luck_is_corrected_as_well() -> None:
    predictions, labels = search(np.random.default_rng(8), configurations=60, n=120, truth=0.7)
    wanted = max(float((one.argmax(axis=1) == labels)[labels == 1].mean()) for one in predictions)
    floor = Floor(measure="recall", name="1", label=1, wanted=wanted)  # one of sixty keeps it
    estimate = bbc_cv(predictions, labels, "balanced_accuracy", floors=[floor])
    assert estimate.candidates == 60
    assert estimate.optimism > 0.02
    free = bbc_cv(predictions, labels, "balanced_accuracy")
    assert estimate.naive_score < free.naive_score, "the one that keeps the floor, not the best"


def test_the_plain_best_never_expects_more_than_it_scored() -> None:
    for seed in range(12):
        rng = np.random.default_rng(seed)
        predictions, labels = search(rng, configurations=1, n=60, truth=0.8)
        estimate = bbc_cv(predictions, labels, "accuracy", repeats=50, seed=seed)
        assert estimate.bootstrapped <= estimate.naive_score
        assert estimate.handicap(estimate.naive_score, None) == 0.0


ESTIMATE = SelectionEstimate(
    score=0.80,
    low=0.70,
    high=0.90,
    naive_score=0.84,
    naive_low=0.74,
    naive_high=0.94,
    optimism=0.04,
    n=100,
    candidates=9,
)


@pytest.mark.parametrize(
    ("score", "again", "handicap"),
    [
        (0.84, 0.78, 0.0),  # the plain best one: what the estimate is about
        (0.83, 0.74, 0.02),  # expected: the mean of 0.80, beyond which its own score is luck, and of 0.74
        (0.83, 0.82, -0.02),
        (0.83, None, -0.01),
        (0.77, None, 0.02),
        (0.77, 0.79, 0.01),
    ],
)
def test_a_named_configuration_is_held_to_its_own_two_scores(
    score: float, again: float | None, handicap: float
) -> None:
    twice = replace(ESTIMATE, score=0.79, again=0.78)  # bootstrapped: 0.80
    assert twice.handicap(score, again) == pytest.approx(handicap)


def test_a_configuration_that_was_scored_once_is_promised_no_more_than_its_score() -> None:
    assert ESTIMATE.handicap(0.77, None) == pytest.approx(0.03)
    assert ESTIMATE.handicap(0.84, None) == 0


def test_a_lowered_share_stays_above_zero_and_a_lowered_loss_may_fall() -> None:
    score, interval = ESTIMATE.lowered(0.75)
    assert (score, interval.low, interval.high) == pytest.approx((0.05, 0.0, 0.15))
    raised, interval = ESTIMATE.lowered(-0.15)
    assert (raised, interval.low, interval.high) == pytest.approx((0.95, 0.85, 1.0))
    loss = replace(ESTIMATE, score=-0.4, low=-0.6, high=-0.2)
    score, interval = loss.lowered(0.1)
    assert (score, interval.low, interval.high) == pytest.approx((-0.5, -0.7, -0.3))
