"""Which pictures that are like others are shown, and in which order.

A run stores small copies of them, and a page looks them up: both ask here, so that they mean the same pictures.
"""

from collections.abc import Mapping

from tlsearch.records import Json

MOST_SETS = 12  # of nearly equal pictures, and of equal ones
MOST_GROUPS = 4  # of pictures too many and too alike to be copies
MOST_OF_A_SET = 6

Pair = Mapping[str, Json]  # of the finding "near"


def near_pairs(findings: Mapping[str, Json]) -> list[Pair]:
    """Pairs of pictures that show one photograph: those under two labels first, then the likest.

    Args:
        findings: As a study's context has them.
    """
    return sorted(findings.get("near") or (), key=lambda pair: (not under_two_labels(pair), -float(pair["likeness"])))


def under_two_labels(pair: Pair) -> bool:
    """Whether one photograph stands in two classes, of which one must be wrong."""
    return len(set(pair.get("labels") or ())) > 1


def shown_files(findings: Mapping[str, Json]) -> list[str]:
    """The files of which a report shows small copies, the most telling first; a file may come twice.

    Args:
        findings: As a study's context has them.
    """
    near = [pair["files"] for pair in near_pairs(findings)[:MOST_SETS]]
    equal = (findings.get("duplicates") or ())[:MOST_SETS]
    groups = (findings.get("too_alike") or ())[:MOST_GROUPS]
    return [str(file) for files in (*near, *equal, *groups) for file in files[:MOST_OF_A_SET]]
