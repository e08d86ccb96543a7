"""Words and numbers as people read them: per cent, points, durations, and names that cannot steer a terminal."""

from dataclasses import dataclass
from math import isnan

from rich.console import Console
from rich.text import Text

from tlsearch.stats import Interval
from tlsearch.text import safe

LONGEST_NAME = 60
NOTHING = "-"
SPOKEN = {"unfrozen": "stages trained", "suffix_lr_scale": "rate of trained stages"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """How one study's numbers and names are written.

    Args:
        metric: What a score means; a log loss is negated in records and shown as it is.
        ascii_only: Whether the reader's terminal knows ASCII alone.
    """

    metric: str
    ascii_only: bool = False

    @classmethod
    def for_console(cls, metric: str, console: Console) -> "Words":
        """Words that a console can show."""
        return cls(metric=metric, ascii_only=console.options.ascii_only)

    @property
    def is_share(self) -> bool:
        """Whether scores are shares, shown in per cent."""
        return self.metric != "log_loss"

    def score(self, value: float | None) -> str:
        """A score: `91.7 %`, or `0.312` of a log loss."""
        if value is None or isnan(value):
            return NOTHING
        return f"{100 * value:.1f} %" if self.is_share else f"{-value:.3f}"

    def span(self, interval: Interval | None) -> str:
        """An interval: `86.1 to 95.0 %`; of a log loss from the lower loss to the higher one."""
        if interval is None or isnan(interval.low):
            return NOTHING
        if self.is_share:
            return f"{100 * interval.low:.1f} to {100 * interval.high:.1f} %"
        return f"{-interval.high:.3f} to {-interval.low:.3f}"

    def gain(self, value: float) -> str:
        """A signed difference of scores, positive where the first is better: `+6.1`, in points or of loss saved."""
        return f"{100 * value:+.1f}" if self.is_share else f"{value:+.3f}"

    def size(self, value: float) -> str:
        """The size of a difference: `6.1 points`, or `0.042 of log loss`."""
        return f"{100 * abs(value):.1f} points" if self.is_share else f"{abs(value):.3f} of log loss"

    def text(self, text: str, style: str = "") -> Text:
        """Any text as it is: never read as markup, and without what this terminal cannot show."""
        shown = safe(text)
        if self.ascii_only:
            shown = shown.encode("ascii", "backslashreplace").decode("ascii")
        return Text(shown, style=style)

    def name(self, text: str, style: str = "", *, longest: int = LONGEST_NAME) -> Text:
        """A name from outside: as `text`, and cut in the middle where it is long."""
        shown = self.text(text).plain
        if len(shown) > longest:
            dots = "..." if self.ascii_only else "…"
            half = (longest - len(dots)) // 2
            shown = shown[:half] + dots + shown[len(shown) - (longest - len(dots) - half) :]
        return Text(shown, style=style)


def duration(seconds: float, *, whole: bool = False) -> str:
    """`0.4 s`, `42 s`, `3 min 20 s`, `1 h 5 min`; `whole` where tenths would only flicker."""
    if seconds < 9.95 and not whole:
        return f"{seconds:.1f} s"
    rounded = round(seconds)
    if rounded < 60:
        return f"{rounded} s"
    minutes, rest = divmod(rounded, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def moment(at: str) -> str:
    """A time, given as UTC in ISO 8601: `2026-11-22 17:30 UTC`."""
    return f"{at[:16].replace('T', ' ')} UTC"


def plural(count: int, one: str, many: str = "") -> str:
    """`1 trial`, `2 trials`, `12 000 pictures`."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def number(count: int) -> str:
    """`12 000`: thousands apart."""
    return f"{count:,}".replace(",", " ")


def join(parts: list[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def trained(unfrozen: int | None, stages: int | None) -> str:
    """Which part of a network is trained, in words."""
    if unfrozen == 0:
        return "the whole network frozen"
    if unfrozen is None or (stages is not None and unfrozen >= stages):
        return "the whole network trained"
    which = "stage" if unfrozen == 1 else f"{unfrozen} stages"
    return f"the last {which} of {stages} trained" if stages is not None else f"the last {which} trained"


def article(name: str) -> str:
    """ "a" or "an", by how a name is said: an abbreviation without a vowel is spelt out, as in "an mlp"."""
    spelt = not set(name.lower()) & set("aeiouy")
    return "an" if name[:1].lower() in ("aefhilmnorsx" if spelt else "aeiou") else "a"


def spoken(name: str) -> str:
    """A parameter's name in words: `mlp.hidden` as `mlp: hidden`, `unfrozen` as what it counts."""
    owner, dot, key = name.rpartition(".")
    said = SPOKEN.get(key, key.replace("_", " "))
    return f"{owner}: {said}" if dot else said
