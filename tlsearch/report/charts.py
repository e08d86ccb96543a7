"""Bars and spans drawn with characters, in ASCII where a terminal knows no more."""

from rich.text import Text

EIGHTHS = " ▏▎▍▌▋▊▉"


def bar(share: float, width: int, *, ascii_only: bool, style: str = "cyan") -> Text:
    """A bar that fills `share` of `width` columns; it ends where it is full."""
    filled = max(0.0, min(1.0, share)) * width
    if ascii_only:
        return Text("#" * round(filled), style=style)
    whole = int(filled)
    rest = EIGHTHS[int((filled - whole) * 8)].strip()
    return Text("█" * whole + rest, style=style)


def gauge(share: float, width: int, *, ascii_only: bool, style: str = "cyan") -> Text:
    """A bar on a track of `width` columns, so that one sees how much is left."""
    filled = round(max(0.0, min(1.0, share)) * width)
    full, rest = ("#", ".") if ascii_only else ("█", "░")
    drawn = Text(full * filled, style=style)
    drawn.append(rest * (width - filled), style="dim")
    return drawn


def span(
    low: float,
    mark: float,
    high: float,
    *,
    axis: tuple[float, float],
    width: int,
    ascii_only: bool,
    style: str = "cyan",
) -> Text:
    """From low to high with a mark between, on an axis that several spans share."""
    start, end = axis
    scale = (width - 1) / (end - start) if end > start else 0.0

    def column(value: float) -> int:
        return max(0, min(width - 1, round((value - start) * scale)))

    line, left, right, point = ("-", "|", "|", "o") if ascii_only else ("─", "├", "┤", "●")
    first, last = column(low), column(high)
    cells = [" "] * width
    cells[first : last + 1] = [line] * (last + 1 - first)
    if last > first:
        cells[first], cells[last] = left, right
    cells[column(mark)] = point
    return Text("".join(cells).rstrip(), style=style)


def axis_of(values: list[float]) -> tuple[float, float]:
    """The ends of an axis that holds all values."""
    return (min(values), max(values)) if values else (0.0, 1.0)
