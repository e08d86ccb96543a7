"""The two built-in heads: what they build, and what their parameters accept."""

import json

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from tlsearch import Choice, HeadSpec, IntRange
from tlsearch.params import ranges_of
from tlsearch_heads.linear import LinearParams
from tlsearch_heads.linear import build as build_linear
from tlsearch_heads.linear import tlsearch_heads as linear_heads
from tlsearch_heads.mlp import MlpParams
from tlsearch_heads.mlp import build as build_mlp
from tlsearch_heads.mlp import tlsearch_heads as mlp_heads


def widths(head: nn.Sequential) -> list[tuple[int, int]]:
    return [(m.in_features, m.out_features) for m in head if isinstance(m, nn.Linear)]


@pytest.mark.parametrize("spec", [*linear_heads(), *mlp_heads()], ids=lambda spec: spec.name)
def test_a_default_head_learns_to_tell_separable_classes_apart(spec: HeadSpec) -> None:
    torch.manual_seed(0)
    head = spec.build(spec.params(), 8, 3)
    labels = torch.arange(60) % 3
    features = torch.eye(8)[labels] + 0.1 * torch.randn(60, 8)
    optimizer = torch.optim.AdamW(head.parameters(), lr=spec.learning_rate.high)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(head(features), labels).backward()
        optimizer.step()
    logits = head.eval()(features)
    assert logits.shape == (60, 3)
    assert torch.equal(logits.argmax(dim=1), labels)


@pytest.mark.parametrize("spec", [*linear_heads(), *mlp_heads()], ids=lambda spec: spec.name)
def test_heads_are_made_of_what_every_format_can_carry(spec: HeadSpec) -> None:
    assert {type(module) for module in spec.build(spec.params(), 8, 3)} <= {nn.Linear, nn.ReLU, nn.Dropout}


def test_one_size_is_repeated_for_every_layer() -> None:
    assert widths(build_mlp(MlpParams(layers=3, hidden=64), 1280, 5)) == [(1280, 64), (64, 64), (64, 64), (64, 5)]


def test_a_list_gives_each_layers_size_and_overrides_the_number_of_layers() -> None:
    params = MlpParams.model_validate(json.loads('{"layers": 1, "hidden": [1024, 1024, 512]}'))
    assert params.hidden == (1024, 1024, 512)
    assert widths(build_mlp(params, 1280, 5)) == [(1280, 1024), (1024, 1024), (1024, 512), (512, 5)]
    assert MlpParams.model_validate_json(params.model_dump_json()) == params


def test_dropout_lies_before_the_linear_layer_and_after_each_hidden_one() -> None:
    assert [type(m) for m in build_linear(LinearParams(dropout=0.5), 8, 3)] == [nn.Dropout, nn.Linear]
    mlp = build_mlp(MlpParams(dropout=0.5), 8, 3)
    assert [type(m) for m in mlp] == [nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]
    assert isinstance(mlp[2], nn.Dropout)
    assert mlp[2].p == 0.5


def test_searched_parameters_have_their_ranges() -> None:
    assert ranges_of(LinearParams) == {"dropout": Choice(0.0, 0.2, 0.5, strict=False)}
    assert ranges_of(MlpParams) == {
        "layers": IntRange(1, 3),
        "hidden": Choice(64, 128, 256, 512, strict=False),
        "dropout": Choice(0.0, 0.2, 0.5, strict=False),
    }


@pytest.mark.parametrize(
    "wrong",
    [{"hidden": 0}, {"hidden": []}, {"hidden": [64, -1]}, {"layers": 4}, {"dropout": 1.0}, {"hiden": 64}],
    ids=str,
)
def test_sizes_and_rates_that_make_no_network_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MlpParams.model_validate(wrong)
