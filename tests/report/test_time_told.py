"""Where the time went: every second that a run took is told, whether its part came to an end or not."""

from typing import Any

Records = Any  # the conftest's


def test_seconds_are_summed_by_phase_over_all_runs(finished: Records) -> None:
    assert finished.summary().seconds == {"data": 3.1, "features": 41.0, "search": 160.0, "confirmation": 31.0}


def test_what_a_killed_run_took_is_told_though_its_part_was_never_timed(records: Records) -> None:
    records.tell("run_started", run_s=2.0)
    records.tell("phase_timed", phase="data", seconds=2.0, run_s=2.0)
    records.tell("told", trial=0, run_s=1800.0)  # and then it was killed
    records.tell("run_started", run_s=1.0)
    records.tell("phase_timed", phase="data", seconds=1.0, run_s=1.0)
    records.tell("phase_timed", phase="search", seconds=298.0, run_s=299.5)
    records.tell("run_ended", run_s=320.0)
    assert records.summary().seconds == {"data": 3.0, "search": 298.0, "interrupted or in work": 1798.0}


def test_the_moments_between_two_parts_are_no_interruption(records: Records) -> None:
    records.tell("run_started", run_s=1.0)
    records.tell("phase_timed", phase="search", seconds=40.0, run_s=40.4)
    records.tell("run_stopped", run_s=40.5)
    assert records.summary().seconds == {"search": 40.0}
