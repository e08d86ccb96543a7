"""The first session, typed again as the page prints it."""

import subprocess
from pathlib import Path

import pytest
from transcript import differences, masked, replay, rewritten, save_files, steps

PAGE = (Path(__file__).parents[1] / "docs" / "first-session.md").read_text(encoding="utf-8")
STEPS = steps(PAGE)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the page's commands print on this machine."""
    return list(replay(PAGE, tmp_path_factory.mktemp("session")))


@pytest.mark.full
@pytest.mark.parametrize("place", range(len(STEPS)), ids=[step.command for step in STEPS])
def test_the_command_prints_what_the_page_says(outputs: list[str], place: int) -> None:
    assert differences(STEPS[place].printed, outputs[place]) == []


@pytest.mark.parametrize("command", ["init", "run", "report", "export-best", "predict"])
def test_the_page_shows_every_command_of_a_first_session(command: str) -> None:
    shown = [step for step in STEPS if step.command.startswith(f"tlsearch {command} ")]
    assert shown
    assert all(step.printed for step in shown)


def test_a_page_is_rewritten_with_what_was_printed_and_nothing_else_changes() -> None:
    assert rewritten(PAGE, [step.printed for step in STEPS]) == PAGE
    other = rewritten(PAGE, [f"output {place}\n" for place in range(len(STEPS))])
    assert [step.printed for step in steps(other)] == [f"output {place}\n" for place in range(len(STEPS))]
    assert [step.command for step in steps(other)] == [step.command for step in STEPS]


def test_numbers_names_and_folding_may_differ() -> None:
    page = "trial 3: 78.2 % efficientnet_lite0, mlp, 1 stage trained, 1 min 13 s; 3 of 12 trials; best 78.2 % (trial 3)"
    run = "trial 4: 9.0 % mobilenet_v2, linear,\n backbone frozen, 0.7 s; 4 of 12 trials; best 80.0 %\n(trial 11)"
    assert differences(page, run) == []


def test_a_changed_word_a_new_message_and_a_missing_one_are_found() -> None:
    page = "The holdout (6 pictures) is closed; open it once: tlsearch report --final"
    assert differences(page, page.replace("6", "14")) == []
    assert differences(page, page.replace("closed", "shut"))
    assert differences(page, f"{page}\nwarning: something")
    assert differences(f"note: something\n{page}", page)


def test_a_slow_machine_that_says_what_it_is_doing_is_no_difference() -> None:
    page = "[ 0 s] features\n[ 9 s] search\n[ 9 s] trial 0: 73.2 % NETWORK\n"
    slow = page.replace("[ 9 s] search", "[ 31 s] computing features of mobilenet_v2, 96 of 224\n[ 55 s] search")
    assert differences(page, slow) == []
    assert differences(page, page.replace("search", "serch"))


def test_words_that_are_no_number_are_kept() -> None:
    assert masked("7 pictures of [2 min 3 s] mobilenet_v2\n  .  12  in ╺━━● Avaro") == (
        "# pictures of # NETWORK . # in PERSON"
    )


def test_a_command_goes_on_after_a_backslash_and_fails_aloud(tmp_path: Path) -> None:
    program = "Save `hello.py`:\n\n```python\nprint('hi')\n```\n\n"
    page = f"{program}```console\n$ python hello.py \\\n    there\nhi\n$ exit 3\n```\n"
    save_files(page, tmp_path)
    first, second = steps(page)
    assert (first.command, first.printed) == ("python hello.py \\\n    there", "hi\n")
    assert second.command == "exit 3"
    typed = replay(page, tmp_path)
    assert next(typed) == "hi\n"
    with pytest.raises(subprocess.CalledProcessError):
        next(typed)
