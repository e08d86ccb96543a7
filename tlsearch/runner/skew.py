"""What is done about classes of unequal size where the study file says nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from tlsearch.data.sizes import is_skewed
from tlsearch.study import Imbalance, Metric, StudyConfig

ANSWERS: tuple[Imbalance, ...] = get_args(Imbalance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a study does about the sizes of its classes.

    Args:
        metric: What is searched for.
        imbalance: What training may do about it.
        said: What was decided for the user, in a sentence; "" where nothing was.
    """

    metric: Metric
    imbalance: tuple[Imbalance, ...]
    said: str


def answer_to_skew(config: StudyConfig, per_class: Mapping[str, int]) -> Answer:
    """What the study file says; where it says nothing, what the sizes of the classes ask for.

    Args:
        config: The study.
        per_class: Pictures of each class, at least one, as `class_sizes` counts them.
    """
    smallest, *_, largest = sorted(per_class, key=lambda name: per_class[name])
    metric, imbalance = config.study.metric, config.search.imbalance
    if not is_skewed(per_class):
        return Answer(metric=metric or "accuracy", imbalance=imbalance or ("none",), said="")
    decided = []
    if metric is None:
        decided.append("the score is balanced accuracy, for which every class counts alike")
    if imbalance is None:
        decided.append("class weights, balanced sampling and logit adjustment are tried as well")
    sizes = f"'{largest}' has {per_class[largest]} pictures and '{smallest}' {per_class[smallest]}"
    return Answer(
        metric=metric or "balanced_accuracy",
        imbalance=imbalance or ANSWERS,
        said=f"{sizes}, so {', and '.join(decided)}." if decided else "",
    )
