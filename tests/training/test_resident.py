"""Features that stay on a device are those that would have been copied to it, and go there once a job."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from test_stacked import material

from tlsearch.training.loop import Inputs
from tlsearch.training.resident import Resident, on_device, values_for

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


def test_pictures_that_go_to_a_device_in_pieces_are_all_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tlsearch.training.resident.CHUNK", 4)
    stay = Resident(VIEWS, CPU)
    everything = np.arange(9)
    for view, values in enumerate(VIEWS):
        assert np.array_equal(stay.gather(everything, np.full(9, view), CPU).numpy(), values)


def test_all_programs_of_a_job_share_one_copy_on_a_device() -> None:
    asked: list[str] = []

    def inputs(frozen: int, augment: str) -> Any:
        asked.append(augment)
        return Inputs(views=VIEWS[: 1 if augment == "none" else 3])

    job = on_device(replace(material(), inputs=inputs, device=torch.device("meta")))
    first, second, mirrored = job.inputs(0, "none"), job.inputs(0, "none"), job.inputs(0, "flip")
    assert isinstance(first, Resident)
    assert first is second
    assert asked == ["none", "flip"]
    assert [len(values.views) for values in (first, mirrored)] == [1, 3]


def test_on_a_cpu_a_job_reads_what_the_cache_maps() -> None:
    stuff = material()
    assert on_device(stuff) is stuff


def test_what_is_too_large_for_a_device_is_copied_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, elsewhere = Inputs(views=VIEWS), torch.device("meta")
    assert isinstance(values_for(inputs, elsewhere), Resident)
    monkeypatch.setattr("tlsearch.training.resident.RESIDENT_AT_MOST", sum(view.nbytes for view in VIEWS) - 1)
    assert values_for(inputs, elsewhere) is inputs
