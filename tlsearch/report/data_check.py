"""What probes said of the data, as plain values: labels worth a second look, and whether more pictures would help."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import nan

from tlsearch.records import Json
from tlsearch.report.text import Words

WORTH = 0.01  # of a score: a smaller gain from twice the pictures is not worth taking them
MUCH = 0.02
HALF, ALL = 1, -1  # places in a curve of a quarter, a half, three quarters and all


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelDoubt:
    """A picture whose label looks wrong.

    Args:
        file: The picture.
        label: Its class.
        suggested: The class that it looks like.
        probability: Of its own label, by fits that did not train on it.
        sure: The probability of the suggested class, likewise.
    """

    file: str
    label: str
    suggested: str
    probability: float
    sure: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """What fewer pictures would have given: would more help?

    Args:
        images: Pictures trained on: a quarter, a half, three quarters and all of what a fold leaves.
        score: For each; greater is better.
        low: The lower end of each score's interval.
        high: The upper end.
        per_class: Recall of each class, likewise.
        says: The conclusion in a sentence or two.
    """

    images: tuple[int, ...]
    score: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    per_class: Mapping[str, tuple[float, ...]]
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCheck:
    """What probes on the features of `network` said of so many images; doubts are the most suspicious first."""

    network: str
    images: int
    doubts: tuple[LabelDoubt, ...]
    learning: LearningCurve

    def to_json(self) -> dict[str, Json]:
        """What `tlsearch report --json` prints of it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> "DataCheck":
        """Read the file "data_check" of a study."""
        curve = data["learning"]
        return cls(
            network=data["network"],
            images=data["images"],
            doubts=tuple(LabelDoubt(**doubt) for doubt in data["label_errors"]),
            learning=LearningCurve(
                images=tuple(curve["images"]),
                score=tuple(curve["score"]),
                low=tuple(curve["low"]),
                high=tuple(curve["high"]),
                per_class={name: tuple(map(_known, recalls)) for name, recalls in curve["per_class"].items()},
                says=curve["says"],
            ),
        )


def would_more_help(
    scores: Sequence[float], rise: tuple[float, float], per_class: Mapping[str, Sequence[float]], metric: str
) -> str:
    """Whether more pictures would help, in a sentence or two.

    Args:
        scores: Trained on a quarter, a half, three quarters and all of the pictures.
        rise: The interval of the gain from half of them to all.
        per_class: Recall of each class, likewise.
        metric: What a score means.
    """
    words = Words(metric=metric)
    half, whole = words.score(scores[HALF]), words.score(scores[ALL])
    gave = f"half of these gave {half}, all of them {whole}"
    low, high = rise
    gain = scores[ALL] - scores[HALF]
    if high < WORTH:
        return f"More pictures like these would hardly help: {gave}."
    if low <= 0:
        return f"Whether more pictures would help cannot be told: {gave}, which may be luck."
    helped = "would help" if gain >= MUCH else "would help a little"
    said = f"More pictures {helped}: {gave}."
    name, before, after = _gains_most(per_class)
    if after - before < MUCH:
        return said
    return (
        f"{said} '{name}' gains most: {100 * before:.0f} % of its pictures were recognised, then {100 * after:.0f} %."
    )


def _known(recall: float | None) -> float:
    # a class without pictures in a share has no recall, which JSON writes as null
    return nan if recall is None else recall


def _gains_most(per_class: Mapping[str, Sequence[float]]) -> tuple[str, float, float]:
    name = max(per_class, key=lambda one: per_class[one][ALL] - per_class[one][HALF])
    return name, per_class[name][HALF], per_class[name][ALL]
