"""Labels that may be wrong: what is exchanged on purpose is found among the first."""

import numpy as np
from numpy.typing import NDArray

from tlsearch.stats.labels import suspects, suspicion_order, together
from tlsearch.stats.ridge import probe


def logs(*rows: list[float]) -> NDArray[np.float64]:
    return np.log(np.array(rows))


def test_exchanged_labels_rank_first() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(4), 40)
    features = (3 * rng.normal(size=(4, 16)))[truth] + rng.normal(size=(160, 16))
    labels = truth.copy()
    exchanged = rng.choice(160, size=8, replace=False)
    labels[exchanged] = (labels[exchanged] + 1) % 4
    log_probs = probe(features, labels, 4).log_probs
    assert set(suspicion_order(log_probs, labels)[:8]) == set(exchanged)
    found = suspects(log_probs, labels, most=200)
    assert {one.picture for one in found} == set(exchanged)
    assert all(one.suggested == truth[one.picture] for one in found)


def test_suspects_look_like_another_class_as_much_as_its_own_pictures_do() -> None:
    sure, weak, usual = [0.1, 0.2, 0.7], [0.4, 0.5, 0.1], [0.9, 0.05, 0.05]
    own = [[0.1, 0.8, 0.1], [0.2, 0.2, 0.6]]  # of the other two classes
    log_probs, labels = logs(usual, weak, sure, *own), [0, 0, 0, 1, 2]
    (only,) = suspects(log_probs, labels, most=10)
    assert (only.picture, only.label, only.suggested) == (2, 0, 2)
    assert np.isclose(only.probability, 0.1)
    assert np.isclose(only.sure, 0.7)
    assert suspicion_order(log_probs, labels)[:2].tolist() == [2, 1], "the weaker doubt ranks next all the same"
    assert suspects(log_probs, labels, most=0) == ()


def test_several_models_are_averaged_by_their_probabilities() -> None:
    both = together([logs([0.2, 0.8]), logs([0.6, 0.4])])
    assert np.allclose(np.exp(both), [[0.4, 0.6]])
