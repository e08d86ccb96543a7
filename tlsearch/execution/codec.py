"""How results travel: every worker event as plain JSON and back, arrays as compressed float32."""

import base64
import math
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlsearch.records import EpochRecord, FailureReason, ModelFacts, TrialState, fields_of
from tlsearch.work import JobKind, Progress, RowResult

ZLIB_LEVEL = 1  # log-probabilities are close to noise: higher levels cost time and save nothing


def pack_array(array: NDArray[np.float32]) -> bytes:
    """Compress a float32 array; its shape travels apart."""
    return zlib.compress(np.ascontiguousarray(array, dtype="<f4").tobytes(), ZLIB_LEVEL)


def unpack_array(data: bytes, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Read what `pack_array` wrote: a new float32 array of that shape.

    Raises:
        ValueError: Where the bytes are damaged or don't fill the shape.
    """
    try:
        raw = zlib.decompress(data)
    except zlib.error as error:
        raise ValueError(f"damaged array: {error}") from error
    return np.frombuffer(raw, dtype="<f4").reshape(shape).astype(np.float32)


def result_to_json(result: RowResult) -> dict[str, Any]:
    """A plain dictionary that `result_from_json` reads back; its log-probabilities are base64 text."""
    data = fields_of(result)
    if result.log_probs is not None:
        packed = base64.b64encode(pack_array(result.log_probs)).decode("ascii")
        data["log_probs"] = {"shape": list(result.log_probs.shape), "data": packed}
    if result.facts is not None:
        data["facts"] = fields_of(result.facts)
    return data


def result_from_json(data: Mapping[str, Any]) -> RowResult:
    """Read what `result_to_json` wrote.

    Raises:
        ValueError, TypeError, KeyError: Where it is none.
    """
    packed = data["log_probs"]
    log_probs = packed and unpack_array(base64.b64decode(packed["data"]), tuple(packed["shape"]))
    typed = {
        "kind": JobKind(data["kind"]),
        "state": TrialState(data["state"]),
        "fold_scores": tuple(data["fold_scores"]),
        "log_probs": log_probs,
        "reason": data["reason"] and FailureReason(data["reason"]),
        "facts": data["facts"] and ModelFacts(**data["facts"]),
    }
    return RowResult(**{**data, **typed})


def event_to_json(event: EpochRecord | RowResult | Progress) -> dict[str, Any]:
    """A worker's event as `{"event": its kind, "data": …}`."""
    if isinstance(event, RowResult):
        return {"event": "result", "data": result_to_json(event)}
    return {"event": "epoch" if isinstance(event, EpochRecord) else "progress", "data": fields_of(event)}


def event_from_json(message: Mapping[str, Any]) -> EpochRecord | RowResult | Progress:
    """Read what `event_to_json` wrote."""
    match message["event"]:
        case "result":
            return result_from_json(message["data"])
        case "epoch":
            return EpochRecord(**message["data"])
        case "progress":
            return Progress(**message["data"])
        case other:
            raise ValueError(f"no such event: {other!r}")


def checked(result: RowResult) -> RowResult:
    """The result, or a failed one where it claims to be complete without a finite score.

    Whatever a metric returns (NaN, infinity, None, text), it must never be ranked.
    """
    score: object = result.score
    finite = isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score)
    if finite or result.kind not in (JobKind.TRIALS, JobKind.CONFIRM) or result.state != TrialState.COMPLETED:
        return result
    return replace(
        result,
        state=TrialState.FAILED,
        reason=FailureReason.NON_FINITE,
        detail=f"the score is {score!r}, not a finite number",
        score=None,
        log_probs=None,
    )
