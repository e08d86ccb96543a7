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
    assert {one.picture for one in found[:8]} == set(exchanged)
    assert all(one.suggested == truth[one.picture] for one in found[:8])


def test_only_contradicted_labels_are_suspects_and_the_most_suspicious_come_first() -> None:
    log_probs = logs([0.9, 0.05, 0.05], [0.4, 0.5, 0.1], [0.1, 0.2, 0.7], [0.3, 0.3, 0.4])
    first, second = suspects(log_probs, [0, 0, 0, 2], most=10)
    assert (first.picture, first.label, first.suggested) == (2, 0, 2)
    assert (second.picture, second.suggested) == (1, 1)
    assert np.isclose(first.probability, 0.1)
    assert np.isclose(first.sure, 0.7)
    assert len(suspects(log_probs, [0, 0, 0, 2], most=1)) == 1


def test_several_models_are_averaged_by_their_probabilities() -> None:
    both = together([logs([0.2, 0.8]), logs([0.6, 0.4])])
    assert np.allclose(np.exp(both), [[0.4, 0.6]])
