from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from final_model import SMALL_NET
from safetensors.torch import load_file, save_file

from tlsearch.errors import VerificationError
from tlsearch.export.bundle import BundleReport
from tlsearch.export.facts import StudyFacts
from tlsearch.export.manifest import read_manifest, write_manifest
from tlsearch.export.verify import Pictures, check, compare
from tlsearch.host import PluginHost

Export = Callable[..., BundleReport]
PROBABILITIES = np.array([[0.6, 0.4], [0.2, 0.8], [0.5, 0.5]], np.float32)


def made_up(probabilities: np.ndarray = PROBABILITIES) -> Pictures:
    paths = tuple(Path(f"{index}.png") for index in range(len(probabilities)))
    return Pictures(part="development", paths=paths, labels=np.array([0, 1, 1]), probabilities=probabilities)


def pictures_of(facts: StudyFacts) -> Pictures:
    log_probs = np.load(facts.final / "development.npz")["log_probs"]
    paths = tuple(facts.root / name for name in facts.development)
    labels = np.array(facts.development_labels)
    return Pictures(part="development", paths=paths, labels=labels, probabilities=np.exp(log_probs))


def nudge_weights(path: Path, by: float) -> None:
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) == 4:
            values = onnx.numpy_helper.to_array(tensor)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values + np.float32(by), tensor.name))
            onnx.save(model, path)
            return


def test_equal_answers_agree_completely() -> None:
    entry = compare("model.x", made_up(), PROBABILITIES.copy())
    assert (entry.n, entry.max_dp, entry.label_agreement) == (3, 0.0, 1.0)
    assert entry.accuracy == pytest.approx(2 / 3)


def test_a_probability_beyond_the_tolerance_is_a_disagreement_with_numbers_and_files() -> None:
    found = PROBABILITIES + np.array([[0, 0], [2e-4, -2e-4], [0, 0]], np.float32)
    with pytest.raises(VerificationError, match=r"1 of 3 differ .*0\.0002.*100\.00%\): 1\.png$") as refused:
        compare("model.x", made_up(), found)
    assert refused.value.exit_code == 5


def test_another_label_is_a_disagreement_even_within_the_tolerance() -> None:
    found = PROBABILITIES + np.array([[0, 0], [0, 0], [-1e-6, 1e-6]], np.float32)
    with pytest.raises(VerificationError, match=r"2\.png"):
        compare("model.x", made_up(), found)


@pytest.mark.parametrize("found", [np.full((3, 2), np.nan, np.float32), np.zeros((3, 3)), np.zeros((2, 2))])
def test_answers_that_are_no_numbers_or_too_few_are_disagreements(found: np.ndarray) -> None:
    with pytest.raises(VerificationError):
        compare("model.x", made_up(), found)


def test_a_network_with_changed_weights_is_caught(bundle: Path, facts: StudyFacts, host: PluginHost) -> None:
    nudge_weights(bundle / "model.onnx", by=0.05)
    write_manifest(bundle, read_manifest(bundle))  # so that no sha256 gives it away
    with pytest.raises(VerificationError, match=r"model\.onnx does not give the final model's answers") as refused:
        check(bundle, host.exporter("onnx"), pictures_of(facts), final=facts.final)
    assert refused.value.exit_code == 5


def test_a_weight_that_changed_in_a_file_of_weights_alone_is_caught(
    bundle: Path, facts: StudyFacts, host: PluginHost
) -> None:
    tensors = load_file(bundle / "model.safetensors")
    bias = next(name for name, tensor in tensors.items() if name.startswith("head.") and tensor.shape == (3,))
    tensors[bias] += torch.tensor([0.5, 0.0, 0.0])
    save_file(tensors, bundle / "model.safetensors")
    with pytest.raises(VerificationError, match=r"model\.safetensors does not give the final model's answers"):
        check(bundle, host.exporter("safetensors"), pictures_of(facts), final=facts.final, plugins=[SMALL_NET])
    del tensors[bias]
    save_file(tensors, bundle / "model.safetensors")
    with pytest.raises(VerificationError, match="cannot be checked in a fresh process"):
        check(bundle, host.exporter("safetensors"), pictures_of(facts), final=facts.final, plugins=[SMALL_NET])


def test_a_picture_that_changed_since_the_run_is_named(bundle: Path, own_facts: StudyFacts, host: PluginHost) -> None:
    changed = own_facts.root / own_facts.development[1]
    changed.write_bytes((own_facts.root / own_facts.development[0]).read_bytes())
    with pytest.raises(VerificationError, match=r"1 of 8 differ.*picture 1\.jpg") as refused:
        check(bundle, host.exporter("onnx"), pictures_of(own_facts), final=own_facts.final)
    assert "changed since the run" in (refused.value.hint or "")


def test_a_file_other_than_the_described_one_is_not_even_run(bundle: Path, facts: StudyFacts, host: PluginHost) -> None:
    nudge_weights(bundle / "model.onnx", by=0.05)
    with pytest.raises(VerificationError, match="its sha256 differs"):
        check(bundle, host.exporter("onnx"), pictures_of(facts), final=facts.final)


@pytest.mark.parametrize("module", ["tlsearch", "torch", "keras"])
def test_the_check_runs_where_nothing_of_ours_can_be_imported(
    bundle: Path, facts: StudyFacts, host: PluginHost, module: str
) -> None:
    program = bundle / "predict.py"
    program.write_text(f"import {module}\n" + program.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(VerificationError, match=f"import of {module} halted"):
        check(bundle, host.exporter("onnx"), pictures_of(facts), final=facts.final)


def test_the_check_leaves_the_bundle_as_it_is(bundle: Path, facts: StudyFacts, host: PluginHost) -> None:
    before = sorted(bundle.rglob("*"))
    check(bundle, host.exporter("onnx"), pictures_of(facts), final=facts.final)
    assert sorted(bundle.rglob("*")) == before


def test_a_disagreement_on_the_development_pictures_keeps_the_holdout_closed_and_writes_nothing(
    own_facts: StudyFacts, export: Export, tmp_path: Path
) -> None:
    saved = dict(np.load(own_facts.final / "development.npz"))
    np.savez(own_facts.final / "development.npz", **{**saved, "log_probs": saved["log_probs"][::-1]})
    opened = []
    with pytest.raises(VerificationError):
        export(own_facts, tmp_path / "bundle", formats=["onnx"], open_holdout=lambda: opened.append(1))
    assert opened == []
    assert not (tmp_path / "bundle").exists()


def test_a_disagreement_on_the_holdout_writes_nothing(own_facts: StudyFacts, export: Export, tmp_path: Path) -> None:
    swapped = replace(own_facts, holdout=own_facts.holdout[::-1])
    with pytest.raises(VerificationError, match="holdout pictures"):
        export(swapped, tmp_path / "bundle", formats=["onnx"])
    assert not (tmp_path / "bundle").exists()
