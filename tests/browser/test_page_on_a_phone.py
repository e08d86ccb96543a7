"""The page where room is short: words stay whole, what is cut says so, and texts keep clear of one another."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_world import HOSTILE, PageStudy
from PIL import Image

Visit = Callable[..., Any]

pytestmark = pytest.mark.browser

PHONE_PX = 360
SPOKEN = "weights of which somebody kept an unusually comprehensive description"
BROKEN_WORDS = """
cells => {
  const broken = [];
  for (const cell of cells) {
    const walk = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      for (const word of walk.currentNode.data.matchAll(/[\\p{L}\\p{N}]+/gu)) {
        const range = document.createRange();
        range.setStart(walk.currentNode, word.index);
        range.setEnd(walk.currentNode, word.index + word[0].length);
        const lines = new Set([...range.getClientRects()].map(box => box.top));
        if (lines.size > 1) broken.push(word[0]);
      }
    }
  }
  return broken;
}
"""


@pytest.fixture(scope="module")
def crowded(write_page: Callable[[PageStudy], Path]) -> Path:
    """The page of a study with long names, and with more classes than fit a phone."""
    classes = (HOSTILE[0], *(f"a class of number {i}" for i in range(7)))
    return write_page(
        PageStudy(classes=classes, n=160, backbone="mobilenet_v2_keras", second="efficientnet_lite0", said=SPOKEN)
    )


def boxes(texts: Any) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of every text."""
    found = texts.evaluate_all("all => all.map(one => one.getBoundingClientRect().toJSON())")
    return [(box["left"], box["top"], box["right"], box["bottom"]) for box in found]


def chart(page: Any, key: str) -> Any:
    """A chart, once it is drawn."""
    found = page.locator(f"[data-chart='{key}']")
    found.scroll_into_view_if_needed()
    found.locator(".main-svg").first.wait_for()
    return found


def edge(page: Any, card: Any) -> np.ndarray:
    """Colours of the right edge of a card, below its rounded corner."""
    box = card.bounding_box()
    clip = {"x": box["x"] + box["width"] - 5, "y": box["y"] + 16, "width": 3, "height": 12}
    shot = page.screenshot(clip=clip, full_page=True)
    return np.asarray(Image.open(BytesIO(shot)).convert("RGB"), dtype=float).mean(axis=(0, 1))


def test_a_table_breaks_no_word_and_the_page_stays_as_wide_as_the_phone(visit: Visit, crowded: Path) -> None:
    page = visit(crowded, width=PHONE_PX).page
    assert page.locator("#leaderboard table").last.locator("th, td").evaluate_all(BROKEN_WORDS) == []
    assert page.locator(".figures th, .figures td").evaluate_all(BROKEN_WORDS) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE_PX


def test_a_word_wider_than_the_phone_breaks_instead_of_hiding_its_row(
    visit: Visit, write_page: Callable[[PageStudy], Path]
) -> None:
    page = visit(write_page(PageStudy(backbone="n" * 300)), width=PHONE_PX).page
    name = page.locator("#leaderboard table").last.locator("tbody th").first
    assert name.bounding_box()["width"] < PHONE_PX


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("card", ["#confusion .scroll", "#leaderboard .scroll >> nth=0"])
def test_a_card_that_is_cut_has_a_shadow_at_that_side_until_its_end(
    visit: Visit, crowded: Path, card: str, scheme: str
) -> None:
    page = visit(crowded, width=PHONE_PX, scheme=scheme).page
    place = page.locator(card)
    cut = edge(page, place)
    place.evaluate("one => one.scrollTo(one.scrollWidth, 0)")
    ended = edge(page, place)
    assert np.abs(cut - ended).max() > 20
    page.emulate_media(media="print")
    assert place.evaluate("one => getComputedStyle(one).backgroundImage") == "none"


@pytest.mark.parametrize("width", [PHONE_PX, 1280])
def test_texts_of_all_trials_at_once_do_not_overlap(visit: Visit, crowded: Path, width: int) -> None:
    found = boxes(chart(visit(crowded, width=width).page, "parallel").locator(".annotation-text"))
    assert len(found) > 12
    for i, one in enumerate(found):
        for other in found[:i]:
            apart = one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3] or other[1] >= one[3]
            assert apart, (one, other)


def test_a_legend_has_the_whole_name_of_a_class_as_text(visit: Visit, crowded: Path) -> None:
    assert HOSTILE[0] in chart(visit(crowded).page, "learning").locator(".legendtext").all_text_contents()


def test_three_trials_have_whole_numbers_below_them(visit: Visit, write_page: Callable[[PageStudy], Path]) -> None:
    page = visit(write_page(PageStudy(trials=3))).page
    assert chart(page, "over-time").locator(".xtick").all_text_contents() == ["0", "1", "2"]


def test_the_line_at_zero_runs_through_no_words(visit: Visit, crowded: Path) -> None:
    page = visit(crowded, width=PHONE_PX).page
    line = page.locator("#baselines .range").first.evaluate(
        "one => { const box = one.getBoundingClientRect(), line = getComputedStyle(one, '::before');"
        " return [box.top + parseFloat(line.top), box.bottom - parseFloat(line.bottom)]; }"
    )
    row = page.locator("#baselines .row").first
    assert line[0] >= boxes(row.locator(".name"))[0][3]
    assert line[1] <= boxes(row.locator(".ends"))[0][1]
