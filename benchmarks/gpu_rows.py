"""What is promised of a GPU: the two comparisons, and the share of the memory's bandwidth that extraction takes."""

from collections.abc import Mapping

from figures import Figure, digits
from peers_processes import Timed
from peers_rounds import OURS
from peers_rows import ALL, Contender, Row

GPU = "gpu"  # whose figures these are
MANY = Row(
    name="heads_2000",
    title="head trials a second, 2 000 trials",
    data="drawn",
    trials=2_000,
    contenders={
        "B1": Contender(trials=3, target=1000, stretch=3000),
        "B2": Contender(trials=30, target=50, stretch=200),
        OURS: ALL,
    },
)
WALL = Row(
    name="wall_200",
    title="wall time of 200 trials, from process start",
    data="drawn",
    trials=200,
    contenders={
        "B1": Contender(trials=3, target=300, stretch=1000),
        "B2": Contender(target=8, stretch=15),
        OURS: ALL,
    },
)
OF_BOUND, OF_BOUND_STRETCH = 60.0, 90.0  # percent


def promised() -> list[Figure]:
    """All rows, nothing measured."""
    found = [_against(row, who, None, "") for row in (MANY, WALL) for who in row.contenders if who != OURS]
    return [*found, of_bound(None)]


def rates(times: Mapping[str, Timed]) -> list[Figure]:
    """Trials a second of the search alone: how many times as many tlsearch does."""
    each = {who: 1 / timed.trial_s for who, timed in times.items()}
    ours = each[OURS]
    told = {who: f"{digits(rate)} against {digits(ours)} a second" for who, rate in each.items()}
    return [_against(MANY, who, ours / each[who], told[who]) for who in MANY.contenders if who != OURS]


def walls(times: Mapping[str, Timed]) -> list[Figure]:
    """How often tlsearch's whole command fits into the others' time."""
    ours = times[OURS].seconds
    told = {who: f"{digits(timed.seconds)} s against {digits(ours)} s" for who, timed in times.items()}
    return [_against(WALL, who, times[who].seconds / ours, told[who]) for who in WALL.contenders if who != OURS]


def of_bound(share: float | None, told: str = "") -> Figure:
    """The share of the bound, in percent, that extraction takes."""
    return Figure(
        row="MobileNetV2 extraction from pixels on the device",
        target=OF_BOUND,
        stretch=OF_BOUND_STRETCH,
        measured=share,
        unit="% of the bandwidth bound",
        told=told,
    )


def _against(row: Row, who: str, measured: float | None, told: str) -> Figure:
    how = row.contenders[who]
    words = f"{row.title}, against {who}"
    return Figure(row=words, target=how.target, stretch=how.stretch, measured=measured, unit="times", told=told)
