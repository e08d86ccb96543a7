"""A Keras network's steps as torch operations: the same map and the same gradients as Keras's own layers give."""

import copy
import os

import pytest
import torch
from torch import nn

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
from keras import layers

from tlsearch import Params
from tlsearch_backbones.keras_mobilenet import build
from tlsearch_backbones.keras_stages import KerasStage
from tlsearch_backbones.keras_training import TrainingForm

STEM, PLAIN, RESIDUAL, STRIDED, LAST = 0, 1, 3, 4, 18  # stages of MobileNetV2


@pytest.fixture(scope="module")
def stages() -> list[nn.Module]:
    torch.manual_seed(3)
    stages = list(build(Params(), 64).stages)
    for name, value in nn.ModuleList(stages).named_parameters():
        if not name.endswith("kernel"):  # as pretraining leaves them: no identity
            nn.init.uniform_(value.data, 0.5, 1.5)
    return stages


def map_for(stage: nn.Module, pictures: int = 3) -> torch.Tensor:
    _, height, width, channels = stage.keras_model.input_shape
    torch.manual_seed(4)
    x = torch.randn(pictures, height, width, channels)
    return x.permute(0, 3, 1, 2) if stage.takes_nchw else x


def trained(stage: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """The map, and the gradients of the input and of every trained weight."""
    weights = [p for p in stage.parameters() if p.requires_grad]
    x = x.clone().requires_grad_()
    y = stage.eval()(x)
    torch.manual_seed(5)
    return [y.detach(), *torch.autograd.grad((y * torch.randn_like(y)).mean(), [x, *weights])]


def by_keras(stage: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    class Whole(KerasStage):
        def _is_trained(self) -> bool:
            return False

    return trained(Whole(stage.keras_model, takes_nchw=stage.takes_nchw), x)


@pytest.mark.parametrize("index", [STEM, PLAIN, RESIDUAL, STRIDED, LAST])
def test_a_step_gives_the_map_and_the_gradients_of_keras_s_own_layers(stages: list[nn.Module], index: int) -> None:
    stage = stages[index]
    assert TrainingForm.of(stage.keras_model) is not None
    x = map_for(stage)
    for ours, theirs in zip(trained(stage, x), by_keras(stage, x), strict=True):
        assert float((ours - theirs).norm()) <= 1e-5 * float(theirs.norm())


def test_what_needs_no_gradient_is_keras_s_own_answer_to_the_bit(stages: list[nn.Module]) -> None:
    stage = stages[RESIDUAL].eval()
    x = map_for(stage)
    with torch.no_grad():
        assert torch.equal(stage(x), stage.keras_model(x, training=False))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's, as it copies variables
def test_a_copy_trains_weights_of_its_own(stages: list[nn.Module]) -> None:
    stage = stages[LAST]
    x = map_for(stage)
    trained(stage, x)  # so that the steps are there to be copied
    twin = copy.deepcopy(stage)
    with torch.no_grad():
        for weight in twin.parameters():
            weight.mul_(2.0)
    changed, expected = trained(twin, x), by_keras(twin, x)
    assert float((changed[0] - expected[0]).norm()) <= 1e-5 * float(expected[0].norm())
    assert not torch.equal(changed[0], trained(stage, x)[0])


def network(*made: layers.Layer) -> KerasStage:
    start = keras.Input((8, 8, 3))
    x = start
    for layer in made:
        x = layer(x)
    return KerasStage(keras.Model(start, x))


@pytest.mark.parametrize(
    "stage",
    [
        network(layers.Conv2D(4, 3, activation="gelu")),
        network(layers.Conv2D(4, 3), layers.LeakyReLU()),
        network(layers.Conv2D(4, 3), layers.ReLU(negative_slope=0.1)),
        network(layers.Conv2DTranspose(4, 3), layers.ReLU()),
    ],
    ids=["activation inside", "another activation", "leaky", "transposed"],
)
def test_a_network_with_layers_that_are_not_known_here_is_trained_by_keras(stage: KerasStage) -> None:
    assert TrainingForm.of(stage.keras_model) is None
    x = map_for(stage)
    assert all(map(torch.equal, trained(stage, x), by_keras(stage, x)))


def test_a_convolution_that_two_layers_read_keeps_its_own_output() -> None:
    start = keras.Input((8, 8, 3))
    map_ = layers.Conv2D(4, 3, strides=2, padding="same")(start)
    stage = KerasStage(keras.Model(start, layers.Add()([layers.BatchNormalization()(map_), map_])))
    for name, value in stage.named_parameters():
        if not name.endswith("kernel"):
            nn.init.uniform_(value.data, 0.5, 1.5)
    assert TrainingForm.of(stage.keras_model) is not None
    x = map_for(stage)
    for ours, theirs in zip(trained(stage, x), by_keras(stage, x), strict=True):
        assert float((ours - theirs).norm()) <= 1e-5 * float(theirs.norm())
