"""What probes said of the data, as plain values: labels worth a second look, and whether more pictures would help."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isnan, nan

from tlsearch.records import Json
from tlsearch.report.text import Words
from tlsearch.stats.learning import ALL, HALF, SHARES

WORTH = 0.01  # of a score: a smaller gain from twice the pictures is not worth taking them
MUCH = 0.02


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
class ClassGain:
    """How many of a class's pictures are recognised, by fits on half of the pictures and on all of them."""

    name: str
    half: float
    whole: float

    @property
    def gain(self) -> float:
        """What the second half gave."""
        return self.whole - self.half


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """What fewer pictures would have given: would more help?

    Args:
        images: Pictures trained on: a quarter, a half, three quarters and all of what a fold leaves.
        score: For each; greater is better.
        low: The lower end of each score's interval.
        high: The upper end.
        per_class: Recall of each class, likewise; NaN for a class without pictures in a share.
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
    """What probes on the features of `network` said of so many images.

    Args:
        network: Or several, in words.
        images: How many were looked at.
        suspects: Of how many of them the label is doubted.
        doubts: The most suspicious of these, first the most.
        learning: What fewer images would have given.
    """

    network: str
    images: int
    suspects: int
    doubts: tuple[LabelDoubt, ...]
    learning: LearningCurve

    def to_json(self) -> dict[str, Json]:
        """As a study stores it, and as every `--json` prints it."""
        curve = self.learning
        return {
            "network": self.network,
            "images": self.images,
            "suspects": self.suspects,
            "label_errors": [asdict(doubt) for doubt in self.doubts],
            "learning": {
                "shares": list(SHARES),
                "images": list(curve.images),
                "score": list(curve.score),
                "low": list(curve.low),
                "high": list(curve.high),
                "per_class": {name: list(map(_written, recalls)) for name, recalls in curve.per_class.items()},
                "says": curve.says,
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Json]) -> "DataCheck":
        """Read the file "data_check" of a study."""
        curve = data["learning"]
        return cls(
            network=data["network"],
            images=data["images"],
            suspects=data.get("suspects", len(data["label_errors"])),  # older studies store only the list
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
    most = class_gains(per_class)[:1]
    if not most or most[0].gain < MUCH:
        return said
    shares = f"{100 * most[0].half:.0f} % of its pictures were recognised, then {100 * most[0].whole:.0f} %"
    return f"{said} '{most[0].name}' gains most: {shares}."


def class_gains(per_class: Mapping[str, Sequence[float]]) -> tuple[ClassGain, ...]:
    """What twice the pictures gave to each class, the most first; classes whose recall is not known are left out.

    Args:
        per_class: Recall of each class, by fits on a quarter, a half, three quarters and all of the pictures.
    """
    found = [ClassGain(name=name, half=recalls[HALF], whole=recalls[ALL]) for name, recalls in per_class.items()]
    return tuple(sorted((one for one in found if not isnan(one.gain)), key=lambda one: -one.gain))


def _known(recall: float | None) -> float:
    return nan if recall is None else recall


def _written(recall: float) -> float | None:
    return None if isnan(recall) else recall  # JSON knows no NaN
