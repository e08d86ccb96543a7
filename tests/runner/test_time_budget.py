"""The time budget: monotonic, over all runs, and never so short that the best is not confirmed and fitted."""

import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from runner_world import World

from tlsearch.errors import NothingCompletedError, StoreError
from tlsearch.records import Event, ModelFacts, StudyRecord, TrialKind, TrialRecord, TrialState, used_seconds
from tlsearch.runner.budget import alone_at_most, is_foreseen, trials_in_time
from tlsearch.runner.journal import Journal
from tlsearch.runner.ledger import Ledger
from tlsearch.store.store import Store
from tlsearch.training.recipe import Phase, Recipe

DAY_S = 86_400.0


def completed(
    number: int, *, score: float, seconds: float, probe_seconds: float = 0.0, kind: TrialKind = TrialKind.SEARCH
) -> TrialRecord:
    return TrialRecord(
        number=number,
        kind=kind,
        state=TrialState.COMPLETED,
        params={},
        recipe={},
        score=score,
        seconds=seconds,
        probe_seconds=probe_seconds,
    )


def test_the_time_held_back_is_that_of_the_best_five_the_final_fit_the_maps_and_one_more_trial() -> None:
    trials = [completed(n, score=n / 10, seconds=10.0 * n, probe_seconds=1.0) for n in range(1, 8)]
    closing = (30 + 40 + 50 + 60 + 70) + 5 * 1 + 2 * 71  # confirming trials 3 to 7, and fitting one of them twice
    enough = closing + 70.0

    def in_time(left_s: float, *, truth: bool = False) -> float:
        return trials_in_time(trials, competing=trials, left_s=left_s, truth=truth)

    assert in_time(enough) == 1
    assert in_time(enough - 1) == 0
    assert in_time(enough, truth=True) == 0  # fresh pictures take time as well
    assert in_time(closing + 3 * 70) == 3  # one after another


def test_time_is_held_back_for_what_will_be_confirmed_and_not_for_better_scores_that_may_not_be_named() -> None:
    may_be_named = [completed(number, score=0.5, seconds=10.0) for number in range(2)]
    missing_a_floor = [completed(number, score=0.9, seconds=100.0) for number in range(2, 9)]
    baseline = completed(9, score=0.95, seconds=50.0, kind=TrialKind.BASELINE)
    trials = [*may_be_named, *missing_a_floor, baseline]
    closing = 2 * 10 + 50 + 2 * 10  # confirming two and the baseline, and two fits more
    enough = closing + 100.0  # one more trial may take as long as the slowest
    assert trials_in_time(trials, competing=may_be_named, left_s=enough, truth=False) == 1
    assert trials_in_time(trials, competing=may_be_named, left_s=enough - 1, truth=False) == 0


def test_time_is_held_back_for_what_heads_take_alone_and_not_for_their_shares_of_the_time() -> None:
    trials = [completed(number, score=number / 100, seconds=2.0) for number in range(50)]
    alone = 20 * 2  # fifty side by side take at least a twentieth each

    def in_time(left_s: float, side_by_side: int) -> float:
        together = dict.fromkeys(range(50), side_by_side)
        return trials_in_time(trials, competing=trials, side_by_side=together, left_s=left_s, truth=False)

    closing = 5 * alone + 2 * alone
    assert in_time(closing + alone - 1, 50) == 0, "the next job may hold few rows"
    assert in_time(closing + alone, 50) == 20
    assert in_time((7 + 1) * 3 * 2, 3) == 3, "of three heads none takes more alone than all of them"
    assert in_time((7 + 1) * 2, 1) == 1


def test_only_on_a_cpu_is_it_known_how_little_heads_gain_from_each_other() -> None:
    assert alone_at_most(["cpu", "cpu"]) == 20
    assert alone_at_most(["cuda:0", "cpu"]) == alone_at_most(["mps"]) == float("inf")
    trials = [completed(number, score=number / 100, seconds=2.0) for number in range(64)]
    together = dict.fromkeys(range(64), 64)

    def in_time(left_s: float) -> float:
        most = alone_at_most(["cuda:0"])
        return trials_in_time(trials, competing=trials, side_by_side=together, at_most=most, left_s=left_s, truth=False)

    assert in_time((5 + 2 + 1) * 64 * 2) == 64
    assert in_time((5 + 2 + 1) * 64 * 2 - 1) == 0


def test_trials_are_told_with_how_many_heads_shared_their_time_and_the_next_run_knows_it(world: World) -> None:
    world.run("search.unfrozen=0", "study.budget.trials=6", "baselines=[]")
    with world.store() as store:
        jobs = Counter(attempt.job for attempt in store.attempts("tiny"))
        rows = {attempt.trial: jobs[attempt.job] for attempt in store.attempts("tiny")}
        with Journal(store, "tiny", world.folder / "log.jsonl", began=time.monotonic()) as journal:
            known = Ledger(store, "tiny", journal).side_by_side
    assert max(rows.values()) > 1
    assert known == rows


def recipe(*unfrozen: int | None, head: str = "linear", freeze_until: str | None = None) -> Recipe:
    phases = tuple(Phase(epochs=1, unfrozen=depth) for depth in unfrozen)
    return Recipe(backbone="tiny_a", head=head, phases=phases, freeze_until=freeze_until)


