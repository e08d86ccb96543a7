"""Streams of chance: what dropout keeps is what torch's own layer keeps, however often it was drawn before."""

import pytest
import torch
from torch import nn

from tlsearch.training.chance import Draws, FreshStream, RememberedStream, Stream, stream
from tlsearch.training.stacked_batch import Present
from tlsearch.training.stacked_dropout import StackedDropout

CPU = torch.device("cpu")
SHAPES = [(32, 1280), (15, 1280), (3, 3), (1, 5), (0, 4), (32, 1280)]
MUCH = 10_000_000


def kept(one: Stream, chances: list[float], dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    return [one.keep(chances[step % len(chances)], shape, dtype) for step, shape in enumerate(SHAPES)]


def same(some: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    return all(torch.equal(one, other) for one, other in zip(some, others, strict=True))


@pytest.mark.parametrize("room", [0, 8_000, MUCH], ids=["nothing is kept", "the first draw is kept", "all are kept"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("chances", [[0.8], [0.5, 0.9]])
def test_a_stream_keeps_what_torchs_dropout_keeps_also_the_second_time(
    chances: list[float], dtype: torch.dtype, room: int
) -> None:
    torch.manual_seed(7)
    layers = [nn.Dropout(1 - chances[step % len(chances)]) for step in range(len(SHAPES))]
    expected = [
        (layer(torch.ones(shape, dtype=dtype)) != 0).to(dtype) for layer, shape in zip(layers, SHAPES, strict=True)
    ]
    draws = Draws(room)
    assert all(same(kept(RememberedStream(7, draws), chances, dtype), expected) for _ in range(3))
    assert same(kept(FreshStream(7, CPU), chances, dtype), expected)


def test_what_was_drawn_is_read_as_long_as_there_was_room_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, ...]] = []
    keep = FreshStream.keep

    def counted(self: FreshStream, chance: float, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        drawn.append(shape)
        return keep(self, chance, shape, dtype)

    monkeypatch.setattr(FreshStream, "keep", counted)
    every, first = Draws(MUCH), Draws(8_000 + 2_500)  # a state takes 5 kB
    for draws, again in ((every, []), (first, SHAPES[1:])):
        kept(RememberedStream(3, draws), [0.5])
        drawn.clear()
        kept(RememberedStream(3, draws), [0.5])
        assert drawn == again


def test_a_draw_is_the_callers_own() -> None:
    draws = Draws(MUCH)
    for one in kept(RememberedStream(3, draws), [0.5]):
        one.fill_(2.0)
    assert all(set(one.unique().tolist()) <= {0.0, 1.0} for one in kept(RememberedStream(3, draws), [0.5]))


@pytest.mark.parametrize("make", [lambda seed: stream(seed, CPU), lambda seed: FreshStream(seed, CPU)])
def test_a_stream_goes_on_from_the_state_it_is_given(make) -> None:
    first, other = make(3), make(4)
    first.keep(0.5, (32, 7), torch.float32)
    other.state = first.state
    assert same(*([one.keep(0.5, (32, 7), torch.float32)] for one in (first, other)))
    assert first.state == other.state


def test_other_seeds_and_chances_draw_otherwise_and_torchs_own_stream_stays_where_it_is() -> None:
    before = torch.get_rng_state()
    draws = Draws(MUCH)
    ways = ((1, 0.5), (2, 0.5), (1, 0.6))
    plain, seed, chance = (kept(RememberedStream(number, draws), [likely])[0] for number, likely in ways)
    assert not torch.equal(plain, seed)
    assert not torch.equal(plain, chance)
    assert torch.equal(torch.get_rng_state(), before)


def test_folds_of_uneven_batches_drop_what_each_drops_alone_also_the_second_time() -> None:
    x = torch.ones(2, 1, 4, 300)
    steps = [None, [4, 3], None, [3, 4], None]
    alone = [[], []]
    for fold in range(2):
        torch.manual_seed(5)
        layer = nn.Dropout(0.4)
        for lengths in steps:
            alone[fold].append(layer(torch.ones(4 if lengths is None else lengths[fold], 300)))
    for _ in range(2):
        drop = StackedDropout(5, 2, CPU)
        for step, lengths in enumerate(steps):
            mask = torch.ones(2, 4)  # which dropout does not look at
            factors = drop.factors(0.4, x, None if lengths is None else Present(lengths=lengths, mask=mask))
            for fold, values in enumerate((x * factors)[:, 0]):
                torch.testing.assert_close(values[: len(alone[fold][step])], alone[fold][step])
