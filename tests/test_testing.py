"""The test kit on small real plugins: good ones pass, and each broken one fails the rule that it breaks."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pytest
import torch
from torch import nn

from tlsearch import Backbone, BackboneSpec, Choice, FloatRange, Params, WeightsError
from tlsearch.errors import PluginError
from tlsearch.specs import HeadSpec
from tlsearch.testing import (
    BACKBONE_CHECKS,
    HEAD_CHECKS,
    BackboneContract,
    HeadContract,
    backbone_checks,
    check_import_is_light,
    head_checks,
)
from tlsearch_heads.linear import tlsearch_heads

WIDTH = 4


class WidthParams(Params):
    width: Annotated[int, Choice(2, 4)] = WIDTH


def block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def backbone_of(stages: Sequence[nn.Module], **changes: object) -> Backbone:
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    values = {"stages": stages, "pool": pool, "feature_dim": WIDTH, **changes}
    return Backbone(**values)  # type: ignore[arg-type]


def build(params: WidthParams, image_px: int) -> Backbone:
    return backbone_of([block(3, WIDTH), block(WIDTH, params.width)], feature_dim=params.width)


def load(backbone: Backbone, path: Path) -> None:
    try:
        state = torch.load(path, weights_only=True)
    except Exception as error:
        raise WeightsError(f"{path} holds no weights") from error
    nn.ModuleList(backbone.stages).load_state_dict(state)


SMALL = BackboneSpec(
    name="small",
    framework="torch",
    build=build,
    load=load,
    weights=[],
    image_px=32,
    min_image_px=8,
    parameters=3 * 4 * 9 + 8 + 4 * 4 * 9 + 8,
    gmacs=(3 * 4 * 9 * 16**2 + 4 * 4 * 9 * 8**2) / 1e9,
    paper="",
    license="Apache-2.0",
    params=WidthParams,
)


class Forgetful(nn.BatchNorm2d):
    """BatchNorm that stays in training mode whatever it is told."""

    def train(self, mode: bool = True) -> "Forgetful":
        super().train(True)
        return self


class InPlace(nn.Module):
    """Writes its answer over its input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.relu_()


class Pair(nn.Module):
    """Two tensors out, where one is promised."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x


class Noisy(nn.Module):
    """Another answer at every call."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand_like(x)


def with_stages(*stages: Callable[[], nn.Module]) -> BackboneSpec:
    return replace(SMALL, build=lambda params, image_px: backbone_of([make() for make in stages]))


def first() -> nn.Module:
    return block(3, WIDTH)


def second() -> nn.Module:
    return block(WIDTH, WIDTH)


def seedless(params: Params, image_px: int) -> Backbone:
    torch.manual_seed(5)
    return backbone_of([first(), second()])


def shared(params: Params, image_px: int) -> Backbone:
    again = nn.Sequential(nn.Conv2d(WIDTH, WIDTH, 1), nn.ReLU())
    return backbone_of([first(), again, again])


