"""The page in a real browser: it opens alone, charts are drawn, cells show pictures, names stay text."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from page_world import HOSTILE, PageStudy

Visit = Callable[..., Any]

pytestmark = pytest.mark.browser


def test_it_opens_soon(visit: Visit, plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    visit(plain)  # the browser itself is warm then
    began = time.perf_counter()
    page = visit(plain).page
    opened_s = time.perf_counter() - began
    painted_ms = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    with capsys.disabled():
        size_mb = plain.stat().st_size / 1e6
        told = f"{size_mb:.1f} MB opened in {opened_s:.2f} s, first painted after {painted_ms / 1000:.2f} s"
        sys.stdout.write(f"\n{told}\n")
    assert opened_s < 5


def test_nothing_is_asked_for_and_nothing_is_complained_of(visit: Visit, plain: Path) -> None:
    opened = visit(plain)
    opened.draw_all()
    assert opened.page.locator("[data-chart]").count() == 6
    assert opened.requests == []
    assert opened.complaints == []


def test_plotly_is_started_only_once_a_chart_is_near(visit: Visit, plain: Path) -> None:
    opened = visit(plain)
    assert opened.page.evaluate("typeof window.Plotly") == "undefined"
    opened.draw_all()
    assert opened.page.evaluate("typeof window.Plotly") == "object"


def test_a_confusion_cell_shows_the_pictures_behind_it(visit: Visit, plain: Path) -> None:
    page = visit(plain).page
    cell = page.locator("button[data-cell='0-1']")
    count = int(cell.inner_text())
    cell.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_role("heading").inner_text() == f"cat, taken for dog: {count} pictures"
    pictures = dialog.locator("img")
    assert pictures.count() == min(count, 24)
    assert pictures.evaluate_all("found => found.every(one => one.decode() && one.naturalWidth === 32)")
    assert pictures.first.get_attribute("alt").startswith("cat/")
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert cell.evaluate("one => one === document.activeElement")


def test_the_dialog_closes_by_its_button_and_says_how_many_pictures_it_keeps(visit: Visit, plain: Path) -> None:
    page = visit(plain).page
    page.locator("button[data-cell='0-0']").click()
    dialog = page.get_by_role("dialog")
    assert dialog.locator("img").count() == 24
    assert "24 of them are kept in this page." in dialog.inner_text()
    dialog.get_by_role("button", name="Close").click()
    assert not dialog.is_visible()


def test_dark_and_light_differ_by_the_system_and_by_the_switch(visit: Visit, plain: Path) -> None:
    def colours(page: Any) -> tuple[str, str]:
        page.locator("[data-chart='over-time']").scroll_into_view_if_needed()
        page.locator("[data-chart='over-time'] .main-svg").first.wait_for()
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        title = page.locator("[data-chart='over-time'] .xtitle").evaluate("one => getComputedStyle(one).fill")
        return ground, title

    light, dark = visit(plain).page, visit(plain, scheme="dark").page
    in_light, in_dark = colours(light), colours(dark)
    assert in_light[0] != in_dark[0]
    assert in_light[1] != in_dark[1]
    dark.get_by_role("button", name="Dark colours").click()
    assert colours(dark) == in_light
    dark.get_by_role("button", name="Dark colours").click()
    assert colours(dark) == in_dark


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_page_never_scrolls_sideways(visit: Visit, plain: Path, width: int) -> None:
    opened = visit(plain, width=width)
    opened.draw_all()
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


def test_paper_is_light_with_every_chart_on_it(visit: Visit, plain: Path) -> None:
    page = visit(plain, scheme="dark").page
    assert len(page.pdf(format="A4")) > 50_000
    assert page.locator("[data-chart] .main-svg").count() >= 6
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"  # dark again


def test_a_pointer_over_a_trial_tells_of_it(visit: Visit, plain: Path) -> None:
    page = visit(plain).page
    chart = page.locator("[data-chart='over-time']")
    chart.scroll_into_view_if_needed()
    chart.locator(".main-svg").first.wait_for()
    box = chart.locator(".scatterlayer .trace").nth(1).locator("path.point").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    label = chart.locator(".hoverlayer .hovertext").first
    label.wait_for()
    assert "small_net" in label.text_content()


def test_hostile_names_stay_text(visit: Visit, write_page: Callable[[PageStudy], Path]) -> None:
    said = " ".join(HOSTILE)
    harmless = PageStudy(classes=tuple(f"name{i}" for i in range(len(HOSTILE))), n=10 * len(HOSTILE))
    hostile = PageStudy(
        name=f"study {said}",
        classes=tuple(f"{i} {name}" for i, name in enumerate(HOSTILE)),
        file="<img src=x onerror=alert(1)>{i:03d}.png",
        backbone=f"net {said}",
        head=f"head {said}",
        baseline=f"recipe {said}",
        said=said,
        n=harmless.n,
    )
    expected, opened = visit(write_page(harmless)), visit(write_page(hostile))
    for one in (expected, opened):
        one.draw_all()
        one.page.locator("button[data-cell]").first.click()
    tags = "[...document.querySelectorAll(':not(svg *)')].map(one => one.localName).sort().join(' ')"
    assert opened.page.evaluate(tags) == expected.page.evaluate(tags)
    assert opened.page.evaluate("document.querySelectorAll('svg a, svg script, svg image').length") == 0
    assert opened.page.evaluate("[...document.images].every(one => one.src.startsWith('data:image/'))")
    assert opened.dialogs == []
    assert opened.requests == []
    assert opened.complaints == []
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_hostile_names_do_not_make_a_phone_scroll(visit: Visit, write_page: Callable[[PageStudy], Path]) -> None:
    study = PageStudy(
        classes=("x" * 300, "y" * 300), file="z" * 200 + "{i:03d}.png", backbone="n" * 300, said="s" * 400
    )
    opened = visit(write_page(study), width=360)
    opened.draw_all()
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 360


def test_without_scripts_the_answer_and_its_pictures_are_there(browser: Any, plain: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(plain.as_uri())
    assert page.get_by_role("heading", level=1).inner_text().startswith("The winner is small_net")
    assert page.locator(".strip img").count() > 8
    context.close()
