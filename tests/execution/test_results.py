"""Result lines: what is whole is read, what is torn is not, and a value survives the journey."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tlsearch.execution.codec import checked, event_from_json, event_to_json, pack_array, unpack_array
from tlsearch.execution.results import ResultWriter, read_results
from tlsearch.records import EpochRecord, FailureReason, ModelFacts, TrialState
from tlsearch.work import JobKind, Progress, RowResult

FACTS = ModelFacts(
    unfrozen=2, stages=19, cut="block_14", parameters=10, trained_parameters=4, macs=100, trained_macs=30
)


def completed(trial: int) -> RowResult:
    log_probs = np.random.default_rng(trial).normal(size=(5, 3)).astype(np.float32)
    log_probs[4] = np.nan  # a picture that no fold predicted
    return RowResult(
        job="j1", kind=JobKind.TRIALS, trial=trial, attempt=2, state=TrialState.COMPLETED, score=0.8, repeat=0,
        fold_scores=(0.7, 0.9), rung_score=0.6, log_probs=log_probs, facts=FACTS, seconds=1.25, probe_seconds=0.5,
        extras={"cache": {"hits": 3}},
    )  # fmt: skip


def failed(trial: int) -> RowResult:
    return RowResult(
        job="j1", kind=JobKind.TRIALS, trial=trial, attempt=1, state=TrialState.FAILED,
        reason=FailureReason.EXCEPTION, detail="a line\nbreak, a lone surrogate \udc80 and a NUL \0",
    )  # fmt: skip


def assert_same(one: RowResult, other: RowResult) -> None:
    assert replace(one, log_probs=None) == replace(other, log_probs=None)
    np.testing.assert_equal(one.log_probs, other.log_probs)


def test_results_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "results" / "j1.jsonl"
    with ResultWriter(path) as writer:
        for result in (completed(0), failed(1)):
            writer.append(result)
    first, second = read_results(path)
    assert_same(first, completed(0))
    assert_same(second, failed(1))
    assert first.log_probs is not None
    assert first.log_probs.dtype == np.float32


def test_no_file_means_no_result(tmp_path: Path) -> None:
    assert read_results(tmp_path / "none.jsonl") == []


def test_a_line_that_is_torn_anywhere_is_as_if_never_written(tmp_path: Path) -> None:
    path = tmp_path / "j1.jsonl"
    with ResultWriter(path) as writer:
        writer.append(failed(0))
        whole = path.stat().st_size
        writer.append(failed(1))
    data = path.read_bytes()
    for end in range(whole, len(data)):
        path.write_bytes(data[:end])
        assert [result.trial for result in read_results(path)] == [0]


@pytest.mark.parametrize("position", [0, 3, 20, 80, 200])
def test_a_line_with_a_flipped_bit_is_not_read_and_its_neighbours_are(tmp_path: Path, position: int) -> None:
    path = tmp_path / "j1.jsonl"
    with ResultWriter(path) as writer:
        for trial in range(3):
            writer.append(failed(trial))
    data = bytearray(path.read_bytes())
    data[data.index(b"\n") + 1 + position] ^= 1
    path.write_bytes(data)
    assert [result.trial for result in read_results(path)] == [0, 2]


def test_a_writer_continues_after_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "j1.jsonl"
    with ResultWriter(path) as writer:
        writer.append(failed(0))
    with path.open("ab") as file:
        file.write(b"1 200 abc {")
    with ResultWriter(path) as writer:
        writer.append(failed(1))
    assert [result.trial for result in read_results(path)] == [0, 1]


@pytest.mark.parametrize(
    "event",
    [
        EpochRecord(trial=1, attempt=1, repeat=0, fold=2, epoch=3, train_loss=0.5, seconds=0.1),
        Progress(text="mobilenet_v2: 240 of 480 pictures", done=240, total=480),
        failed(0),
    ],
)
def test_an_event_survives_the_pipe(event: EpochRecord | RowResult | Progress) -> None:
    assert event_from_json(event_to_json(event)) == event


def test_an_unknown_event_is_refused() -> None:
    with pytest.raises(ValueError, match="no such event: 'gossip'"):
        event_from_json({"event": "gossip", "data": {}})


def test_a_damaged_array_is_refused() -> None:
    packed = pack_array(np.zeros((2, 3), dtype=np.float32))
    with pytest.raises(ValueError, match="damaged"):
        unpack_array(packed[:-3], (2, 3))
    with pytest.raises(ValueError, match="reshape"):
        unpack_array(packed, (4, 3))


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf"), None, "0.99", True])
def test_a_score_that_is_no_finite_number_is_a_failure(score: object) -> None:
    made = checked(replace(completed(0), score=score))  # type: ignore[arg-type] - what a plugin's metric might return
    assert (made.state, made.reason, made.score) == (TrialState.FAILED, FailureReason.NON_FINITE, None)
    assert made.log_probs is None


def test_a_finite_score_and_a_failure_stay_as_they_are() -> None:
    for result in (completed(0), failed(1)):
        assert checked(result) is result