def test_a_completed_trial_foretells_those_of_its_network_and_head_that_are_no_deeper() -> None:
    facts = ModelFacts(unfrozen=2, stages=4, cut="x", parameters=9, trained_parameters=1, macs=9, trained_macs=1)
    done = replace(completed(0, score=0.5, seconds=1.0), recipe=recipe(0, 2).to_json(), facts=facts)

    def foreseen(wanted: Recipe) -> bool:
        return is_foreseen(wanted, [done])

    assert foreseen(recipe(0))
    assert foreseen(recipe(2))
    assert not foreseen(recipe(0, 3))
    assert not foreseen(recipe(0, None)), "all of the network"
    assert not foreseen(recipe(0, freeze_until="a layer")), "how deep that is, a worker will know"
    assert not foreseen(recipe(0, head="mlp"))
    assert not foreseen(replace(recipe(0), backbone="tiny_b"))
    assert not is_foreseen(recipe(0), [replace(done, state=TrialState.FAILED)])
    assert not is_foreseen(recipe(0), [])


def test_while_no_trial_ended_time_allows_as_many_as_one_likes() -> None:
    assert trials_in_time([], competing=[], left_s=1.0, truth=False) == float("inf")
    assert trials_in_time([], competing=[], left_s=-1.0, truth=False) == 0


def test_what_all_runs_used_is_the_sum_of_their_own_seconds_whatever_the_clock_said() -> None:
    def event(seq: int, kind: str, run_s: float, day: int) -> Event:
        return Event(seq=seq, kind=kind, at=f"2026-11-{day:02d}T00:00:00+00:00", data={"run_s": run_s})

    killed = [event(1, "run_started", 2.0, 20), event(2, "told", 30.0, 1)]
    ended = [event(3, "run_started", 1.0, 29), event(4, "run_ended", 12.5, 3)]
    assert used_seconds([]) == 0.0
    assert used_seconds(killed) == 30.0
    assert used_seconds([*killed, *ended]) == 42.5


def test_a_journal_counts_from_when_the_run_began_and_on_from_earlier_runs(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path / 's.db'}") as store:
        store.define_study(StudyRecord(name="s", config={}, definition={}, context={}, created=""))
        store.add_event("s", "run_started", {"run_s": 3.0})
        store.add_event("s", "run_ended", {"run_s": 50.0})
        journal = Journal(store, "s", tmp_path / "log.jsonl", began=time.monotonic() - 20.0)  # data took that long
        assert journal.used_seconds == pytest.approx(70.0, abs=5.0)


def test_an_event_log_that_cannot_be_written_is_a_fault_of_the_store(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path / 's.db'}") as store:
        store.define_study(StudyRecord(name="s", config={}, definition={}, context={}, created=""))
        with pytest.raises(StoreError, match="cannot write") as caught:
            Journal(store, "s", tmp_path, began=0.0).event("asked")  # a folder in its place
    assert caught.value.exit_code == 3


def test_a_clock_that_jumps_by_days_changes_neither_budget_nor_durations(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = time.time, iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: real() + (DAY_S if next(calls) % 2 else -DAY_S))
    world.run("study.budget.trials=3", "study.budget.time=1h")
    trials = world.trials()
    assert sum(trial.counted for trial in trials) == 3
    assert all(0 <= trial.seconds < 600 for trial in trials)
    with world.store() as store:
        assert 0 < used_seconds(store.events("tiny")) < 600


def test_a_study_that_runs_out_of_time_confirms_fits_and_says_why(world: World) -> None:
    world.run("study.budget.trials=2")
    with world.store() as store:
        used = used_seconds(store.events("tiny"))
    limit = f"study.budget.time={used + 0.01:.2f}s"
    outcome = world.run("study.budget.trials=40", limit)
    assert (outcome.was_complete, outcome.why) == (False, "time")
    assert sum(trial.counted for trial in world.trials()) == 2
    (notice,) = world.watch.notices
    assert "the search ends after 2 of 40 trials" in notice
    kinds = world.kinds()
    assert kinds.count("chosen") == 2
    assert (world.folder / "models").is_dir()
    again = world.run("study.budget.trials=40", limit)
    assert (again.was_complete, again.why) == (True, "time")
    more = world.run("study.budget.trials=4", "study.budget.time=1h")
    assert (more.was_complete, more.why) == (False, "trials")
    assert sum(trial.counted for trial in world.trials()) == 4


def test_time_is_asked_about_before_every_job(world: World) -> None:
    world.run("study.budget.trials=1")
    with world.store() as store:
        earlier = used_seconds(store.events("tiny"))
    world.run("study.budget.trials=500", f"study.budget.time={earlier + 1.5:.2f}s")
    assert all(trial.state.ended for trial in world.trials())
    with world.store() as store:
        events = store.events("tiny")
    assert events[-1].data["why"] == "time"
    started = [event.seq for event in events if event.kind == "run_started"][-1]
    asked = [event for event in events if event.kind == "asked" and event.seq > started]
    assert all(event.data["run_s"] < 2.5 for event in asked)  # noted a moment after the time was asked about


def test_a_study_without_time_for_a_single_trial_says_so(world: World) -> None:
    with pytest.raises(NothingCompletedError, match="used up before the first") as caught:
        world.run("study.budget.time=0.001s")
    assert "budget.time" in (caught.value.hint or "")
    assert world.trials() == []
    world.run("study.budget.trials=1", "study.budget.time=1h")
    assert sum(trial.counted for trial in world.trials()) == 1
