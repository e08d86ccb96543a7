"""From what a recipe says to a cut: depths and layers' names."""

import engine_nets
import pytest
from torch import nn

from tlsearch import Backbone, Params
from tlsearch.errors import UnknownNameError
from tlsearch.freezing import frozen_stages, layer_names

SMALL = engine_nets.build(Params(), 32)


@pytest.mark.parametrize(("unfrozen", "frozen"), [(0, 4), (1, 3), (4, 0), (9, 0), (None, 0)])
def test_unfrozen_stages_are_counted_from_the_head(unfrozen: int | None, frozen: int) -> None:
    assert frozen_stages(SMALL, unfrozen=unfrozen, freeze_until=None) == frozen


@pytest.mark.parametrize(
    ("layer", "frozen"),
    [("block_0_conv", 0), ("block_1_bn", 1), ("block_1_drop", 2), ("block_2_conv", 2), ("block_3_drop", 4)],
)
def test_a_layer_inside_a_stage_cuts_before_it_and_the_last_one_after(layer: str, frozen: int) -> None:
    assert frozen_stages(SMALL, unfrozen=0, freeze_until=layer) == frozen


def test_an_unknown_layer_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="no such layer; did you mean 'block_2_conv'"):
        frozen_stages(SMALL, unfrozen=None, freeze_until="block_2_conf")


def test_a_layer_like_no_other_is_refused_with_the_range_of_names() -> None:
    with pytest.raises(UnknownNameError) as caught:
        frozen_stages(SMALL, unfrozen=None, freeze_until="???")
    assert caught.value.hint == "its layers run from 'block_0_conv' to 'block_3_drop'"


@pytest.mark.parametrize(
    ("layer", "frozen"),
    [
        ("0", 1),  # a whole stage
        ("1", 2),
        ("1.conv", 1),  # a part with more behind it
        ("1.tail", 2),  # the last part
        ("1.tail.0", 1),
        ("1.tail.1", 2),  # its last layer
    ],
)
def test_without_names_of_its_own_a_backbone_goes_by_its_module_tree(layer: str, frozen: int) -> None:
    tail = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU())
    block = nn.Sequential()
    block.add_module("conv", nn.Conv2d(3, 4, 1))
    block.add_module("tail", tail)
    backbone = Backbone(stages=[nn.Conv2d(3, 3, 1), block], pool=nn.Flatten(), feature_dim=4)
    assert layer_names(backbone) == [["0"], ["1", "1.conv", "1.tail", "1.tail.0", "1.tail.1"]]
    assert frozen_stages(backbone, unfrozen=None, freeze_until=layer) == frozen


def test_a_name_that_begins_like_another_is_not_a_part_of_it() -> None:
    backbone = Backbone(stages=[nn.ReLU()], pool=nn.Flatten(), feature_dim=1, layer_names=[["conv", "conv_bn"]])
    assert frozen_stages(backbone, unfrozen=None, freeze_until="conv") == 0
