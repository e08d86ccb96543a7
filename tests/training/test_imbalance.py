"""Answers to skewed classes: what they make of a loss, of a trained head, and of the order of pictures."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from engine_world import context_of, draw_store, recipe
from training_world import fit, open_parts

from tlsearch.training.imbalance import Objective
from tlsearch.training.recipe import Imbalance
from tlsearch.workbench.parts import Parts

LABELS = torch.tensor([0] * 8 + [1] * 2)
LOGITS = torch.tensor([[2.0, -1.0], [0.5, 0.5], [-1.0, 3.0]])
TARGETS = torch.tensor([0, 1, 0])
ANSWERS: tuple[Imbalance, ...] = ("none", "class_weights", "balanced_sampling", "logit_adjustment")


def objective(imbalance: Imbalance, labels: torch.Tensor = LABELS, **given: Any) -> Objective:
    return Objective.on(labels, **{"classes": 2, "imbalance": imbalance, "label_smoothing": 0.0, **given})


@pytest.mark.parametrize("imbalance", ["none", "balanced_sampling"])
def test_without_an_answer_in_the_loss_it_is_plain_cross_entropy(imbalance: Imbalance) -> None:
    plain = F.cross_entropy(LOGITS, TARGETS, label_smoothing=0.1, reduction="sum")
    assert torch.equal(objective(imbalance, label_smoothing=0.1).total(LOGITS, TARGETS), plain)


def test_a_class_weighs_in_inverse_proportion_to_its_pictures() -> None:
    each = F.cross_entropy(LOGITS, TARGETS, reduction="none")
    expected = each[0] * 10 / (2 * 8) + each[1] * 10 / (2 * 2) + each[2] * 10 / (2 * 8)
    assert torch.allclose(objective("class_weights").total(LOGITS, TARGETS), expected)


def test_weights_leave_the_size_of_the_loss_over_all_pictures_as_it_is() -> None:
    weights = objective("class_weights").weights
    assert weights is not None
    assert weights[LABELS].mean().item() == pytest.approx(1.0)


def test_logit_adjustment_adds_the_log_prior_of_the_training_pictures() -> None:
    prior = torch.tensor([0.8, 0.2])
    adjusted = F.cross_entropy(LOGITS + prior.log(), TARGETS, reduction="sum")
    assert torch.allclose(objective("logit_adjustment").total(LOGITS, TARGETS), adjusted)


@pytest.mark.parametrize("imbalance", ["class_weights", "logit_adjustment"])
def test_a_class_without_training_pictures_breaks_no_loss(imbalance: Imbalance) -> None:
    loss = objective(imbalance, torch.zeros(5, dtype=torch.int64)).total(LOGITS, torch.tensor([0, 0, 0]))
    assert torch.isfinite(loss)


@pytest.fixture(scope="module")
def skewed(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """The small study without most pictures of two of its three classes."""
    folder = tmp_path_factory.mktemp("skewed")
    store = draw_store(folder, seed=3)
    whole = context_of(store, folder)
    kept = [i for i in whole.development if whole.labels[i] == 0 or (i // 3) % 5 < 2]
    folds = tuple(tuple(partition[i] for i in kept) for partition in whole.folds)
    return open_parts(context_of(store, folder, development=tuple(kept), folds=folds))


@pytest.mark.parametrize("imbalance", ANSWERS[1:])
@pytest.mark.parametrize("unfrozen", [0, 1])
def test_each_answer_gives_rare_classes_a_larger_share_of_the_belief(
    skewed: Parts, imbalance: Imbalance, unfrozen: int
) -> None:
    plain = fit(skewed, recipe(unfrozen))
    answered = fit(skewed, recipe(unfrozen, imbalance=imbalance))
    rare = np.exp(answered.log_probs)[:, 1:].mean() - np.exp(plain.log_probs)[:, 1:].mean()
    assert rare > 0.02
    assert np.allclose(np.exp(answered.log_probs).sum(axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("imbalance", ANSWERS)
def test_the_same_fit_gives_the_same_bits_with_every_answer(skewed: Parts, imbalance: Imbalance) -> None:
    plan = recipe(imbalance=imbalance, epochs=2)
    assert fit(skewed, plan).equals(fit(skewed, plan))
