"""Numbers and names as people read them."""

import pytest

from tlsearch.report.charts import bar, gauge, span
from tlsearch.report.text import Words, duration, join, number, plural, spoken, trained
from tlsearch.stats import Interval


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min"), (200, "3 min 20 s"), (3900, "1 h 5 min")],
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_ticking_duration_has_no_tenths() -> None:
    assert duration(4.4, whole=True) == "4 s"


def test_shares_are_per_cent_and_a_log_loss_is_shown_as_a_loss() -> None:
    shares, loss = Words(metric="accuracy"), Words(metric="log_loss")
    assert shares.score(0.9166) == "91.7 %"
    assert shares.span(Interval(low=0.861, high=0.95)) == "86.1 to 95.0 %"
    assert shares.size(-0.061) == "6.1 points"
    assert shares.gain(0.061) == "+6.1"
    assert loss.score(-0.3124) == "0.312"
    assert loss.span(Interval(low=-0.4, high=-0.2)) == "0.200 to 0.400"


def test_what_is_not_known_is_a_dash() -> None:
    words = Words(metric="accuracy")
    assert (words.score(None), words.score(float("nan")), words.span(None)) == ("-", "-", "-")


def test_a_long_name_keeps_both_its_ends() -> None:
    cut = Words(metric="accuracy").name("start" + "x" * 300 + ".png").plain
    assert len(cut) == 60
    assert cut.startswith("start")
    assert cut.endswith(".png")


def test_counts_and_lists_are_put_into_words() -> None:
    assert plural(1, "trial") == "1 trial"
    assert plural(2, "class", "classes") == "2 classes"
    assert number(1234567) == "1 234 567"
    assert join(["a", "b", "c"]) == "a, b and c"
    assert join(["a"]) == "a"


@pytest.mark.parametrize(
    ("unfrozen", "stages", "said"),
    [
        (0, 19, "the whole network frozen"),
        (1, 19, "the last stage of 19 trained"),
        (3, 19, "the last 3 stages of 19 trained"),
        (3, None, "the last 3 stages trained"),
        (19, 19, "the whole network trained"),
        (None, None, "the whole network trained"),
    ],
)
def test_the_trained_part_is_put_into_words(unfrozen: int | None, stages: int | None, said: str) -> None:
    assert trained(unfrozen, stages) == said


def test_a_bar_is_as_long_as_its_share() -> None:
    assert bar(0.5, 10, ascii_only=True).plain == "#####"
    assert bar(0.5, 10, ascii_only=False).plain == "█████"
    assert bar(2.0, 4, ascii_only=True).plain == "####"
    assert gauge(0.25, 8, ascii_only=True).plain == "##......"


def test_a_span_stands_where_its_values_are() -> None:
    drawn = span(0.2, 0.5, 0.8, axis=(0.0, 1.0), width=11, ascii_only=True).plain
    assert drawn == "  |--o--|"
    assert span(0.5, 0.5, 0.5, axis=(0.5, 0.5), width=11, ascii_only=True).plain == "o"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("unfrozen", "stages trained"),
        ("suffix_lr_scale", "rate of trained stages"),
        ("mlp.hidden", "mlp: hidden"),
        ("batch_size", "batch size"),
    ],
)
def test_parameters_are_told_in_words(name: str, said: str) -> None:
    assert spoken(name) == said
