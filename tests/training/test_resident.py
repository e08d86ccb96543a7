"""Features that stay on a device are those that would have been copied to it."""

import numpy as np
import pytest
import torch

from tlsearch.training.loop import Inputs
from tlsearch.training.resident import Resident, values_for

CPU = torch.device("cpu")
RNG = np.random.default_rng(1)
VIEWS = [RNG.normal(size=(9, 4)).astype(np.float32) for _ in range(3)]
ROWS = np.array([4, 0, 8, 4])


@pytest.mark.parametrize("shown", [None, np.array([2, 0, 1, 1])], ids=["plain", "in views"])
@pytest.mark.parametrize("count", [1, 3])
def test_what_stays_is_what_would_be_copied(count: int, shown: np.ndarray | None) -> None:
    views = VIEWS[:count]
    expected = Inputs(views=views).gather(ROWS, shown, CPU)
    assert torch.equal(Resident(views, CPU).gather(ROWS, shown, CPU), expected)


def test_a_cpu_reads_what_the_cache_maps() -> None:
    inputs = Inputs(views=VIEWS)
    assert values_for(inputs, CPU) is inputs


def test_what_is_too_large_for_a_device_is_copied_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, elsewhere = Inputs(views=VIEWS), torch.device("meta")
    assert isinstance(values_for(inputs, elsewhere), Resident)
    monkeypatch.setattr("tlsearch.training.resident.RESIDENT_AT_MOST", sum(view.nbytes for view in VIEWS) - 1)
    assert values_for(inputs, elsewhere) is inputs
