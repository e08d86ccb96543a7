"""The live view: what a person sees of a run on a terminal, in a pipe, in a narrow window."""

import io
import itertools
import re
from dataclasses import replace

import pytest
from rich.console import Console

from tlsearch.cli.live import LiveView, panel
from tlsearch.progress import EndedTrial, LiveState, RunningTrial
from tlsearch.records import TrialState
from tlsearch.report.text import Words

WHAT = "mobilenet_v2, mlp, 2 stages trained"
STATE = LiveState(
    phase="search",
    metric="accuracy",
    trials_done=15,
    trials_budget=60,
    seconds_used=100.0,
    seconds_budget=300.0,
    best=EndedTrial(number=7, state=TrialState.COMPLETED, what=WHAT, score=0.917),
    running=(RunningTrial(number=16, what=WHAT, seconds=4.0),),
    activity="efficientnet_lite0: 240 of 480 pictures",
    activity_done=240,
    activity_total=480,
    trials_per_minute=12.34,
    cache_hits=95,
    cache_misses=5,
    pruned=2,
    failed=1,
    ended=tuple(
        EndedTrial(number=n, state=TrialState.COMPLETED, what=WHAT, score=0.8 + n / 100, seconds=2.5) for n in range(8)
    ),
)
TRIAL_8 = EndedTrial(number=8, state=TrialState.FAILED, what=WHAT, note="the loss became NaN")


def console(width: int = 120, *, terminal: bool = False) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    kind = {"force_terminal": True, "color_system": "standard"} if terminal else {"force_terminal": False}
    return Console(file=out, width=width, legacy_windows=False, **kind), out  # type: ignore[arg-type]


def painted(state: LiveState, width: int, *, passed: float = 0.0, ascii_only: bool = False) -> str:
    paper, out = console(width)
    paper.print(panel("celebs", state, Words(metric=state.metric, ascii_only=ascii_only), width, passed))
    return out.getvalue()


def test_the_panel_says_what_is_left_what_is_best_and_what_runs() -> None:
    shown = painted(STATE, 120)
    for fact in (
        "15 of 60, 45 left",
        "1 min 40 s of 5 min, 3 min 20 s left",
        "91.7 %  trial 7",
        "trial 16, 4 s: mobilenet_v2, mlp, 2 stages trained",
        "efficientnet_lite0: 240 of 480 pictures",
        "12.3 trials a minute, 2 pruned, 1 failed",
        "95 hits in 100 reads, 95 %",
    ):
        assert fact in shown


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_every_line_fits_its_width_so_that_the_height_stays(width: int) -> None:
    lines = painted(STATE, width).splitlines()
    assert len(lines) == len(painted(STATE, 200).splitlines())
    assert max(len(line) for line in lines) <= width


def test_time_goes_on_between_two_updates() -> None:
    assert "1 min 50 s of 5 min" in painted(STATE, 120, passed=10.0)
    assert "0 s left" in painted(STATE, 120, passed=500.0)


def test_a_run_that_has_only_begun_is_shown() -> None:
    begun = LiveState(phase="data", metric="log_loss", trials_done=0, trials_budget=60, seconds_used=0.2)
    shown = painted(begun, 60)
    assert "nothing completed yet" in shown
    assert "no limit" in shown


def test_only_so_many_running_and_ended_trials_are_listed() -> None:
    crowd = tuple(RunningTrial(number=n, what=WHAT, seconds=0.0) for n in range(20, 36))
    shown = painted(replace(STATE, running=crowd), 120)
    assert "and 12 trials more" in shown
    assert "7  87.0 %" in shown
    assert "2  82.0 %" not in shown


@pytest.mark.parametrize("width", [40, 80])
def test_an_ascii_terminal_gets_ascii(width: int) -> None:
    named = replace(STATE, activity="Zoë's pictures")
    assert painted(named, width, ascii_only=True).isascii()


def test_what_is_cut_off_is_seen_to_be_cut_off() -> None:
    assert "last      7  87.0 %  mobilenet_v2, mlp,…" in painted(STATE, 40)


