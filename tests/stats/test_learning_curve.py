"""Learning curves: they rise where there is more to learn, lie flat where there is not, and name the class."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tlsearch.stats.learning import ALL, HALF, SHARES, Deal, LearningCurve, learning_curve
from tlsearch.stats.metrics import score
from tlsearch.stats.ridge import probe


def curve_of(
    features: NDArray, labels: NDArray, *, metric: str = "accuracy", deals: int = 3, networks: int = 1
) -> LearningCurve:
    rng = np.random.default_rng(5)
    classes = int(labels.max()) + 1
    probes = [probe(features, labels, classes)] * networks
    dealt = [Deal(fold=rng.integers(0, 5, len(labels)), quarter=rng.integers(0, 4, len(labels))) for _ in range(deals)]
    return learning_curve(probes, labels, classes, dealt, metric=metric)


def noisy(each: int, apart: list[float], *, width: int = 120) -> tuple[NDArray, NDArray]:
    """One class a distance: how far its centre lies from the others."""
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(len(apart)), each)
    directions = rng.normal(size=(len(apart), width)) / np.sqrt(width)
    centres = directions * np.array(apart)[:, None]
    return centres[labels] + rng.normal(size=(len(labels), width)), labels


def test_the_curve_rises_where_more_pictures_teach_more() -> None:
    curve = curve_of(*noisy(100, [4.0, 4.0, 4.0]))
    assert curve.scores[0] < curve.scores[HALF] < curve.scores[ALL]
    assert curve.rise.low > 0


def test_the_curve_lies_flat_where_everything_is_learnt() -> None:
    curve = curve_of(*noisy(100, [40.0, 40.0, 40.0]))
    assert curve.scores == (1.0, 1.0, 1.0, 1.0)
    assert curve.rise.low == curve.rise.high == 0


def test_the_class_that_still_gains_is_seen_in_its_recall() -> None:
    curve = curve_of(*noisy(80, [3.0, 3.0, 30.0]))
    gains = [recall[ALL] - recall[HALF] for recall in curve.recalls]
    assert max(gains[:2]) > 0.03
    assert abs(gains[2]) < 0.01


def test_all_pictures_are_those_of_the_other_folds_and_shares_are_nested_parts_of_them() -> None:
    curve = curve_of(*noisy(100, [4.0, 4.0]))
    assert curve.shares == SHARES
    assert curve.images[ALL] == 160
    assert np.allclose(np.array(curve.images) / 160, SHARES, atol=0.05)


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1", "log_loss"])
def test_scores_lie_in_their_intervals_in_every_metric(metric: str) -> None:
    curve = curve_of(*noisy(60, [4.0, 5.0, 6.0]), metric=metric, networks=2)
    for value, interval in zip(curve.scores, curve.intervals, strict=True):
        assert interval.low < value < interval.high


def test_the_full_share_is_what_an_ordinary_cross_validation_gives() -> None:
    features, labels = noisy(60, [4.0, 4.0])
    deal = Deal(fold=np.arange(120) % 5, quarter=np.arange(120) // 5 % 4)
    probed = probe(features, labels, 2)
    x, right = probed.directions.coordinates, 0
    for fold in range(5):
        train = deal.fold != fold
        means, wanted = x[train].mean(axis=0), np.eye(2)[labels[train]]
        centred = x[train] - means
        weights = np.linalg.solve(
            centred.T @ centred + probed.penalty * np.eye(x.shape[1]), centred.T @ (wanted - wanted.mean(axis=0))
        )
        scores = (x[~train] - means) @ weights + wanted.mean(axis=0)
        right += int((scores.argmax(axis=1) == labels[~train]).sum())
    curve = learning_curve([probed], labels, 2, [deal], metric="accuracy")
    assert curve.scores[ALL] == pytest.approx(right / 120)
    assert score("accuracy", probed.log_probs, labels) == pytest.approx(curve.scores[ALL], abs=0.08)


def skewed() -> tuple[NDArray, NDArray]:
    features, labels = noisy(110, [3.5, 3.5])
    return features[:121], labels[:121]  # 110 of one class and 11 of the other


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1"])
def test_a_rare_class_is_answered_where_classes_count_alike(metric: str) -> None:
    plain, alike = curve_of(*skewed()), curve_of(*skewed(), metric=metric)
    assert plain.recalls[1][ALL] < 0.1, "whoever always answers the large class is right nine times of ten"
    assert alike.recalls[1][ALL] > alike.recalls[1][0] + 0.1
    assert alike.recalls[1][ALL] > 0.4


def test_where_classes_count_alike_every_fit_is_adjusted_by_what_it_learned_from() -> None:
    features, labels = skewed()
    deal = Deal(fold=np.arange(121) % 5, quarter=np.arange(121) // 5 % 4)
    probed = probe(features, labels, 2)
    x, recalled = probed.directions.coordinates, np.zeros(2)
    for fold in range(5):
        train, own = deal.fold != fold, deal.fold == fold
        counts = np.bincount(labels[train])
        means, shares = x[train].mean(axis=0), counts / counts.sum()
        centred, wanted = x[train] - means, np.eye(2)[labels[train]]
        weights = np.linalg.solve(
            centred.T @ centred + probed.penalty * np.eye(x.shape[1]), centred.T @ (wanted - shares)
        )
        adjusted = ((x[own] - means) @ weights + shares) / probed.temperature - np.log(shares)
        recalled += np.bincount(labels[own][adjusted.argmax(axis=1) == labels[own]], minlength=2)
    curve = learning_curve([probed], labels, 2, [deal], metric="balanced_accuracy")
    assert curve.scores[ALL] == pytest.approx(float(np.mean(recalled / np.bincount(labels))))


def test_a_class_that_a_share_does_not_have_is_not_favoured_for_it() -> None:
    features, labels = skewed()
    deal = Deal(fold=np.arange(121) % 5, quarter=np.where(labels == 1, 3, np.arange(121) // 5 % 4))
    curve = learning_curve([probe(features, labels, 2)], labels, 2, [deal], metric="balanced_accuracy")
    assert [recall[HALF] for recall in curve.recalls] == [1.0, 0.0]
    assert curve.recalls[1][ALL] > 0
