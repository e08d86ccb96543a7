import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from final_model import make_facts

from tlsearch.export.bundle import BundleReport, export_best
from tlsearch.export.facts import StudyFacts
from tlsearch.export.predict_template import describe, read_pixels
from tlsearch.host import PluginHost

KERAS_ALONE = """
import sys
sys.modules["tlsearch"] = None
import keras, numpy
model = keras.models.load_model(sys.argv[1], compile=False, safe_mode=True)
numpy.save(sys.argv[3], model.predict_on_batch(numpy.load(sys.argv[2])))
"""


@pytest.fixture(scope="module")
def keras_facts(tmp_path_factory: pytest.TempPathFactory) -> StudyFacts:
    folder = tmp_path_factory.mktemp("keras")
    return make_facts(folder, PluginHost.load(), backbone="mobilenet_v2_keras", image_px=64)


@pytest.fixture(scope="module")
def keras_report(keras_facts: StudyFacts) -> BundleReport:
    """MobileNetV2 in every format, each proven in fresh processes."""
    target = keras_facts.root.parent / "bundle"
    return export_best(keras_facts, target, host=PluginHost.load(), open_holdout=lambda: None)


def test_a_keras_backbone_has_every_format(keras_report: BundleReport) -> None:
    assert keras_report.left_out == ()
    proven = {entry.file: entry for entry in keras_report.manifest.checks}
    assert set(proven) == {"model.onnx", "model.keras", "model.safetensors"}
    for entry in proven.values():
        assert entry.n == 8
        assert entry.max_dp <= 1e-4
        assert entry.label_agreement == 1.0


def test_the_keras_file_answers_where_tlsearch_cannot_be_imported(
    keras_report: BundleReport, keras_facts: StudyFacts, tmp_path: Path
) -> None:
    bundle = keras_report.folder
    paths = [keras_facts.root / name for name in keras_facts.development]
    np.save(tmp_path / "pixels.npy", np.stack([read_pixels(path, describe(bundle)) for path in paths]))
    given = [str(bundle / "model.keras"), str(tmp_path / "pixels.npy"), str(tmp_path / "found.npy")]
    subprocess.run(
        [sys.executable, "-I", "-c", KERAS_ALONE, *given], check=True, env={**os.environ, "KERAS_BACKEND": "torch"}
    )
    measured = np.exp(np.load(keras_facts.final / "development.npz")["log_probs"])
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), measured, atol=1e-4)


def test_no_file_of_a_bundle_holds_a_pickle(keras_report: BundleReport) -> None:
    with zipfile.ZipFile(keras_report.folder / "model.keras") as archive:
        assert set(archive.namelist()) == {"metadata.json", "config.json", "model.weights.h5"}
    assert {path.suffix for path in keras_report.folder.iterdir()} == {
        ".json",
        ".keras",
        ".md",
        ".onnx",
        ".py",
        ".safetensors",
    }
