"""Streams of chance: what dropout keeps, step by step. On a CPU what was drawn once is read for all who draw alike."""

from typing import Protocol

import numpy as np
import torch

# Of draws that are remembered, with the state after each: one for 32 pictures with 1 280 features takes 10 kB, so that
# there is room for what two chances draw on 2 000 pictures in fifty epochs. Beyond it a draw is made each time.
REMEMBERED_BYTES = 64_000_000


class Stream(Protocol):
    """Draws one after another; streams of one state draw the same."""

    state: bytes

    def keep(self, chance: float, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """1 with that chance, else 0: the next draw, of the caller's own."""


def stream(seed: int, device: torch.device) -> Stream:
    """A stream from a seed: on a CPU what `nn.Dropout` keeps after `torch.manual_seed`, to the bit.

    A GPU's own dropout draws in another way.
    """
    return RememberedStream(seed, REMEMBERED) if device.type == "cpu" else FreshStream(seed, device)


class FreshStream:
    """Makes each draw.

    Args:
        seed: Where it begins.
        device: Of what is drawn.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._generator = torch.Generator(device).manual_seed(seed)

    @property
    def state(self) -> bytes:
        """Where it stands."""
        return self._generator.get_state().numpy().tobytes()

    @state.setter
    def state(self, state: bytes) -> None:
        self._generator.set_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))

    def keep(self, chance: float, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """As of `Stream`."""
        drawn = torch.empty(shape, dtype=dtype, device=self._generator.device)
        return drawn.bernoulli_(chance, generator=self._generator)


class Draws:
    """What streams drew, from which states: the first of them, for the heads of a study begin with the same ones.

    (The last ones, as a cache that drops what was unused for longest keeps them, would all be gone by the time that the
    next head begins, where an epoch more is drawn than it holds.)

    Args:
        most: Bytes.
    """

    def __init__(self, most: int) -> None:
        self._room = most
        self._drawn: dict[tuple[bytes, float, tuple[int, ...], torch.dtype], tuple[bytes, bytes]] = {}

    def after(self, state: bytes, chance: float, shape: tuple[int, ...], dtype: torch.dtype) -> tuple[bytes, bytes]:
        """What a stream in a state keeps, a bit each, and its state afterwards."""
        asked = (state, chance, shape, dtype)
        if asked in self._drawn:
            return self._drawn[asked]
        drawing = FreshStream(0, torch.device("cpu"))
        drawing.state = state
        bits = np.packbits((drawing.keep(chance, shape, dtype) != 0).numpy()).tobytes()
        drawn = bits, drawing.state
        size = len(bits) + len(state)
        if size <= self._room:
            self._room -= size
            self._drawn[asked] = drawn
        return drawn


REMEMBERED = Draws(REMEMBERED_BYTES)  # of a process


class RememberedStream:
    """Reads what was drawn before: without it a linear head would spend half of its step on drawing.

    Args:
        seed: Where it begins.
        draws: Of all streams that remember together.
    """

    def __init__(self, seed: int, draws: Draws) -> None:
        self.state = FreshStream(seed, torch.device("cpu")).state
        self._draws = draws

    def keep(self, chance: float, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """As of `Stream`."""
        bits, self.state = self._draws.after(self.state, chance, shape, dtype)
        kept = np.unpackbits(np.frombuffer(bits, np.uint8), count=torch.Size(shape).numel())
        return torch.from_numpy(kept).to(dtype).view(shape)
