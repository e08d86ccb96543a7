"""The comparison with peers: what is multiplied, which rounds count, when a change may not land, what is shown."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import peers_processes as processes
from figures import Figure
from peers import command_line
from peers_plot import apart, best_so_far, duration, lines, plot
from peers_processes import Run, Timed, extrapolated
from peers_quality import difference, missing
from peers_rounds import Round, as_json, load, middle, newest, order, rounds_in, save, steady, too_slow
from peers_rows import ROWS, Contender, row
from peers_table import page
from provenance import Provenance
from tlsearch.records import TrialKind, TrialRecord, TrialState

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
MADE = Provenance(commit="abc", versions="Python 3.11", machine="2 cores")


def timed(seconds: float, scores: tuple[float, ...] = (0.5, 0.8), *, per_trial: float = 0.1) -> Timed:
    curve = [(round(seconds * per_trial * (number + 1), 3), score) for number, score in enumerate(scores)]
    last = curve[-1][0]
    return Timed(seconds=seconds, measured=seconds, last_trial_s=last, best=max(scores), curve=curve, trial_s=1.0)


def one_round(
    control: tuple[float, float] = (1.0, 1.1),
    name: str = "heads_celebs",
    kept: dict[str, float] | None = None,
    made: Provenance = MADE,
    date: str = "2026-11-23T00:00:00+00:00",
    **seconds: float,
) -> Round:
    # half of what tlsearch has done when its last trial ends peers have done then
    times = {who: timed(each, per_trial=0.1 if who == "tlsearch" else 0.2) for who, each in seconds.items()}
    again = {who: timed(each) for who, each in (kept or {}).items()}
    return Round(row=name, terms=row(name).terms, times=times, kept=again, control=control, made=made, date=date)


def trial(epochs: list[float], *, other: float, ended: float) -> dict[str, object]:
    return {"ended": ended, "seconds": sum(epochs) + other, "epochs": epochs, "evaluation": other, "score": 0.7}


def test_what_was_not_run_costs_what_the_later_epochs_and_trials_took() -> None:
    run = Run(began=100.0, seconds=50.0, printed="")
    # 10 s of start, then trials of 2 epochs: 15 + 5 + 1 and 5 + 5 + 1, then 8 s until the end
    trials = [trial([15.0, 5.0], other=1.0, ended=131.0), trial([5.0, 5.0], other=1.0, ended=142.0)]
    asked = replace(row("heads_celebs"), trials=10, epochs=4)
    found = extrapolated(run, trials, asked, Contender(trials=2, epochs=2))
    assert found.trial_s == pytest.approx(21.0)
    outside, first = 50.0 - 21.0 - 11.0, 21.0 + 2 * 5.0
    assert found.seconds == pytest.approx(outside + first + 9 * 21.0)
    assert found.measured == 50.0
    assert found.last_trial_s == pytest.approx(found.seconds - 8.0)


def test_a_contender_that_runs_everything_took_what_it_took() -> None:
    run = Run(began=0.0, seconds=50.0, printed="")
    asked = replace(row("heads_celebs"), trials=2, epochs=2)
    found = extrapolated(run, [trial([15.0, 5.0], other=1.0, ended=40.0)] * 2, asked, Contender())
    assert found.seconds == found.measured == 50.0
    assert found.last_trial_s == pytest.approx(40.0)


def test_what_a_lone_trial_does_once_is_not_multiplied() -> None:
    run = Run(began=100.0, seconds=50.0, printed="")
    alone = {"ended": 140.0, "seconds": 33.0, "epochs": [15.0, 5.0], "evaluation": 1.0, "score": 0.7}  # 12 s of imports
    found = extrapolated(run, [alone], replace(row("heads_celebs"), trials=10, epochs=4), Contender(trials=1, epochs=2))
    assert found.trial_s == pytest.approx(4 * 5.0 + 1.0)
    outside, first = 50.0 - 33.0, 33.0 + 2 * 5.0
    assert found.seconds == pytest.approx(outside + first + 9 * 21.0)


def record(number: int, state: TrialState, seconds: float, kind: TrialKind = TrialKind.SEARCH) -> TrialRecord:
    return TrialRecord(number=number, kind=kind, state=state, params={}, recipe={}, seconds=seconds)


def test_a_run_of_tlsearch_is_read_from_its_own_log() -> None:
    began = 1_700_000_000.0
    asked = replace(row("tuned_1"), trials=10, contenders={"tlsearch": Contender(trials=2)})
    events = [
        {"at": "2023-11-14T22:13:30+00:00", "kind": "told", "trial": 0, "state": "completed", "score": 0.6},
        {"at": "2023-11-14T22:13:40+00:00", "kind": "told", "trial": 1, "state": "pruned", "score": None},
        {"at": "2023-11-14T22:13:41+00:00", "kind": "phase_timed", "phase": "search", "seconds": 16.0},
    ]
    trials = [record(0, TrialState.COMPLETED, 9.0), record(1, TrialState.PRUNED, 3.0)]
    found = processes.told(Run(began=began, seconds=30.0, printed=""), events, trials, asked)
    assert found.curve == [(10.0, 0.6)]
    assert found.pruned == 1
    assert found.seconds == pytest.approx(30.0 + 8 * 8.0)
    assert found.unraced_s == pytest.approx(30.0 - 16.0 + 10 * 8.0 * (9.0 / 6.0)), "as if all trials had taken 9 s"
    assert found.phases == {"start-up": 14.0, "search": 16.0}


def test_answers_from_the_store_say_nothing_of_how_long_a_whole_trial_takes() -> None:
    duplicate = record(2, TrialState.COMPLETED, 0.0, kind=TrialKind.DUPLICATE)
    whole, stopped = record(0, TrialState.COMPLETED, 9.0), record(1, TrialState.PRUNED, 3.0)
    assert processes.whole_against_raced([whole, stopped, duplicate]) == pytest.approx(1.5)
    assert processes.whole_against_raced([whole, duplicate]) is None


def test_every_second_round_runs_in_the_opposite_order() -> None:
    contenders = row("heads_celebs").contenders
    assert order(contenders, 0) == list(contenders)
    assert order(contenders, 1) == list(contenders)[::-1]


def test_a_ratio_is_the_median_of_steady_rounds_alone() -> None:
    rounds = [one_round(B1=s, tlsearch=1.0) for s in (10.0, 30.0, 20.0)]
    rounds.append(one_round(control=(1.0, 1.3), B1=99.0, tlsearch=1.0))
    assert middle(rounds, "B1") == 20.0
    assert middle(rounds[3:], "B1") == 99.0, "where no round was steady, all of them count"


def test_a_round_is_steady_or_not_by_itself() -> None:
    usual, other_day = one_round(B1=10.0, tlsearch=1.0), one_round(control=(1.4, 1.3), B1=20.0, tlsearch=1.0)
    slower, faster = (one_round(control=ends, B1=90.0, tlsearch=1.0) for ends in ((1.0, 1.21), (1.3, 1.0)))
    assert steady([usual, slower, other_day, faster]) == [usual, other_day]


def test_a_change_may_not_land_where_tlsearch_is_slower_than_by_hand_in_two_of_three_rounds() -> None:
    slow, fast = one_round(B2=9.0, tlsearch=10.0), one_round(B2=11.0, tlsearch=10.0)
    assert too_slow([slow, fast, slow], {})
    assert not too_slow([slow, fast, fast], {})


def test_a_change_may_not_land_where_a_ratio_is_under_half_of_the_recorded_one() -> None:
    half, more = one_round(B1=40.0, B2=20.0, tlsearch=10.0), one_round(B1=60.0, B2=20.0, tlsearch=10.0)
    (why,) = too_slow([half, half, more], {"B1": 10.0})
    assert why.startswith("B1 / tlsearch is under 5.00")
    assert not too_slow([half, more, more], {"B1": 10.0})
    assert not too_slow([half, half, half], {"B3": 100.0}), "who did not run is not judged"


def test_rounds_are_the_same_after_they_were_written_and_read(tmp_path: Path) -> None:
    rounds = [one_round(B1=10.0, tlsearch=2.0), one_round(name="linear_50", B2=3.0, tlsearch=2.0)]
    save(tmp_path / "raw.json", {"rounds": [as_json(one) for one in rounds]})
    raw = load(tmp_path / "raw.json")
    assert rounds_in(raw, row("linear_50"), MADE) == rounds[1:]
    assert newest(raw, "linear_50") == MADE
    assert newest(raw, "tuned_1") is None
    assert load(tmp_path / "none.json") == {}


def test_rounds_of_other_code_or_another_row_are_not_counted() -> None:
    asked = row("heads_celebs")
    later = replace(MADE, commit="def")
    first = one_round(B1=10.0, tlsearch=2.0)
    second = one_round(B1=90.0, tlsearch=2.0, made=later, date="2026-11-24T00:00:00+00:00")
    shorter = replace(first, terms={**asked.terms, "trials": 7})
    raw = {"rounds": [as_json(one) for one in (second, first, shorter)]}
    assert newest(raw, asked.name) == later
    assert rounds_in(raw, asked, newest(raw, asked.name)) == [second]
    assert rounds_in(raw, asked, MADE) == [first]
    assert rounds_in(raw, replace(asked, epochs=6), MADE) == []


def test_goals_and_titles_of_a_row_may_change_after_its_rounds() -> None:
    asked = row("heads_celebs")
    other = {who: replace(how, target=1.0, stretch=None) for who, how in asked.contenders.items()}
    assert replace(asked, title="other words", contenders=other).terms == asked.terms
    assert json.loads(json.dumps(asked.terms)) == asked.terms


def test_the_page_holds_every_target_against_what_was_measured() -> None:
    rounds = [one_round(B1=seconds, B2=15.0, B3=450.0, tlsearch=10.0) for seconds in (180.0, 600.0)]
    rounds.append(one_round(B1=200.0, B2=15.0, B3=450.0, tlsearch=10.0, kept={"B1": 120.0, "B2": 12.0, "B3": 430.0}))
    scores = [
        {"B2": 0.9, "B3": 0.8 + n / 100, "B2, fitted anew": 0.915, "tlsearch": 0.91 + n / 1000} for n in (1, 2, 3)
    ]
    told = {"date": "2026-11-23T00:00:00+00:00", "made": asdict(MADE)}
    quality = [{"seed": seed, "scores": one, **told} for seed, one in enumerate(scores, start=1)]
    figures = [
        Figure(row="extraction", target=3.0, stretch=4.0, measured=2.9, unit="times", told="5 rounds"),
        Figure(row="growth", target=1.5, stretch=1.1, measured=1.2, unit="times as long"),
    ]
    gathered = [{"by": "extraction", "figures": [asdict(one) for one in figures], **told}]
    shown = page({"rounds": [as_json(one) for one in rounds], "quality": quality, "gathered": gathered})
    steady = "3 of 3 rounds steady, 5 are asked for"
    assert (
        f"| linear and mlp heads, drawings, against B1 | 20 times (18 to 60, {steady}) | 15: met | 40: **missed** |"
        in shown
    )
    assert (
        "| linear and mlp heads, drawings, against B1, up to the last trial's result of each | 40 times |  |  |"
        in shown
    )
    kept = "linear and mlp heads, drawings, against B1 with our workers' memory settings"
    assert f"| {kept} | 12 times (1 round) | 15: **missed** | 40: **missed** |" in shown
    assert f"| linear and mlp heads, drawings, against B3 | 45 times (45 to 45, {steady}) | 60: **missed** |" in shown
    assert "| linear and mlp heads, photographs, against B1 | not measured | 100 | 300 |" in shown
    score = "| score of the chosen configuration, against"
    assert f"{score} B2 | 1.2 points (3 of 20 seeds, 95 %: +0.95 to +1.45) | -0.5: met | 0: met |" in shown
    assert (
        f"{score} B2, fitted anew | -0.3 points (3 of 20 seeds, 95 %: -0.55 to -0.05) | -0.5: met | 0: **missed** |"
        in shown
    )
    assert "| extraction | 2.9 times (5 rounds) | 3: **missed** | 4: **missed** |" in shown
    assert "| growth | 1.2 times as long | 1.5: met | 1.1: **missed** |" in shown
    assert "| wall time of 200 trials, from process start, against B2 | not measured | 8 | 15 |" in shown
    assert "(`memory.py`) | not measured |" in shown
    assert "B1 ran 4 of 50 trials; the rest is multiplied" in shown
    assert "With the memory settings of tlsearch's workers: B1 120.0 s, B2 12.0 s, B3 430.0 s." in shown


def test_what_was_raced_is_also_shown_as_if_nothing_had_been_stopped_early() -> None:
    one = one_round(name="tuned_4", B1=100.0, B2=30.0, tlsearch=20.0)
    raced = replace(one.times["tlsearch"], pruned=3, unraced_s=40.0)
    shown = page({"rounds": [as_json(replace(one, times={**one.times, "tlsearch": raced}))]})
    base = "trials that train the last 4 stages, against B1"
    assert f"| {base} | 5 times (1 of 1 rounds steady, 5 are asked for) | 3: met | 5: met |" in shown
    assert f"| {base}, all trials trained to their end | 2.5 times | 3: **missed** | 5: **missed** |" in shown
    assert (
        "| trials that train the last 4 stages, against B2 | 1.5 times (1 of 1 rounds steady, 5 are asked for) |  |  |"
        in shown
    )


def test_figures_of_a_gpu_stand_under_its_name_in_place_of_what_is_promised() -> None:
    figure = Figure(row="extraction", target=60.0, stretch=90.0, measured=70.0, unit="% of the bandwidth bound")
    made = asdict(replace(MADE, machine="NVIDIA H200", commit="def"))
    gathered = [{"by": "gpu", "figures": [asdict(figure)], "made": made, "date": "2026-11-23T00:00:00+00:00"}]
    shown = page({"gathered": gathered})
    assert "| NVIDIA H200: extraction | 70 % of the bandwidth bound | 60: met | 90: **missed** |" in shown
    assert "wall time of 200 trials" not in shown
    assert "- `gpu.py` on 2026-11-23 at commit def on NVIDIA H200; Python 3.11" in shown


def test_only_seeds_that_this_code_did_not_play_are_missing() -> None:
    made, other = asdict(MADE), asdict(replace(MADE, commit="def"))
    measured = [{"seed": 1, "made": made}, {"seed": 2, "made": other}]
    assert missing(measured, made, 3) == [2, 3]


def test_differences_are_told_in_points_with_an_interval_over_seeds() -> None:
    measured = [{"B2": 0.9, "B3": 0.8, "tlsearch": 0.9 + step} for step in (0.01, 0.03)]
    value, low, high = difference(measured, "B2")
    assert value == pytest.approx(2.0)
    assert (low, high) == pytest.approx((2.0 - 12.706, 2.0 + 12.706), abs=1e-3)


def test_only_better_trials_are_drawn() -> None:
    assert best_so_far([(1.0, 0.5), (2.0, 0.4), (3.0, 0.7)]) == [(1.0, 0.5), (3.0, 0.7)]


def test_a_loop_that_was_timed_on_few_trials_is_drawn_with_the_scores_on_kept_features() -> None:
    plain = replace(timed(1000.0), trial_s=100.0, last_trial_s=995.0)
    one = replace(one_round(B2=20.0, tlsearch=10.0), times={"B1": plain, "B2": timed(20.0), "tlsearch": timed(10.0)})
    asked = replace(row("heads_celebs"), trials=2)
    found = {line.who: line for line in lines(asked, one, [])}
    assert found["B1"].points == [(895.0, 0.5), (995.0, 0.8)]
    assert (found["B1"].multiplied, found["B2"].multiplied) == (True, False)
    assert found["B1"].end_s == 1000.0


def test_the_plot_is_a_picture_with_a_line_and_a_name_for_each() -> None:
    rounds = [as_json(one_round(B1=500.0, B2=12.0, B3=900.0, tlsearch=10.0))]
    b3_scores = {"heads_celebs": {"terms": {}, "scores": [0.3, 0.6]}}
    drawn = ET.fromstring(plot({"rounds": rounds, "b3_scores": b3_scores}))
    words = [element.text or "" for element in drawn.iter() if element.tag.endswith("text")]
    assert {"B1, plain loop", "B2, by hand", "B3, KerasTuner", "tlsearch"} <= set(words)
    assert sum(element.tag.endswith("circle") for element in drawn.iter()) == 4
    assert "Nothing was measured yet." in plot({})


def test_labels_never_lie_on_one_another() -> None:
    assert apart([100.0, 101.0, 300.0]) == [100.0, 134.0, 300.0]
    assert [duration(seconds) for seconds in (12.34, 90, 1200, 7200)] == ["12.3 s", "1.5 min", "20 min", "2 h"]


def test_a_row_has_its_own_name_and_tlsearch_in_it() -> None:
    assert len({each.name for each in ROWS}) == len(ROWS)
    assert all("tlsearch" in each.contenders for each in ROWS)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--rows", "nonsense"], "there is no row 'nonsense'"),
        (["--gather", "missing.json"], "missing.json: No such file or directory"),
        (["--gather", "other.json"], "other.json is not what a benchmark writes with --json"),
    ],
)
def test_what_cannot_be_measured_or_gathered_is_told_before_anything_is_measured(
    given: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.json").write_text("[]")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["peers.py", *given])
    with pytest.raises(SystemExit):
        command_line()
    assert told in capsys.readouterr().err
