import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors import safe_open
from torch import nn

os.environ.setdefault("KERAS_BACKEND", "torch")

from tlsearch import Backbone, ExportableModel, Preprocessing
from tlsearch_exporters import keras as keras_format
from tlsearch_exporters import onnx as onnx_format
from tlsearch_exporters import safetensors as safetensors_format

CLASSES = ("a", "ü\n", "<c>")
PLAIN = Preprocessing(value_range=(-1.0, 1.0))
ODD = Preprocessing(value_range=(0.0, 1.0), mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3), channels="bgr")


class Whole(nn.Module):
    """The network that the parts of an ExportableModel stand for, written out."""

    def __init__(
        self, backbone: Backbone, head: nn.Sequential, preprocessing: Preprocessing, temperature: float
    ) -> None:
        super().__init__()
        self.stages, self.pool, self.head = nn.ModuleList(backbone.stages), backbone.pool, head
        self.preprocessing, self.temperature = preprocessing, temperature

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        low, high = self.preprocessing.value_range
        x = pixels.float() / 255 * (high - low) + low
        x = x.flip(-1) if self.preprocessing.channels == "bgr" else x
        x = ((x - torch.tensor(self.preprocessing.mean)) / torch.tensor(self.preprocessing.std)).permute(0, 3, 1, 2)
        for stage in self.stages:
            x = stage(x)
        return torch.softmax(self.head(self.pool(x)) / self.temperature, dim=1)


class KerasPiece(nn.Module):
    def __init__(self, keras_model: Any, *, first: bool) -> None:
        super().__init__()
        self.keras_model, self.first = keras_model, first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.keras_model(x.permute(0, 2, 3, 1) if self.first else x, training=False)
        return answer


class Pooled(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.amax(dim=(1, 2)) if self.kind == "max" else x.mean(dim=(1, 2))


def every_layer() -> nn.Sequential:
    torch.manual_seed(5)
    head = nn.Sequential(
        nn.Linear(6, 8, bias=False),
        nn.BatchNorm1d(8, eps=1e-3),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(8, 5),
        nn.GELU(),
        nn.BatchNorm1d(5, affine=False),
        nn.Linear(5, 3),
    )
    with torch.no_grad():
        head[0].weight.mul_(20.0)  # so that the answers differ between pictures
    for norm in (head[1], head[6]):
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
    return head


def model_of(
    framework: str,
    *,
    preprocessing: Preprocessing = PLAIN,
    temperature: float = 1.0,
    pool: str = "mean",
    head: nn.Sequential | None = None,
) -> ExportableModel:
    torch.manual_seed(3)
    backbone = keras_backbone(pool) if framework == "keras" else torch_backbone()
    head = head or nn.Sequential(nn.Linear(6, 3))
    network = Whole(backbone, head, preprocessing, temperature).eval()
    return ExportableModel(
        network=network,
        backbone=backbone,
        head=head,
        pools=True,
        framework=framework,
        preprocessing=preprocessing,
        temperature=temperature,
        image_px=24,
        classes=CLASSES,
    )


def torch_backbone() -> Backbone:
    stages = (
        nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU()),
        nn.Sequential(nn.Conv2d(4, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU6()),
    )
    return Backbone(stages=stages, pool=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), feature_dim=6)


def keras_backbone(pool: str) -> Backbone:
    import keras

    keras.utils.set_random_seed(3)
    layers = keras.layers
    with keras.device("cpu"):
        pixels = keras.Input((24, 24, 3))
        cut = layers.BatchNormalization()(layers.Conv2D(4, 3, strides=2, padding="same")(pixels))
        end = layers.ReLU(6.0)(layers.Conv2D(6, 3, strides=2, padding="same")(cut))
        models = (keras.Model(pixels, cut), keras.Model(cut, end))
    stages = tuple(KerasPiece(model, first=index == 0) for index, model in enumerate(models))
    return Backbone(stages=stages, pool=Pooled(pool), feature_dim=6)


def some_pixels(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, 24, 24, 3), dtype=np.uint8)


