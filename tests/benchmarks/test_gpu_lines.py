"""What the GPU benchmark counts and tells."""

import pytest
import torch
from torch import nn

from gpu import Extraction, dry, least_bytes
from gpu_rows import MANY, WALL, promised, rates, walls
from peers_processes import Timed


def timed(seconds: float, trial_s: float) -> Timed:
    return Timed(seconds=seconds, measured=seconds, last_trial_s=seconds, best=1.0, curve=[], trial_s=trial_s)


def test_a_pass_reads_and_writes_both_sides_of_every_convolution_and_its_weights() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 2, bias=False), nn.ReLU(), nn.Conv2d(4, 1, 1))
    pixels = torch.zeros(2, 3, 5, 5)
    first, second = 2 * 4 * 4 * 4, 2 * 1 * 4 * 4
    numbers = pixels.numel() + (pixels.numel() + first + 4 * 3 * 4) + (first + second + 4 + 1)
    assert least_bytes(network, pixels) == 4 * numbers


def test_trials_a_second_and_whole_commands_are_held_against_each_peer() -> None:
    times = {"B1": timed(900.0, 4.0), "B2": timed(30.0, 0.2), "tlsearch": timed(3.0, 0.001)}
    assert [figure.measured for figure in rates(times)] == pytest.approx([4000, 200])
    assert [figure.measured for figure in walls(times)] == pytest.approx([300, 10])
    assert [one.row for one in promised()[:4]] == [one.row for one in (*rates(times), *walls(times))]


def test_extraction_is_told_as_a_share_of_its_bound() -> None:
    figure = Extraction(rate=30.0, bound=40.0, bandwidth=1e9).figure()
    assert figure.line().endswith("(30 of 40 pictures a second, 1 GB/s) | 60: met | 90: **missed** |")


def test_a_dry_run_has_everyone_that_the_comparison_has() -> None:
    for row in (MANY, WALL):
        assert dry(row).contenders.keys() == row.contenders.keys()
        assert dry(row).trials < row.trials
