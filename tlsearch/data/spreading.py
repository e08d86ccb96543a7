"""Spreads classes: in a deal of groups that hold several classes, moves groups so that no part lacks a class."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence


def spread(members: Mapping[str, Sequence[int]], part_of: Mapping[str, int], parts: int) -> dict[str, int]:
    """Move groups until every part has every class, or no move brings that nearer.

    Groups are dealt by their many pictures; the few of a rare class that stand among them may all come to lie in one
    part. Where classes have groups of their own, none of their parts lacks them, and nothing is moved. A class with
    fewer groups than there are parts is left as it was dealt.

    Like a pass of Fiduccia and Mattheyses 1982, "A linear-time heuristic for improving network partitions"
    (https://doi.org/10.1109/DAC.1982.1585498), it takes the best move, one group after another and each at most once,
    and goes on over moves that leave as many gaps as there were.

    Args:
        members: The labels of each group's pictures; of moves that are alike, the first group's is taken.
        part_of: The part of each group, from 0.
        parts: How many there are.

    Returns:
        The part of each group; it leaves no more gaps than the given one.
    """
    deal = _Deal(members, part_of, parts)
    while (move := deal.best_move()) is not None:
        deal.make(*move)
    return deal.part_of


class _Deal:
    """A deal that can be changed; a gap in it is a part that lacks a class."""

    def __init__(self, members: Mapping[str, Sequence[int]], part_of: Mapping[str, int], parts: int) -> None:
        self.part_of = dict(part_of)
        self._parts = parts
        self._size = {group: len(labels) for group, labels in members.items()}
        self._classes = {group: frozenset(labels) for group, labels in members.items()}
        self._unmoved: dict[int, list[str]] = defaultdict(list)  # the groups of each class
        self._bringing: Counter[tuple[int, int]] = Counter()  # how many groups bring a class to a part
        for group, classes in self._classes.items():
            for label in classes:
                self._unmoved[label].append(group)
                self._bringing[label, part_of[group]] += 1
        self._everywhere = [label for label, groups in sorted(self._unmoved.items()) if len(groups) >= parts]

    def best_move(self) -> tuple[str, int] | None:
        """The group and the part that close the most gaps, of several the smallest group; None where all open more."""
        closing = ((self._closed(group, part), -self._size[group], group, part) for group, part in self._into_gaps())
        closed, _, group, part = max(closing, key=lambda move: move[:2], default=(-1, 0, "", 0))
        return None if closed < 0 else (group, part)

    def make(self, group: str, part: int) -> None:
        """Give a group to a part, for good."""
        for label in self._classes[group]:
            self._unmoved[label].remove(group)
            self._bringing[label, self.part_of[group]] -= 1
            self._bringing[label, part] += 1
        self.part_of[group] = part

    def _into_gaps(self) -> Iterator[tuple[str, int]]:
        """Every move that closes a gap, whatever it opens."""
        for label in self._everywhere:
            for part in range(self._parts):
                if not self._bringing[label, part]:
                    yield from ((group, part) for group in self._unmoved[label])

    def _closed(self, group: str, part: int) -> int:
        """By how many gaps a move leaves fewer."""
        left = self.part_of[group]
        classes = self._classes[group]
        closed = sum(not self._bringing[label, part] for label in classes)
        return closed - sum(self._bringing[label, left] == 1 for label in classes)
