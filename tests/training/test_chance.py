"""Streams of chance: what dropout keeps is what torch's own layer keeps, however often it was drawn before."""

import pytest
import torch
from torch import nn

from tlsearch.training import chance
from tlsearch.training.chance import stream

CPU = torch.device("cpu")
SHAPES = [(32, 1280), (15, 1280), (3, 3), (1, 5), (32, 1280)]


def kept(seed: int, chances: list[float], dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    one = stream(seed, CPU)
    return [one.keep(chances[step % len(chances)], shape, dtype) for step, shape in enumerate(SHAPES)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("chances", [[0.8], [0.5, 0.9]])
def test_a_stream_keeps_what_torchs_dropout_keeps_also_the_second_time(chances, dtype):
    torch.manual_seed(7)
    layers = [nn.Dropout(1 - chances[step % len(chances)]) for step in range(len(SHAPES))]
    expected = [layer(torch.ones(shape, dtype=dtype)) != 0 for layer, shape in zip(layers, SHAPES, strict=True)]
    for _ in range(2):
        drawn = kept(7, chances, dtype)
        assert [one.dtype for one in drawn] == [dtype] * len(SHAPES)
        assert all(torch.equal(one != 0, other) for one, other in zip(drawn, expected, strict=True))


def test_a_draw_is_the_callers_own():
    for one in kept(3, [0.5]):
        one.fill_(2.0)
    assert all(set(one.unique().tolist()) <= {0.0, 1.0} for one in kept(3, [0.5]))


def test_a_stream_goes_on_from_the_state_it_is_given():
    first, other = stream(3, CPU), stream(4, CPU)
    first.keep(0.5, (32, 7), torch.float32)
    other.state = first.state
    again = [one.keep(0.5, (32, 7), torch.float32) for one in (first, other)]
    assert torch.equal(*again)
    assert first.state == other.state


def test_what_was_drawn_is_read_and_not_drawn_again():
    kept(11, [0.3])
    before = chance._drawn.cache_info()
    kept(11, [0.3])
    after = chance._drawn.cache_info()
    assert (after.hits - before.hits, after.misses) == (len(SHAPES), before.misses)
    assert after.maxsize == chance.REMEMBERED


def test_other_seeds_and_chances_draw_otherwise():
    assert not torch.equal(kept(1, [0.5])[0], kept(2, [0.5])[0])
    assert not torch.equal(kept(1, [0.5])[0], kept(1, [0.6])[0])
