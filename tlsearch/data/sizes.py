"""Sizes of classes, and from where on they differ so much that plain accuracy misleads."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

SKEWED = 3.0  # the largest class over the smallest


def class_sizes(
    classes: Sequence[str], labels: Sequence[int], parts: Sequence[str], used: Iterable[int]
) -> dict[str, int]:
    """Pictures of each class outside of a ready test part, which may be dealt otherwise and is never learned from.

    They are counted before a holdout is taken of them, so that whoever looks at the pictures counts alike.

    Args:
        classes: Names in label order.
        labels: One a picture.
        parts: One a picture of a dataset that comes split; empty elsewhere.
        used: Indices of the pictures that a study uses.
    """
    counts = Counter(labels[index] for index in used if not parts or parts[index] != "test")
    return {name: counts[label] for label, name in enumerate(classes)}


def is_skewed(sizes: Mapping[str, int]) -> bool:
    """Whether the largest class has over three times the pictures of the smallest."""
    return max(sizes.values(), default=0) > SKEWED * min(sizes.values(), default=0)
