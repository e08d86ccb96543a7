"""What a person reads of two models: the answer first, nothing cut off, and no name that steers the terminal."""

import io
from pathlib import Path

import pytest
from diff_world import CLASSES, World, answers
from rich.console import Console

from tlsearch.report.diff import Diff, compare
from tlsearch.report.diff_json import diff_json
from tlsearch.report.diff_terminal import render_diff

TRUTH = tuple(CLASSES[i % 3] for i in range(120))
WEAK = answers(TRUTH, CLASSES, {i: CLASSES[(i + 1) % 3] for i in range(30)})
STRONG = answers(TRUTH, CLASSES, {1: "ada"})


def printed(diff: Diff, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, markup=False, emoji=False, highlight=False)
    render_diff(diff, console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(len(line) <= width for line in shown.splitlines())
    return str(shown)


def flowing(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def told_apart(tmp_path: Path) -> Diff:
    a, b = (World(name=name, trials=[one]).contender(tmp_path / name) for name, one in (("a", WEAK), ("b", STRONG)))
    return compare(a, b)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_answer_comes_first_and_fits(told_apart: Diff, width: int) -> None:
    shown = flowing(printed(told_apart, width))
    gain = told_apart.difference
    sure = f"95 % sure: {-100 * gain.high:+.1f} to {-100 * gain.low:+.1f}"
    assert f"B is better than A by 24.2 points ({sure}) on 120 pictures" in shown
    assert shown.index("B is better") < shown.index("Class by class")
    assert "…" not in printed(told_apart, 60)


def test_what_changed_sides_is_counted_and_the_clearest_are_shown(told_apart: Diff) -> None:
    shown = flowing(printed(told_apart))
    assert "Right in B, wrong in A: 29 pictures, of which the 5 clearest" in shown
    assert "No picture is named rightly by A alone." in shown


def test_models_alike_are_said_to_be(tmp_path: Path) -> None:
    a = World(name="a", trials=[answers(TRUTH, CLASSES, {3: "bruno"})]).contender(tmp_path / "a")
    b = World(name="b", trials=[STRONG]).contender(tmp_path / "b")
    shown = flowing(printed(compare(a, b)))
    assert "A and B cannot be told apart on 120 pictures that both were asked about: they score the same" in shown


def test_two_winners_are_said_to_carry_their_luck_and_one_winner_too(tmp_path: Path) -> None:
    both = [World(name=name, trials=[STRONG, WEAK]) for name in ("a", "b")]
    a, b = (one.contender(tmp_path / one.name) for one in both)
    assert "A is the best of 2 and B is the best of 2 trials" in flowing(printed(compare(a, b)))
    plain = both[1].contender(tmp_path / "plain", 1)
    shown = flowing(printed(compare(a, plain)))
    assert "A is the best of 2 trials" in shown
    assert "luck is in A's score alone" in shown


def test_a_choice_before_later_trials_is_said_to_be_one(tmp_path: Path) -> None:
    a = World(name="a", trials=[STRONG, WEAK], told=(1,)).contender(tmp_path / "a")
    b = World(name="b", trials=[WEAK]).contender(tmp_path / "b")
    found = compare(a, b)
    shown = flowing(printed(found))
    assert "A was chosen before 1 later trial of its study ended: continue that run to choose again." in shown
    assert "B was chosen before" not in shown
    assert [diff_json(found)[side]["outdated"] for side in "ab"] == [True, False]


def test_what_was_left_out_is_said(tmp_path: Path) -> None:
    other = ("bruno", *TRUTH[1:])
    b = World(name="b", truth=other, trials=[answers(other, CLASSES)], metric="log_loss")
    b.pictures = [*b.pictures[:115], *(f"new-{i}" for i in range(5))]
    shown = flowing(printed(compare(World(name="a").contender(tmp_path / "a"), b.contender(tmp_path / "b"))))
    assert "115 pictures are in both studies; 5 only in A, 5 only in B" in shown
    assert "different classes: 1 (a/sha-0.png)" in shown
    assert "A's study chose by accuracy, B's by log loss" in shown


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    names = ("[red]ada", "bru\x1b[31mno", "chidi")
    truth = [names[i % 3] for i in range(120)]
    pictures = [f"[bold]{i}\u202e" for i in range(120)]
    a, b = (
        World(name=name, classes=names, truth=truth, pictures=pictures, trials=[answers(truth, names, wrong)])
        for name, wrong in (("a\x1b[2J", {}), ("b", {0: names[1]}))
    )
    shown = printed(compare(a.contender(tmp_path / "a"), b.contender(tmp_path / "b")))
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "[red]ada" in shown
