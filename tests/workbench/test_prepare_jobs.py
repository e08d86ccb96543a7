"""PREPARE jobs: a backbone's features of every searched cut and view cached, and its probe scored."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from engine_world import DEVELOPMENT, context_of, job, recipe, row

from tlsearch.data.pixels import PixelStore
from tlsearch.records import EpochRecord, FailureReason, TrialState
from tlsearch.work import JobKind, Progress, RowResult, WorkerContext
from tlsearch.workbench.bench import StudyBench

Events = list[EpochRecord | RowResult | Progress]
PROBE = row(recipe(learning_rate=0.1), trial=-1)


def prepare(context: WorkerContext) -> Events:
    events: Events = []
    StudyBench(context).run(job(PROBE, kind=JobKind.PREPARE), events.append)
    return events


def result_in(events: Events) -> RowResult:
    (result,) = (event for event in events if isinstance(event, RowResult))
    return result


def features(context: WorkerContext) -> Sequence[Path]:
    return sorted(Path(context.cache).glob("features/*.bin"))


def test_every_searched_cut_of_every_view_is_cached_by_one_pass_a_view(context: WorkerContext) -> None:
    events = prepare(context)
    cuts, views = 3, 2  # after stages 2 and 3, and pooled; plain and mirrored
    assert len(features(context)) == cuts * views
    cache = result_in(events).extras["cache"]
    assert cache["images"] == views * DEVELOPMENT
    assert (cache["runtime"], cache["misses"]) == ("eager", views)
    assert cache["seconds"] > 0
    progress = [event for event in events if isinstance(event, Progress)]
    assert [(p.text, p.done, p.total) for p in progress] == [("small", done, DEVELOPMENT) for done in (32, 45)] * views


def test_the_score_is_that_of_the_best_probe(context: WorkerContext) -> None:
    events = prepare(context)
    result = result_in(events)
    assert (result.state, result.kind, result.trial) == (TrialState.COMPLETED, JobKind.PREPARE, -1)
    assert result.score is not None
    assert result.score > 0.4
    assert result.extras["probes"].keys() == {"ridge", "lda", "logistic"}
    assert result.score == max(result.extras["probes"].values())
    assert result.log_probs is None


def test_preparing_again_computes_nothing_and_scores_the_same(context: WorkerContext) -> None:
    first, again = result_in(prepare(context)), result_in(prepare(context))
    assert again.extras["probes"] == first.extras["probes"]
    assert (again.extras["cache"]["misses"], again.extras["cache"]["images"]) == (0, 0)


@pytest.mark.parametrize("depth", [1, 2])
def test_trials_after_it_need_no_pass(context: WorkerContext, depth: int) -> None:
    prepare(context)
    before = [(file.name, file.stat().st_mtime_ns) for file in features(context)]
    StudyBench(context).run(job(row(recipe(depth, augment="flip"))), lambda _: None)
    assert [(file.name, file.stat().st_mtime_ns) for file in features(context)] == before


def test_a_backbone_that_cannot_be_cached_fails_with_the_reason(drawn: PixelStore, tmp_path: Path) -> None:
    context = context_of(drawn, tmp_path, backbones=["small_dropping"])
    events: Events = []
    work = job(row(recipe(backbone="small_dropping"), trial=-1), kind=JobKind.PREPARE)
    StudyBench(context).run(work, events.append)
    result = result_in(events)
    assert (result.state, result.reason) == (TrialState.FAILED, FailureReason.EXCEPTION)
    assert "a prefix in training mode cannot be cached" in result.detail
