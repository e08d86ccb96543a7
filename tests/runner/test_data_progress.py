"""What a person sees while the pictures are read: before there is a study whose trials could be counted."""

from pathlib import Path

import pytest
from runner_world import MakeWorld

from tlsearch.progress import LiveState

PICTURES = 42


def activities(states: list[LiveState], text: str) -> list[tuple[str, int, int]]:
    return [(s.phase, s.activity_done, s.activity_total) for s in states if s.activity == text]


@pytest.fixture(autouse=True)
def all_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tlsearch.runner.live.TOLD_A_SECOND", 1e9)


def test_reading_and_decoding_are_told_picture_by_picture_and_decoding_once(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    world = make_world(cache=tmp_path / "cache")
    each = [("data", done, PICTURES) for done in range(1, PICTURES + 1)]
    world.run("study.budget.trials=1")
    assert world.watch.states[0].phase == "data"
    assert activities(world.watch.states, "reading pictures") == each
    assert activities(world.watch.states, "decoding pictures") == each
    assert activities(world.watch.states, "preparing pictures to compare them") == [], "they were decoded with the rest"
    world.run("study.budget.trials=2")
    assert activities(world.watch.states, "reading pictures") == each
    assert activities(world.watch.states, "decoding pictures") == []


def test_a_continued_run_tells_from_the_start_what_earlier_ones_did(make_world: MakeWorld) -> None:
    world = make_world()
    world.run("study.budget.trials=1")
    before = world.watch.states[-1]
    world.run("study.budget.trials=2")
    first = world.watch.states[0]
    assert (first.phase, first.trials_done) == ("data", 1)
    assert first.best is not None
    assert first.seconds_used >= before.seconds_used - 0.1
