"""The rows of the comparison with peers: what each searches, whom it is held against, and what is promised."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

WHO = {
    "B1": "Optuna and a plain PyTorch loop",
    "B2": "features, or the values at the cut, once, by hand",
    "B3": "KerasTuner on the torch backend",
    "tlsearch": "the command `tlsearch run`, empty cache",
}

NO_TERMS = ("name", "title", "rounds")  # fields of a row that its time does not depend on


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """How one of them runs in a row.

    Args:
        trials: That are run; None runs all. The time of the others is multiplied.
        epochs: Of each trial that are run; None runs all, and so on.
        target: How often tlsearch fits into its time, at least; None promises nothing.
        stretch: What is hoped for.
    """

    trials: int | None = None
    epochs: int | None = None
    target: float | None = None
    stretch: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One comparison.

    Args:
        name: As the command line and the raw numbers call it.
        title: As the table calls it.
        data: "elpv" or "celebs".
        trials: Of the search.
        epochs: Of each trial.
        heads: Searched.
        unfrozen: Stages that every trial trains, counted from the head.
        backbone: Of tlsearch; the peers have the same network and weights.
        contenders: By name, in the order of even rounds; "tlsearch" among them.
        rounds: Steady ones that are played at the least.
    """

    name: str
    title: str
    data: str
    trials: int
    epochs: int = 5
    heads: tuple[str, ...] = ("linear", "mlp")
    unfrozen: int = 0
    backbone: str = "mobilenet_v2"
    contenders: Mapping[str, Contender] = field(default_factory=dict)
    rounds: int = 5

    @property
    def setting(self) -> str:
        """Data, sizes and cuts, in words."""
        pictures = {"elpv": "2 624 ELPV photographs", "celebs": "150 drawings of celebs_demo"}[self.data]
        cut = f"trains the last {self.unfrozen} of 19 stages" if self.unfrozen else "all 19 stages frozen"
        heads = " and ".join(self.heads)
        return f"{pictures}, 160 px, {self.trials} trials, {self.epochs} epochs, {heads} heads, {self.backbone}: {cut}"

    @property
    def terms(self) -> dict[str, Any]:
        """All that a round's time depends on, as it travels as JSON: without titles, goals and the number of rounds."""
        told: dict[str, Any] = {key: value for key, value in asdict(self).items() if key not in NO_TERMS}
        parts = {who: {"trials": how.trials, "epochs": how.epochs} for who, how in self.contenders.items()}
        return {**told, "heads": list(self.heads), "contenders": parts}


ALL = Contender()
TOO_FEW_TO_RACE = 6  # trials: each is trained to its end
ROWS = (
    Row(
        name="heads_elpv",
        title="linear and mlp heads, photographs",
        data="elpv",
        trials=50,
        contenders={
            "B1": Contender(trials=1, epochs=2, target=100, stretch=300),
            "B2": ALL,
            "B3": Contender(trials=1, epochs=2, target=100, stretch=300),
            "tlsearch": ALL,
        },
    ),
    Row(
        name="heads_celebs",
        title="linear and mlp heads, drawings",
        data="celebs",
        trials=50,
        contenders={
            "B1": Contender(trials=4, target=15, stretch=40),
            "B2": ALL,
            "B3": Contender(trials=2, target=60, stretch=200),
            "tlsearch": ALL,
        },
    ),
    Row(
        name="linear_50",
        title="linear heads, 50 trials",
        data="elpv",
        trials=50,
        heads=("linear",),
        contenders={
            "B1": Contender(trials=1, epochs=2, target=100, stretch=300),
            "B2": Contender(target=1.5, stretch=3),
            "tlsearch": ALL,
        },
    ),
    Row(
        name="linear_500",
        title="linear heads, 500 trials",
        data="elpv",
        trials=500,
        heads=("linear",),
        contenders={"B2": Contender(target=3, stretch=6), "tlsearch": ALL},
    ),
    Row(
        name="tuned_4",
        title="trials that train the last 4 stages",
        data="elpv",
        trials=50,
        unfrozen=4,
        contenders={
            "B1": Contender(trials=1, epochs=2, target=3, stretch=5),
            "B2": Contender(trials=3),
            "tlsearch": Contender(trials=TOO_FEW_TO_RACE),
        },
    ),
    Row(
        name="tuned_1",
        title="trials that train the last stage",
        data="elpv",
        trials=50,
        unfrozen=1,
        contenders={
            "B1": Contender(trials=1, epochs=2, target=6, stretch=10),
            "B2": Contender(trials=6),
            "tlsearch": Contender(trials=12),
        },
    ),
    Row(
        name="tuned_4_keras",
        title="the same 4 stages in Keras",
        data="elpv",
        trials=50,
        unfrozen=4,
        backbone="mobilenet_v2_keras",
        rounds=2,  # nothing is promised of it
        contenders={"B3": Contender(trials=1, epochs=2), "tlsearch": Contender(trials=TOO_FEW_TO_RACE)},
    ),
)
QUICK = "linear_50"


def row(name: str) -> Row:
    """The row of that name; KeyError where there is none."""
    return {each.name: each for each in ROWS}[name]
