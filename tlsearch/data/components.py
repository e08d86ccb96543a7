"""Components: what is linked with one another, directly or through others."""

from collections.abc import Iterable


def linked_components(count: int, links: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The items 0 to `count` - 1 in groups, so that linked ones are in one group.

    Args:
        count: Of items.
        links: Pairs of items.

    Returns:
        Every item once; items ascending in each group, groups by their first item.
    """
    parent = list(range(count))

    def root(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for one, other in links:
        parent[root(one)] = root(other)
    members: dict[int, list[int]] = {}
    for item in range(count):
        members.setdefault(root(item), []).append(item)
    return list(members.values())