def answers(model: ExportableModel, pixels: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        found: np.ndarray = model.network(torch.from_numpy(pixels)).numpy()
    assert found.std(axis=0).max() > 1e-3, "the pictures must matter, or agreement shows nothing"
    return found


@pytest.mark.parametrize("framework", ["torch", "keras"])
def test_onnx_answers_alike_for_any_number_of_pictures_and_carries_the_classes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], framework: str
) -> None:
    model = model_of(framework, preprocessing=ODD, temperature=1.5, head=every_layer())
    assert onnx_format.refuses(model) is None
    onnx_format.export(model, tmp_path / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    predict = onnx_format.load(tmp_path / "model.onnx")
    for n in (2, 7):
        np.testing.assert_allclose(predict(some_pixels(n)), answers(model, some_pixels(n)), atol=1e-5)
    assert predict(some_pixels(1)).shape == (1, 3)
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == list(CLASSES)
    assert capfd.readouterr() == ("", "")


def test_safetensors_carry_every_weight_and_what_is_needed_to_use_them(tmp_path: Path) -> None:
    model = model_of("torch", preprocessing=ODD, head=every_layer())
    safetensors_format.export(model, tmp_path / "model.safetensors")
    modules = nn.ModuleDict({"stages": nn.ModuleList(model.backbone.stages), "head": model.head})
    expected = modules.state_dict()
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        assert set(file.keys()) == set(expected)
        for name in file.keys():  # noqa: SIM118 - it is no mapping
            assert torch.equal(file.get_tensor(name), expected[name])
        assert json.loads(file.metadata()["classes"]) == list(CLASSES)
        assert json.loads(file.metadata()["preprocessing"])["channels"] == "bgr"


@pytest.mark.parametrize(
    ("preprocessing", "temperature", "pool"), [(PLAIN, 1.0, "mean"), (ODD, 1.0, "max"), (ODD, 2.5, "mean")]
)
def test_keras_layers_answer_as_the_network_does(
    tmp_path: Path, preprocessing: Preprocessing, temperature: float, pool: str
) -> None:
    head = every_layer()
    model = model_of("keras", preprocessing=preprocessing, temperature=temperature, pool=pool, head=head)
    assert keras_format.refuses(model) is None
    keras_format.export(model, tmp_path / "model.keras")
    found = keras_format.load(tmp_path / "model.keras")(some_pixels(5))
    np.testing.assert_allclose(found, answers(model, some_pixels(5)), atol=1e-5)


def test_exporting_to_keras_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    model = model_of("keras", head=every_layer())
    before = answers(model, some_pixels(4))
    keras_format.export(model, tmp_path / "a.keras")
    keras_format.export(model, tmp_path / "b.keras")
    assert np.array_equal(answers(model, some_pixels(4)), before)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (nn.Tanh(), "Tanh"),
        (nn.GELU(approximate="tanh"), "GELU"),
        (nn.BatchNorm1d(6, track_running_stats=False), "BatchNorm1d"),
    ],
)
def test_keras_refuses_a_head_that_has_no_counterpart_and_names_the_layer(layer: nn.Module, words: str) -> None:
    reason = keras_format.refuses(model_of("keras", head=nn.Sequential(layer, nn.Linear(6, 3))))
    assert reason is not None
    assert words in reason


def test_keras_refuses_other_backbones_pools_and_map_heads_with_the_reason() -> None:
    model = model_of("keras")
    flat = replace(model, backbone=replace(model.backbone, pool=nn.Flatten()))
    foreign = replace(model, backbone=replace(model.backbone, stages=(nn.Identity(),)))
    reasons = {
        "PyTorch network": model_of("torch"),
        "its pooling, Flatten": flat,
        "stage 0 of its backbone is a Identity": foreign,
        "unpooled map": replace(model, pools=False),
    }
    for words, refused in reasons.items():
        assert words in (keras_format.refuses(refused) or "")


def test_importing_the_exporters_loads_no_framework() -> None:
    code = (
        "import sys, tlsearch_exporters.onnx, tlsearch_exporters.keras, tlsearch_exporters.safetensors;"
        "print(sorted({'torch', 'keras', 'onnx', 'onnxruntime', 'safetensors'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
