"""Two contenders on the pictures that both answered: by how much one is better, and where they part.

Pictures are paired by what they hash to, decoded, so the two studies' folders and file names may differ.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tlsearch.data.split import group_keys
from tlsearch.errors import DataError, UnknownNameError
from tlsearch.report.contender import Contender
from tlsearch.report.text import plural
from tlsearch.stats import Difference, difference, score
from tlsearch.stats.metrics import METRICS
from tlsearch.text import did_you_mean

FEWEST = 100  # pictures: with fewer, even 10 points are seldom told apart
SHOWN = 3  # class names in a message

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A picture that one contender names rightly and the other wrongly.

    Args:
        file: Its name in A's study.
        other_file: Its name in B's study.
        label: What it shows.
        mistaken: What the wrong one takes it for.
        sure: The probability that the wrong one gives to its mistake.
        right_sure: The probability that the right one gives to the label.
    """

    file: str
    other_file: str
    label: str
    mistaken: str
    sure: float
    right_sure: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassDiff:
    """How both fare in one class: pictures of it, those that each found, and those that only one of them found."""

    name: str
    pictures: int
    a_found: int
    b_found: int
    only_a: int
    only_b: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Which pictures were compared; a picture that one study has twice counts once.

    Args:
        a_only: Development pictures that A's study has and B's has not.
        b_only: The reverse.
        shared: Pictures that both have.
        relabelled: Names in A of shared pictures that stand in another class in B, which are left out.
        unscored: Shared pictures of one label that one of both was never asked about, left out as well.
        compared: The rest.
    """

    a_only: int
    b_only: int
    shared: int
    relabelled: tuple[str, ...]
    unscored: int
    compared: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """A against B.

    Args:
        a: One contender.
        b: The other.
        metric: What is compared; a log loss is negated, so greater is better.
        again: Whether answers of the second scoring are compared, whose folds and seeds picked neither.
        pairing: On which pictures.
        a_score: A's score on them.
        b_score: B's.
        difference: `a_score - b_score` with its 95 % interval.
        classes: Class by class, in A's order.
        a_right: Pictures that only A names rightly, those first about which the two are furthest apart.
        b_right: Pictures that only B names rightly, likewise.
    """

    a: Contender
    b: Contender
    metric: str
    again: bool
    pairing: Pairing
    a_score: float
    b_score: float
    difference: Difference
    classes: tuple[ClassDiff, ...]
    a_right: tuple[Changed, ...]
    b_right: tuple[Changed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pairs:
    """The compared pictures.

    Args:
        rows: `(m, 2)` places in A's and in B's study.
        labels: `(m,)` in A's order of classes.
        a: `(m, C)` A's log-probabilities.
        b: `(m, C)` B's, in A's order of classes.
        groups: `(m,)`: pictures that either study ties together are tied; None where neither has groups.
    """

    rows: Integers
    labels: Integers
    a: NDArray[np.float32]
    b: NDArray[np.float32]
    groups: Sequence[Hashable] | None


def compare(a: Contender, b: Contender, *, metric: str | None = None) -> Diff:
    """Compare two contenders, picture by picture.

    Args:
        a: One.
        b: The other.
        metric: As in a study file; None takes A's.

    Raises:
        DataError: Where their classes differ, they share too few pictures, or they are one and the same trial.
        UnknownNameError: Where there is no such metric.
    """
    metric = metric or a.metric
    if metric not in METRICS:
        raise UnknownNameError(f"there is no metric '{metric}'{did_you_mean(metric, METRICS)}", hint=_known())
    if a.is_the_trial_of(b):
        raise DataError(f"A and B are one trial: {a.entry.trial} of study '{a.study}'")
    _check_classes(a, b)
    again = a.again is not None and b.again is not None
    pairing, pairs = _paired(a, b, again=again)
    if pairing.compared < FEWEST:
        raise DataError(_too_few(pairing, a, b), hint="fewer tell two models apart only by luck")
    a_right, b_right = _right(pairs.a, pairs.labels), _right(pairs.b, pairs.labels)
    return Diff(
        a=a,
        b=b,
        metric=metric,
        again=again,
        pairing=pairing,
        a_score=score(metric, pairs.a, pairs.labels),
        b_score=score(metric, pairs.b, pairs.labels),
        difference=difference(pairs.a, pairs.b, pairs.labels, metric, groups=pairs.groups),
        classes=_by_class(a.classes, pairs.labels, a_right, b_right),
        a_right=_changed(a, b, pairs, np.flatnonzero(a_right & ~b_right), mistaken=pairs.b, right=pairs.a),
        b_right=_changed(a, b, pairs, np.flatnonzero(b_right & ~a_right), mistaken=pairs.a, right=pairs.b),
    )


def _check_classes(a: Contender, b: Contender) -> None:
    ours, theirs = set(a.classes), set(b.classes)
    if ours != theirs:
        told = [
            f"{plural(len(only), 'class', 'classes')} only in '{one.study}' ({_some(sorted(only))})"
            for one, only in ((a, ours - theirs), (b, theirs - ours))
            if only
        ]
        raise DataError(
            f"their classes differ: {' and '.join(told)}", hint="only models that answer one question can be compared"
        )


def _paired(a: Contender, b: Contender, *, again: bool) -> tuple[Pairing, _Pairs]:
    """Pair the pictures of both studies; what stands under two labels, or was not scored by both, is left out."""
    in_a, in_b = _first_places(a.hashes), _first_places(b.hashes)
    shared = np.array([(place, in_b[digest]) for digest, place in in_a.items() if digest in in_b], dtype=np.int64)
    shared = shared.reshape(-1, 2)
    column = [b.classes.index(name) for name in a.classes]  # where B keeps A's classes
    a_labels, b_labels = a.labels[shared[:, 0]], np.argsort(column)[b.labels[shared[:, 1]]]
    a_answers, b_answers = _answers(a, again=again), _answers(b, again=again)[:, column]
    agree = a_labels == b_labels
    scored = _scored(a_answers)[shared[:, 0]] & _scored(b_answers)[shared[:, 1]]
    rows = shared[agree & scored]
    pairing = Pairing(
        a_only=len(in_a) - len(shared),
        b_only=len(in_b) - len(shared),
        shared=len(shared),
        relabelled=tuple(a.files[place] for place in shared[~agree, 0]),
        unscored=int((agree & ~scored).sum()),
        compared=len(rows),
    )
    return pairing, _Pairs(
        rows=rows,
        labels=a_labels[agree & scored],
        a=a_answers[rows[:, 0]],
        b=b_answers[rows[:, 1]],
        groups=_groups(a, b, rows),
    )


def _first_places(hashes: Sequence[str]) -> dict[str, int]:
    places: dict[str, int] = {}
    for place, digest in enumerate(hashes):
        places.setdefault(digest, place)
    return places


def _answers(one: Contender, *, again: bool) -> NDArray[np.float32]:
    return one.again if again and one.again is not None else one.answers


def _scored(answers: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(~np.isnan(answers).any(axis=1))


def _groups(a: Contender, b: Contender, rows: Integers) -> Sequence[Hashable] | None:
    if a.groups is None and b.groups is None:
        return None
    of_a, of_b = (
        [f"{side}{place}" if one.groups is None else one.groups[place] for place in rows[:, side]]
        for side, one in enumerate((a, b))
    )
    return group_keys(of_a, of_b)


def _right(answers: NDArray[np.float32], labels: Integers) -> NDArray[np.bool_]:
    return np.asarray(answers.argmax(axis=1) == labels)


def _by_class(
    names: Sequence[str], labels: Integers, a_right: NDArray[np.bool_], b_right: NDArray[np.bool_]
) -> tuple[ClassDiff, ...]:
    def counted(which: NDArray[np.bool_]) -> list[int]:
        counts = np.bincount(labels[which], minlength=len(names))
        return [int(count) for count in counts]

    everything = np.ones(len(labels), dtype=bool)
    found = (everything, a_right, b_right, a_right & ~b_right, b_right & ~a_right)
    return tuple(
        ClassDiff(name=name, pictures=pictures, a_found=of_a, b_found=of_b, only_a=only_a, only_b=only_b)
        for name, pictures, of_a, of_b, only_a, only_b in zip(names, *map(counted, found), strict=True)
    )


def _changed(
    a: Contender,
    b: Contender,
    pairs: _Pairs,
    which: Integers,
    *,
    mistaken: NDArray[np.float32],
    right: NDArray[np.float32],
) -> tuple[Changed, ...]:
    """Pictures on which `right` is right and `mistaken` is not, the greatest distance of the two first."""
    found = [
        Changed(
            file=a.files[pairs.rows[row, 0]],
            other_file=b.files[pairs.rows[row, 1]],
            label=a.classes[pairs.labels[row]],
            mistaken=a.classes[int(mistaken[row].argmax())],
            sure=float(np.exp(mistaken[row].max())),
            right_sure=float(np.exp(right[row, pairs.labels[row]])),
        )
        for row in which.tolist()
    ]
    return tuple(sorted(found, key=lambda one: (-(one.sure + one.right_sure), one.file)))


def _too_few(pairing: Pairing, a: Contender, b: Contender) -> str:
    said = f"'{a.study}' and '{b.study}' share {plural(pairing.shared, 'picture')}"
    if pairing.relabelled:
        said += f", of which {len(pairing.relabelled)} stand in different classes"
    if pairing.unscored:
        said += f", of which {pairing.unscored} were not scored by both"
    return f"{said}: at least {FEWEST} that can be compared are needed"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:SHOWN])
    return f"{shown}, …" if len(names) > SHOWN else shown


def _known() -> str:
    return f"there are: {', '.join(METRICS)}"
