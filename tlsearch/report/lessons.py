"""What a search taught beside its winner, as plain frozen values: networks, depths, parameters, classes, time."""

from dataclasses import dataclass

from tlsearch.stats import ClassScores


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneSummary:
    """A network and how it did; the same network with the same weights in two frameworks is one.

    Args:
        names: As the study lists them.
        frameworks: Of each name.
        weights: The source's name.
        trained_on: What the weights saw.
        license: Of the weights.
        image_px: Side of the input.
        completed: Completed trials, without baselines.
        fine_tuned: Those of them that trained a part of the network.
        best: The best plain score; None without a completed trial.
        median: The median, likewise.
    """

    names: tuple[str, ...]
    frameworks: tuple[str, ...]
    weights: str
    trained_on: str
    license: str
    image_px: int
    completed: int
    fine_tuned: int
    best: float | None
    median: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """Importance of parameters that only some trials have."""

    where: str  # such as "head=mlp"
    trials: int
    shares: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """How much of the score each parameter explains.

    Args:
        shares: Of the parameters that all trials share, largest first.
        branches: Of the others.
        withheld: Why there are none, else "".
    """

    shares: tuple[tuple[str, float], ...]
    branches: tuple[Branch, ...]
    withheld: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthResponse:
    """Searched trials that trained equally many stages."""

    unfrozen: int
    trials: int
    best: float
    median: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A picture that the winner gets wrong, by a model that did not train on it."""

    file: str
    truth: str
    predicted: str
    probability: float  # of the wrong answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """How the winner answers, class by class, out of fold.

    Args:
        confusion: Row: true class; column: predicted class; counts.
        per_class: In label order.
        mistakes: The surest of the wrong answers, worst first.
        wrong: How many there are in all.
    """

    confusion: tuple[tuple[int, ...], ...]
    per_class: tuple[ClassScores, ...]
    mistakes: tuple[Mistake, ...]
    wrong: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSummary:
    """What the feature cache saved.

    Args:
        hits: Reads answered from the cache.
        misses: Reads that had to be computed.
        pictures: Pictures that went through a frozen network.
        seconds: What that took.
        pictures_without: How many would have gone through it if every trial had begun with the pictures.
    """

    hits: int
    misses: int
    pictures: int
    seconds: float
    pictures_without: int

    @property
    def seconds_saved(self) -> float:
        """About what the spared passes would have taken, at the speed of those that were made."""
        if self.pictures == 0:
            return 0.0
        return max(0.0, (self.pictures_without - self.pictures) * self.seconds / self.pictures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Trials that failed for one reason."""

    reason: str
    trials: tuple[int, ...]
    detail: str  # of the first
