"""A bundle of a calibrated model: its graph gives softmax(logits / T), and its card says what that is worth."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from final_model import TEMPERATURE

from tlsearch.export.bundle import BundleReport
from tlsearch.export.facts import StudyFacts
from tlsearch.export.manifest import read_manifest
from tlsearch.export.predict_template import Classifier, describe, read_pixels
from tlsearch.host import PluginHost
from tlsearch.model import load_final
from tlsearch.stats import Calibration, calibrate

Export = Callable[..., BundleReport]


@pytest.fixture
def logits(bundle: Path, facts: StudyFacts, host: PluginHost) -> torch.Tensor:
    """Of the development pictures, from the final model before any temperature."""
    pixels = np.stack([read_pixels(facts.root / name, describe(bundle)) for name in facts.development])
    with torch.no_grad():
        found: torch.Tensor = load_final(facts.final, host).network.network(torch.from_numpy(pixels))
    return found


def calibration(temperature: float) -> Calibration:
    """What is found of a model that was drawn at a temperature."""
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(600, 3))
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)  # drawn as the softmax of the logits says
    stated = temperature * logits
    stated -= np.log(np.exp(stated).sum(axis=1, keepdims=True))
    found = calibrate(stated, labels, folds=np.arange(600) % 5)
    assert found is not None
    return found


def card_of(facts: StudyFacts, export: Export, target: Path) -> str:
    return (export(facts, target).folder / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_the_exported_graph_gives_the_softmax_of_the_logits_over_the_temperature(
    bundle: Path, facts: StudyFacts, logits: torch.Tensor
) -> None:
    answered = Classifier.open(bundle).probabilities([facts.root / name for name in facts.development])
    np.testing.assert_allclose(answered, torch.softmax(logits / TEMPERATURE, dim=1).numpy(), atol=1e-5)
    assert np.abs(answered - torch.softmax(logits, dim=1).numpy()).max() > 0.01
    assert read_manifest(bundle).temperature == TEMPERATURE


def test_the_card_shows_the_errors_with_and_without_the_temperature(
    facts: StudyFacts, export: Export, tmp_path: Path
) -> None:
    found = calibration(TEMPERATURE)
    card = card_of(replace(facts, calibration=found), export, tmp_path / "bundle")
    assert f"divided by a temperature of {TEMPERATURE}" in card
    assert f"| log loss | {found.before.log_loss:.3f} | {found.after.log_loss:.3f} |" in card
    assert "on 600 pictures, each under a temperature that was fitted on others. Prob" in card


def test_the_card_of_a_model_without_a_temperature_says_so(
    own_facts: StudyFacts, export: Export, tmp_path: Path
) -> None:
    description = own_facts.final / "final.json"
    text = description.read_text(encoding="utf-8")
    description.write_text(text.replace(f'"temperature": {TEMPERATURE}', '"temperature": 1.0'), encoding="utf-8")
    nothing_found = card_of(replace(own_facts, calibration=None), export, tmp_path / "nothing")
    assert "They are the network's own, not calibrated." in nothing_found
    assert "Brier" not in nothing_found
    no_help = replace(calibration(1.0), temperature=1.0)
    card = card_of(replace(own_facts, calibration=no_help), export, tmp_path / "no-help")
    assert "It made the log loss no smaller, so the model has none." in card


def test_a_log_loss_before_calibration_and_one_after_it_are_told_apart(
    facts: StudyFacts, export: Export, tmp_path: Path
) -> None:
    said = "The expected log loss is that before calibration; that on the holdout is after it."
    losing = replace(facts, metric="log_loss", calibration=calibration(TEMPERATURE))
    assert said in card_of(losing, export, tmp_path / "loss")
    assert said not in card_of(replace(losing, metric="accuracy"), export, tmp_path / "share")
