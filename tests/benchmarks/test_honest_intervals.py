"""Whole searches on drawn feature sets: few enough for every change, and enough to see an interval that fails."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tlsearch.plugin_sources import load_file

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
WORLDS = range(40)


@pytest.mark.full
def test_corrected_intervals_hold_the_truth_of_whole_searches(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "honesty.py"), "--quick"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| all | 12 |" in done.stdout
    assert "among 20 equal configurations | of 6 searches" in done.stdout


def test_worlds_differ_as_promised_and_repeat_themselves() -> None:
    world = load_file(BENCHMARKS / "honesty_sets.py").namespace.World
    drawn = [world.of(number) for number in WORLDS]
    assert {one.groups for one in drawn} == {"none", "within", "across"}
    assert {len(one.counts) for one in drawn} == set(range(2, 9))
    assert min(sum(one.counts) for one in drawn) >= 95
    assert max(sum(one.counts) for one in drawn) <= 1600
    assert max(max(one.counts) / min(one.counts) for one in drawn) > 5
    assert {one.one_part for one in drawn} == {True, False}
    assert 5 <= min(min(one.counts) for one in drawn) < 12
    pixels, labels, groups = drawn[0].dataset()
    again, *_ = world.of(0).dataset()
    assert np.array_equal(pixels, again)
    assert np.bincount(labels).tolist() == list(drawn[0].counts)
    assert groups is not None
    assert np.ptp(np.bincount(groups)) > 0


def test_fresh_pictures_of_a_world_have_its_classes_in_their_shares() -> None:
    world = load_file(BENCHMARKS / "honesty_sets.py").namespace.World.of(1)
    pixels, labels = world.fresh(4000, 1)
    assert pixels.shape == (4000, 8, 8, 3)
    shares = np.array(world.counts) / sum(world.counts)
    assert np.bincount(labels) / 4000 == pytest.approx(shares, abs=0.03)
