"""Colours of a page: words can be read on every ground, light and dark, and are never paled."""

import re
from importlib.resources import files

import pytest

STYLE = files("tlsearch.report.page").joinpath("style.css").read_text(encoding="utf-8")
COLOURS = dict(re.findall(r"--([\w-]+): light-dark\((#\w{6}, #\w{6})\)", STYLE))
LEAST = 4.5  # WCAG 2.2, criterion 1.4.3, level AA


def luminance(colour: str) -> float:
    """WCAG 2.2, "relative luminance"."""
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("ground", ["bg", "panel"])
@pytest.mark.parametrize("words", sorted(set(re.findall(r"[{; ]color: var\(--([\w-]+)\)", STYLE)) - {"accent-ink"}))
def test_words_can_be_read_on_every_ground(words: str, ground: str) -> None:
    for scheme, (own, below) in enumerate(zip(COLOURS[words].split(", "), COLOURS[ground].split(", "), strict=True)):
        assert contrast(own, below) >= LEAST, ("light", "dark")[scheme]


def test_words_on_the_accent_can_be_read() -> None:
    for own, below in zip(COLOURS["accent-ink"].split(", "), COLOURS["accent"].split(", "), strict=True):
        assert contrast(own, below) >= LEAST


def test_no_link_is_paled() -> None:
    assert not re.search(r"(^|\s)(nav )?a[\w.:]* \{[^}]*opacity", STYLE)