def test_without_a_terminal_each_ended_trial_is_one_line_and_no_line_comes_twice() -> None:
    paper, out = console(60)
    with LiveView(paper, "celebs") as view:
        view.update(STATE)
        view.update(STATE)
        view.update(replace(STATE, phase="confirmation", ended=(*STATE.ended, TRIAL_8)))
    lines = out.getvalue().splitlines()
    assert len(lines) == 1 + 8 + 1 + 1
    assert lines[0].endswith("search")
    assert lines[9].endswith("confirmation")
    assert "trial 8: failed" in lines[10]
    assert "the loss became NaN" in lines[10]
    assert "\x1b" not in out.getvalue()


def test_without_a_terminal_a_long_quiet_is_broken_by_what_is_being_done() -> None:
    paper, out = console()
    now = iter([0.0, 10.0, 29.0, 30.0, 50.0, 61.0, 70.0])
    with LiveView(paper, "celebs", clock=lambda: next(now)) as view:
        data = replace(STATE, phase="data", ended=(), activity="decoding pictures", activity_total=20_000)
        for done in range(0, 14_000, 2000):
            view.update(replace(data, activity_done=done))
    lines = [line.partition("] ")[2] for line in out.getvalue().splitlines()]
    assert lines == ["data", "decoding pictures, 6 000 of 20 000", "decoding pictures, 10 000 of 20 000"]


def test_live_repainting_can_be_refused_on_a_terminal() -> None:
    paper, out = console(80, terminal=True)
    with LiveView(paper, "celebs", live=False) as view:
        view.update(STATE)
    assert len(out.getvalue().splitlines()) == 9
    assert "\x1b[2K" not in out.getvalue()


def test_a_terminal_is_repainted_and_left_clean() -> None:
    paper, out = console(80, terminal=True)
    ticks = itertools.count()
    with LiveView(paper, "celebs", clock=lambda: float(next(ticks))) as view:
        view.update(STATE)
        view.notice("resnet18 is left out: no weights in reach")
    shown = out.getvalue()
    assert "45 left" in shown
    assert "resnet18 is left out" in shown
    assert shown.index("\x1b[?25l") < shown.index("\x1b[?25h")  # the cursor is hidden, then shown again
    assert shown.endswith("\x1b[2K")  # the last thing done is to wipe the view's lines


def test_the_echo_of_ctrl_c_has_room_behind_the_last_line() -> None:
    paper, out = console(40, terminal=True)
    with LiveView(paper, "celebs") as view:
        view.update(STATE)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue()).splitlines()
    assert max(len(line.strip("\r")) for line in lines) == 38


def test_the_terminal_is_given_back_when_a_run_fails() -> None:
    paper, out = console(80, terminal=True)

    def fails() -> None:
        with LiveView(paper, "celebs") as view:
            view.update(STATE)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fails()
    assert "\x1b[?25h" in out.getvalue()


@pytest.mark.parametrize(
    "hostile", ["cat[/]", "[link=x]a[/link]", "\x1b]0;x\x07", "\x1b[2J", "a\nb", "\u202egnp", "\ud800", "\x00"]
)
@pytest.mark.parametrize("live", [True, False])
def test_hostile_names_stay_text(hostile: str, live: bool) -> None:
    paper, out = console(120)
    trial = EndedTrial(number=1, state=TrialState.COMPLETED, what=hostile, score=0.5, note=hostile)
    running = RunningTrial(number=2, what=hostile, seconds=1.0)
    state = replace(STATE, activity=hostile, running=(running,), ended=(trial,), best=trial)
    if live:
        paper.print(panel(hostile, state, Words(metric="accuracy"), 120))
    else:
        with LiveView(paper, hostile, live=False) as view:
            view.update(state)
            view.notice(hostile)
    shown = out.getvalue()
    assert not {"\x1b", "\x07", "\x00", "\u202e", "\ud800"} & set(shown)
    assert "a\nb" not in shown
    if "[" in hostile and hostile.isprintable():
        assert hostile in shown
