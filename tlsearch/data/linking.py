"""Links: which pictures show one photograph, and stay on one side of every split for it."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tlsearch.data.components import linked_components
from tlsearch.data.pixels import PixelStore
from tlsearch.records import Json

COMPARED_PX = 128  # the shorter side at which pictures are compared, whatever a study's networks need
LARGEST, LARGEST_SHARE = 10, 0.01  # of pictures in a component: above both, pictures are of a kind, not copies


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Two pictures that show one photograph, each told by the hash of its pixels.

    Args:
        one: A hash of `PixelStore.hashes`.
        other: The other's.
        likeness: Correlation of their aligned pixels, at most 1.
        mirrored: Whether one is the other's mirror image.
    """

    one: str
    other: str
    likeness: float
    mirrored: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """What was found among the pictures of a dataset.

    Args:
        kept: The links that hold pictures together.
        too_alike: Hashes of pictures that are linked into components too large to be copies of one photograph; they
            are told, and not held together.
        note: A sentence on what was not looked at; "" where nothing was left out.
    """

    kept: tuple[Link, ...] = ()
    too_alike: tuple[tuple[str, ...], ...] = ()
    note: str = ""

    def among(self, hashes: Collection[str]) -> "Links":
        """Those that hold pictures of these hashes together: a picture may have been deleted since they were found."""
        return replace(self, kept=tuple(link for link in self.kept if link.one in hashes and link.other in hashes))


FindLinks = Callable[[PixelStore, Sequence[Path], Sequence[int]], Links]
"""Finds links among pictures of a store, given its files and the indices to look at: one of each set of equal ones."""


def links_of(found: Iterable[Link], pictures: int, *, note: str = "") -> Links:
    """Sort confirmed links into those that hold pictures together and those that are only told.

    Args:
        found: Confirmed links.
        pictures: How many different ones were looked at.
        note: A sentence on what was not looked at.
    """
    links = sorted(found, key=lambda link: (link.one, link.other))
    hashes = sorted({digest for link in links for digest in (link.one, link.other)})
    place = {digest: index for index, digest in enumerate(hashes)}
    components = linked_components(len(hashes), [(place[link.one], place[link.other]) for link in links])
    large = [linked for linked in components if len(linked) > max(LARGEST, LARGEST_SHARE * pictures)]
    apart = {hashes[index] for linked in large for index in linked}
    return Links(
        kept=tuple(link for link in links if link.one not in apart),
        too_alike=tuple(tuple(hashes[index] for index in linked) for linked in large),
        note=note,
    )


def near_findings(
    links: Links, hashes: Sequence[str], files: Sequence[str], labels: Sequence[int], classes: Sequence[str]
) -> tuple[tuple[Mapping[str, Json], ...], tuple[tuple[str, ...], ...]]:
    """Links by the names of files, for the store and for people; of equal pictures the first is named.

    Args:
        links: Among these pictures.
        hashes: One a picture.
        files: Their names.
        labels: Their classes.
        classes: Names in label order.

    Returns:
        The findings "near", a dictionary a pair, the likest first; and "too_alike", lists of files.
    """
    first = {digest: index for index, digest in reversed(list(enumerate(hashes)))}
    near = []
    for link in sorted(links.kept, key=lambda link: (-link.likeness, link.one, link.other)):
        pair = sorted((first[link.one], first[link.other]))
        told: Mapping[str, Json] = {
            "files": [files[index] for index in pair],
            "likeness": round(link.likeness, 4),
            "how": "mirrored" if link.mirrored else "pixels",
            "labels": [classes[labels[index]] for index in pair],
            "hashes": [hashes[index] for index in pair],
        }
        near.append(told)
    too_alike = (tuple(files[first[digest]] for digest in linked) for linked in links.too_alike)
    return tuple(near), tuple(too_alike)


def recorded_links(findings: Mapping[str, Json]) -> Links:
    """The links that a study began with: none where it began before pictures were compared.

    Args:
        findings: Of its context.
    """
    kept = (
        Link(one=one, other=other, likeness=float(pair["likeness"]), mirrored=pair["how"] == "mirrored")
        for pair in findings.get("near", ())
        for one, other in [sorted(pair["hashes"])]
    )
    return Links(kept=tuple(kept))
