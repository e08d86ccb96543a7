"""What was found in the data, in words that a terminal and a page share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tlsearch.data.split import OF_GROUP
from tlsearch.records import Json
from tlsearch.report.alike import near_pairs, under_two_labels
from tlsearch.report.data_check import DataCheck
from tlsearch.report.text import number, plural

COUNTED = (  # findings by name: one of them, many, and what that means
    ("unreadable", "file could not be read", "files could not be read", "skipped"),
    (
        "dropped",
        "picture left out",
        "pictures left out",
        "an equal or nearly equal picture, or one of their group, is held out, and a model would be tested on what it "
        "has seen",
    ),
    (
        "duplicates",
        "set of equal pictures",
        "sets of equal pictures",
        "equal in every pixel; each set stays on one side of every split",
    ),
    (
        "near",
        "pair of nearly equal pictures",
        "pairs of nearly equal pictures",
        "resized, recompressed, cropped a little or mirrored; each pair stays on one side of every split",
    ),
    (
        "too_alike",
        "large group of pictures that look alike",
        "large groups of pictures that look alike",
        "too many hang together to keep each on one side of every split; where they show one object, name it with "
        "group_by",
    ),
    (
        "enlarged",
        "picture smaller than the largest network's input",
        "pictures smaller than the largest network's input",
        "enlarged; larger originals would show it more",
    ),
    ("ignored", "file ignored", "files ignored", "hidden, or no picture by name"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One kind of thing that was found.

    Args:
        title: What, and how many: "2 sets of equal pictures".
        said: What it means and what was done about it, as it stands after a colon.
    """

    title: str
    said: str

    @property
    def sentence(self) -> str:
        """Both in one line."""
        return f"{self.title}: {self.said}."

    @property
    def explained(self) -> str:
        """What it means, below the title."""
        return f"{self.said[0].upper()}{self.said[1:]}."


def told(findings: Mapping[str, Json]) -> dict[str, Told]:
    """What a person should know of pictures that were skipped, dropped, tied together or changed, by finding.

    Args:
        findings: As a study's context has them; of what was not found nothing is told.
    """
    found = {
        name: Told(title=plural(how_many(findings[name]), one, many), said=said)
        for name, one, many, said in COUNTED
        if how_many(findings.get(name))
    }
    if converted := findings.get("conversions"):
        by_rule = ", ".join(f"{number(int(count))} {rule}" for rule, count in sorted(converted.items()))
        found["conversions"] = Told(title="Pictures converted", said=by_rule)
    return found


def in_groups(keys: Sequence[str]) -> str:
    """How many groups the pictures come in, as a table, a pattern or the source itself names them; "" where none does.

    Args:
        keys: As `group_keys` makes them, one a picture.
    """
    named = [key for key in keys if key.startswith(OF_GROUP)]
    if not named:
        return ""
    which = f"{number(len(named))} of them" if len(named) < len(keys) else "They"
    verb = "comes" if len(named) == 1 < len(keys) else "come"
    return f"{which} {verb} in {plural(len(set(named)), 'group')}, each kept on one side of every split."


def two_labels(findings: Mapping[str, Json]) -> str:
    """How many pairs of nearly equal pictures stand under two labels, which come first; "" where none do."""
    count = sum(under_two_labels(pair) for pair in near_pairs(findings))
    if not count:
        return ""
    stand = plural(count, "pair stands under two labels, and comes", "pairs stand under two labels, and come")
    return f"{stand} first: one of the labels may be wrong."


def doubted(check: DataCheck) -> Told:
    """The labels worth a second look."""
    named = f"; the {number(len(check.doubts))} most suspicious are named" if check.suspects > len(check.doubts) else ""
    return Told(
        title=plural(check.suspects, "label worth a second look", "labels worth a second look"),
        said=f"they look like another class to a classifier that never saw them{named}. Wrong labels stand out so, and "
        "hard pictures too. Those whose own label is the least likely come first: stop where they turn out right",
    )


def how_many(found: Json) -> int:
    """How many things a finding holds: a store has a list of them or only the number; 0 where none were looked for."""
    if found is None:
        return 0
    return len(found) if isinstance(found, list | tuple | dict) else int(found)
