"""The data check of a study: made once before its search, kept for reports, and no reason to stop."""

import json
from collections.abc import Callable, Sequence

from runner_world import MakeWorld, World, one_thread

from tlsearch.execution.inline import InlineExecutor
from tlsearch.records import EpochRecord, FailureReason, TrialState
from tlsearch.report.load import load_summary
from tlsearch.work import Job, JobKind, Progress, RowResult, Workbench, WorkerContext

FEW = "study.budget.trials=6"


class Unchecking:
    """The real workbench, but for the data check: that runs out of memory."""

    def __init__(self, real: Workbench) -> None:
        self._real = real

    def run(self, job: Job, emit: Callable[[EpochRecord | RowResult | Progress], None]) -> None:
        if job.kind is JobKind.CHECK:
            why = {"reason": FailureReason.OUT_OF_MEMORY, "detail": "out of memory: 9 GB"}
            emit(RowResult.of(job, job.rows[0], TrialState.FAILED, **why))
        else:
            self._real.run(job, emit)


def test_a_study_is_checked_once_and_its_report_tells(world: World) -> None:
    world.run(FEW)
    kinds = world.kinds()
    assert kinds.index("prepared") < kinds.index("data_checked") < kinds.index("asked")
    world.run("study.budget.trials=8")
    assert world.kinds().count("data_checked") == 1
    with world.store() as store:
        kept = json.loads(store.get_file("tiny", "data_check") or b"")
        record = store.study("tiny")
        (told,) = store.events("tiny", ["data_checked"])
        check = load_summary(store, "tiny").check
    assert record is not None
    assert check is not None
    assert kept["network"] == check.network == "tiny_a and tiny_b"
    assert kept["images"] == check.images == record.context["n_development"]
    assert kept["suspects"] == check.suspects == len(check.doubts)
    assert told.data["label_errors"] == kept["suspects"]
    assert set(kept["learning"]["per_class"]) == {"blue", "green", "red"}
    assert check.learning.says.startswith(("More pictures", "Whether more pictures"))
    for doubt in check.doubts:
        assert doubt.file in record.context["files"]
        assert doubt.file.split("/")[0] == doubt.label != doubt.suggested


def test_a_check_that_fails_is_told_and_stops_no_search(make_world: MakeWorld) -> None:
    world = make_world()

    def failing(contexts: Sequence[WorkerContext]) -> InlineExecutor:
        return InlineExecutor(Unchecking(one_thread(contexts)), results=world.folder / "results")

    world.run(FEW, make_executor=failing)
    assert "labels and the amount of data could not be checked: out of memory: 9 GB" in world.watch.notices
    assert "data_checked" not in world.kinds()
    assert world.kinds()[-1] == "run_ended"
    with world.store() as store:
        assert load_summary(store, "tiny").check is None
    world.run("study.budget.trials=8")
    assert "data_checked" in world.kinds(), "the next run checks again"