BROKEN_BACKBONES = {
    "features of another length": (
        replace(SMALL, build=lambda params, image_px: backbone_of([first(), second()], feature_dim=9)),
        backbone_checks.check_features_are_finite_and_shaped,
        r"expected \(2, 9\), got \(2, 4\)",
    ),
    "pooling with parameters": (
        replace(
            SMALL,
            build=lambda params, image_px: backbone_of(
                [first()],
                pool=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTH, WIDTH)),
            ),
        ),
        backbone_checks.check_features_are_finite_and_shaped,
        "20 parameters",
    ),
    "infinite at one end of a range": (
        replace(
            SMALL,
            build=lambda params, image_px: backbone_of(
                [first(), nn.Threshold(-1, 0) if params.width == WIDTH else nn.Threshold(1e9, float("inf"))]
            ),
        ),
        backbone_checks.check_builds_at_the_ends_of_its_ranges,
        "'width': 2",
    ),
    "parameters miscounted": (replace(SMALL, parameters=269), backbone_checks.check_declares_its_cost, "268"),
    "work miscounted": (replace(SMALL, gmacs=0.5), backbone_checks.check_declares_its_cost, "0.5 GMACs"),
    "stage in place": (
        with_stages(first, InPlace, lambda: nn.Conv2d(WIDTH, WIDTH, 1), InPlace),
        backbone_checks.check_can_be_cut_anywhere,
        "stage 3 overwrites its input",
    ),
    "two tensors": (with_stages(first, Pair), backbone_checks.check_can_be_cut_anywhere, "gives a tuple"),
    "noise": (with_stages(first, Noisy), backbone_checks.check_can_be_cut_anywhere, "stage 1 gives other values"),
    "statistics that move": (
        with_stages(lambda: nn.Sequential(nn.Conv2d(3, WIDTH, 3), Forgetful(WIDTH)), second),
        backbone_checks.check_frozen_stages_stay_frozen,
        "running_mean",
    ),
    "weights of two stages": (
        replace(SMALL, build=shared),
        backbone_checks.check_frozen_stages_stay_frozen,
        "2 parameters belong to two stages",
    ),
    "nothing to train": (
        with_stages(first, nn.ReLU),
        backbone_checks.check_frozen_stages_stay_frozen,
        "no parameter of the 1 trained stages",
    ),
    "own seed": (
        replace(SMALL, build=seedless),
        backbone_checks.check_same_seed_gives_the_same_network,
        "does not change the random weights",
    ),
    "load that accepts anything": (
        replace(SMALL, load=lambda backbone, path: None),
        backbone_checks.check_refuses_a_file_that_does_not_fit,
        "accepts",
    ),
    "load that raises anything": (
        replace(SMALL, load=lambda backbone, path: torch.load(path, weights_only=True)),
        backbone_checks.check_refuses_a_file_that_does_not_fit,
        "not WeightsError",
    ),
    "layer named twice": (
        replace(
            SMALL,
            build=lambda params, image_px: backbone_of([first(), second()], layer_names=[["conv"], ["conv"]]),
        ),
        backbone_checks.check_layer_names_are_unique,
        "conv",
    ),
    "stage without a name": (
        replace(SMALL, build=lambda params, image_px: backbone_of([first(), second()], layer_names=[["conv"], []])),
        backbone_checks.check_layer_names_are_unique,
        r"names \[1, 0\] layers in its 2 stages",
    ),
    "framework imported by the module": (SMALL, check_import_is_light, "loads torch"),
}


class TestSmall(BackboneContract):
    spec = SMALL

    def test_import_is_light(self) -> None:
        """This file imports torch, as a test may: the check must see it."""
        with pytest.raises(AssertionError, match="loads torch"):
            super().test_import_is_light()


class TestLinear(HeadContract):
    spec = tlsearch_heads()[0]


@pytest.mark.parametrize(("spec", "check", "said"), BROKEN_BACKBONES.values(), ids=BROKEN_BACKBONES)
def test_broken_backbone_fails_its_rule(spec: BackboneSpec, check: Callable[[BackboneSpec], None], said: str) -> None:
    with pytest.raises((AssertionError, PluginError), match=said):
        check(spec)


def head(*layers: Callable[[], nn.Module]) -> HeadSpec:
    dim, classes = head_checks.FEATURE_DIM, head_checks.CLASSES
    return HeadSpec(
        name="small",
        params=Params,
        build=lambda params, feature_dim, count: nn.Sequential(*(make() for make in layers), nn.Linear(dim, classes)),
        learning_rate=FloatRange(1e-3, 1e-1, log=True),
    )


def wrong_classes(params: Params, feature_dim: int, classes: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(feature_dim, 10))


def head_with_own_seed(params: Params, feature_dim: int, classes: int) -> nn.Sequential:
    torch.manual_seed(5)
    return nn.Sequential(nn.Linear(feature_dim, classes))


BROKEN_HEADS = {
    "classes": (replace(head(), build=wrong_classes), head_checks.check_head_gives_logits, r"got \(7, 10\)"),
    "noise": (head(Noisy), head_checks.check_head_gives_logits, "other logits"),
    "no gradient": (
        head(lambda: nn.Linear(24, 24).requires_grad_(False)),
        head_checks.check_head_learns,
        "0.weight",
    ),
    "own seed": (replace(head(), build=head_with_own_seed), head_checks.check_head_follows_the_seed, "seed"),
    "odd layer": (head(nn.Tanh), head_checks.check_head_exports_everywhere, "Tanh"),
}


@pytest.mark.parametrize(("spec", "check", "said"), BROKEN_HEADS.values(), ids=BROKEN_HEADS)
def test_broken_head_fails_its_rule(spec: HeadSpec, check: Callable[[HeadSpec], None], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check(spec)


def test_contracts_ask_every_rule() -> None:
    for contract, checks in ((BackboneContract, BACKBONE_CHECKS), (HeadContract, HEAD_CHECKS)):
        assert len([name for name in vars(contract) if name.startswith("test_")]) == len(checks)
