"""Passes: batches side by side give what one after another gives, in order, and no more are made than are needed."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import numpy as np
import pytest
import torch
from engine_world import RULES, squares
from feature_world import repeating, small
from torch import nn

from tlsearch.ahead import in_order
from tlsearch.data.pixels import PixelStore
from tlsearch.features import passes
from tlsearch.features.checks import agrees
from tlsearch.features.exporting import export_prefix
from tlsearch.features.extract import choose_pass
from tlsearch.features.passes import BATCH, EAGER, GRAPH, ONNX, Pass, eager_pass, graph_pass, onnx_pass
from tlsearch.model import Prefix

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pixels(drawn: PixelStore) -> np.ndarray:
    return squares(drawn, range(19))  # two batches of ONNX Runtime, and a part of one


def prefix(*extra: nn.Module) -> Prefix:
    backbone = small().backbone
    made = Prefix(RULES, backbone, (2, 4), pooled=True)
    made.stages[0] = nn.Sequential(*extra, made.stages[0]).eval().requires_grad_(False)
    return made


def test_results_come_in_order_whoever_is_faster() -> None:
    second_is_done = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            second_is_done.wait(timeout=10)
        if item == 1:
            second_is_done.set()
        return 10 * item

    with ThreadPoolExecutor(2) as pool:
        assert list(in_order(pool, work, range(5), ahead=2)) == [0, 10, 20, 30, 40]


def test_no_more_items_are_taken_than_may_wait() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in count():
            taken.append(item)
            yield item

    with ThreadPoolExecutor(1) as pool:
        results = in_order(pool, lambda item: item, items(), ahead=3)
        assert [next(results), next(results)] == [0, 1]
        results.close()  # type: ignore[attr-defined]
    assert len(taken) == 4


def test_an_items_error_is_raised_in_its_turn() -> None:
    with ThreadPoolExecutor(2) as pool:
        results = in_order(pool, lambda item: 6 // item, [1, 2, 0, 3], ahead=4)
        assert [next(results), next(results)] == [6, 3]
        with pytest.raises(ZeroDivisionError):
            next(results)


@pytest.mark.parametrize("threads", [1, 3])
def test_lanes_change_no_bit(pixels: np.ndarray, threads: int) -> None:
    exported = export_prefix(prefix(), pixels)
    one_by_one, side_by_side = onnx_pass(exported, 1, 32), onnx_pass(exported, threads, 32)
    assert side_by_side.lanes == threads
    for ours, theirs in zip(side_by_side(pixels), one_by_one(pixels), strict=True):
        assert len(ours) == len(pixels)
        assert ours.tobytes() == theirs.tobytes()


def test_no_more_lanes_are_open_than_memory_is_meant_for(pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    exported = export_prefix(prefix(), pixels)
    assert onnx_pass(exported, 12, 32).lanes == 12
    assert onnx_pass(exported, 64, 32).lanes == 16
    monkeypatch.setattr(passes, "LANES_BYTES", 5 * passes.LANE_BYTES * BATCH[ONNX] * 32**2)
    fewer = onnx_pass(exported, 12, 32)
    assert fewer.lanes == 4, "of three threads each"
    assert onnx_pass(exported, 12, 320).lanes == 1, "a lane of larger pictures holds more than all may"
    for ours, theirs in zip(fewer(pixels), onnx_pass(exported, 1, 32)(pixels), strict=True):
        assert agrees(ours, theirs)


def test_an_unfilled_batch_gives_what_its_pictures_give_in_a_full_one(pixels: np.ndarray) -> None:
    run = onnx_pass(export_prefix(prefix(), pixels), 2, 32)
    for alone, among in zip(run(pixels[:3]), run(pixels[:8]), strict=True):
        assert alone.tobytes() == among[:3].tobytes()


def test_fixed_buffers_hold_no_picture_of_another_batch(pixels: np.ndarray) -> None:
    run = graph_pass(prefix(), CPU, 32, capture=repeating)
    many = np.concatenate([pixels] * 14)[: BATCH[GRAPH] + 5]
    assert (run.runtime, run.lanes) == (GRAPH, 1)
    for ours, theirs in zip(run(many), eager_pass(prefix(), CPU)(many), strict=True):
        assert len(ours) == len(many)
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(run(pixels[:2]), run(many), strict=True):
        assert np.array_equal(ours, theirs[:2]), "and earlier answers stay what they were"


class Told(nn.Module):
    """Adds what it saw when it was traced: an export of it gives other values than it does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_numpy(np.full(1, x.numpy().mean(), np.float32))


class Untold(nn.Module):
    """Asks for values, which no exporter allows."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if torch.jit.is_tracing() or torch.compiler.is_exporting():
            raise TypeError("this layer is not for export")
        return x


def chosen(made: Prefix, pixels: np.ndarray) -> tuple[Pass, str]:
    found = choose_pass(made, pixels, passes=10**9, onnx_file=None, device=CPU, threads=2, deterministic=False)
    return found.run, found.note


@pytest.mark.parametrize(
    ("layer", "why"),
    [(Told(), "gave other values than PyTorch"), (Untold(), "this layer is not for export")],
    ids=["it gives other values", "it cannot be exported"],
)
@pytest.mark.full
def test_a_network_that_onnx_runtime_cannot_run_runs_in_pytorch_and_it_is_said_why(
    pixels: np.ndarray, layer: nn.Module, why: str
) -> None:
    run, note = chosen(prefix(layer), pixels)
    assert run.runtime == EAGER
    assert why in note


def test_a_network_that_runs_either_way_needs_no_explanation(pixels: np.ndarray) -> None:
    assert chosen(prefix(), pixels)[1] == ""
