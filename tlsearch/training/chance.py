"""A stream of chance: what dropout keeps, step by step. On a CPU each draw is made once for all that draw alike."""

import functools
from typing import Protocol

import numpy as np
import torch

# Draws that are remembered, each with the state after it: of 32 pictures with 1 280 features one takes 10 kB. On 2 000
# pictures two chances draw so many in forty epochs.
REMEMBERED = 4096

Drawn = tuple[bytes, bytes]  # what is kept, a bit each; the stream's state afterwards


class Stream(Protocol):
    """Draws one after another; streams of one state draw the same."""

    state: bytes

    def keep(self, chance: float, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """1 with that chance, else 0: the next draw, of the caller's own."""


def stream(seed: int, device: torch.device) -> Stream:
    """What a layer of torch draws on that device after `torch.manual_seed`, on a CPU to the bit."""
    return _Remembered(seed) if device.type == "cpu" else _Fresh(seed, device)


class _Remembered:
    """On a CPU a draw takes thirty times as long as reading what it was: a linear head spends half its step on it."""

    def __init__(self, seed: int) -> None:
        self.state = _state(torch.Generator().manual_seed(seed))

    def keep(self, chance: float, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        bits, self.state = _drawn(self.state, chance, shape, dtype)
        size = torch.Size(shape).numel()
        return torch.from_numpy(np.unpackbits(np.frombuffer(bits, np.uint8), count=size)).to(dtype).view(shape)


class _Fresh:
    def __init__(self, seed: int, device: torch.device) -> None:
        self._generator = torch.Generator(device).manual_seed(seed)

    @property
    def state(self) -> bytes:
        return _state(self._generator)

    @state.setter
    def state(self, state: bytes) -> None:
        self._generator.set_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))

    def keep(self, chance: float, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        drawn = torch.empty(shape, dtype=dtype, device=self._generator.device)
        return drawn.bernoulli_(chance, generator=self._generator)


@functools.lru_cache(REMEMBERED)
def _drawn(state: bytes, chance: float, shape: tuple[int, ...], dtype: torch.dtype) -> Drawn:
    """What a stream in a state draws on a CPU."""
    drawing = _Fresh(0, torch.device("cpu"))
    drawing.state = state
    return np.packbits(drawing.keep(chance, shape, dtype).numpy() != 0).tobytes(), drawing.state


def _state(generator: torch.Generator) -> bytes:
    return generator.get_state().numpy().tobytes()
