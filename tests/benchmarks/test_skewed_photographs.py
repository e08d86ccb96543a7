"""The benchmark of skewed classes: which photographs it deals, and how sure it says that it is."""

from collections import Counter
from pathlib import Path

import pytest
from scipy.stats import t, ttest_1samp

import imbalance
from tlsearch import Dataset
from tlsearch.host import PluginHost

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def dealt(folder: Path, draw: int) -> Dataset:
    spec = PluginHost.load(files=[BENCHMARKS / "thinned_solar.py"]).dataset("thinned_solar")
    return spec.load(spec.options(draw=draw), folder)


def test_a_thousand_functional_and_a_hundred_defective_cells_are_learned_from(tmp_path: Path) -> None:
    images = dealt(tmp_path, 0).images
    assert Counter((image.part, image.label) for image in images) == {
        ("train", 0): 1000,
        ("train", 1): 100,
        ("test", 0): 500,
        ("test", 1): 500,
    }
    assert len({image.path for image in images}) == len(images), "no cell is learned from and tested on"


def test_a_draw_is_the_same_again_and_another_one_is_another(tmp_path: Path) -> None:
    assert dealt(tmp_path, 3).images == dealt(tmp_path, 3).images
    learned = [{image.path for image in dealt(tmp_path, draw).images if image.part == "train"} for draw in (0, 1)]
    assert len(learned[0] & learned[1]) < 900


def test_an_interval_over_seeds_is_students() -> None:
    values = [0.07, 0.11, 0.05, 0.09, 0.12, 0.08, 0.1, 0.06, 0.09, 0.07]
    expected = ttest_1samp(values, 0.0).confidence_interval(0.95)
    value, low, high = imbalance.interval(values)
    assert value == pytest.approx(0.084)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-5)
    assert {n: pytest.approx(t.ppf(0.975, n), abs=1e-3) for n in imbalance.T_95} == imbalance.T_95


def test_accuracy_is_that_of_the_world_that_was_learned_from() -> None:
    one = imbalance.Scored(recalls=(0.88, 0.66), imbalance="none")
    assert one.balanced == pytest.approx(0.77)
    assert one.plain == pytest.approx(0.86)
