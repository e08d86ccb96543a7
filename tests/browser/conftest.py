"""Pages in Debian's Chromium, headless, each with a record of what it asked for and complained about."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from page_world import PageStudy, drawn_picture
from playwright.sync_api import Browser, Page, Route, sync_playwright

from tlsearch.report.html import write_html
from tlsearch.store.reading import StoreReader

ARGUMENTS = (
    "--no-sandbox",  # for root, as in a container
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@dataclass
class Opened:
    """A page that is open, and what happened on it."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def draw_all(self) -> None:
        """Scroll to every chart and wait until it is drawn."""
        charts = self.page.locator("[data-chart]")
        for i in range(charts.count()):
            charts.nth(i).scroll_into_view_if_needed()
            charts.nth(i).locator(".main-svg").first.wait_for()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    assert path is not None, "these tests need Debian's chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield opened
        opened.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Opened]]:
    """Opens a file; whatever it asks the network for is refused and counted."""
    contexts = []

    def open_file(path: Path, *, width: int = 1280, scheme: str = "light") -> Opened:
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        contexts.append(context)
        found = Opened(page=context.new_page())

        def refuse(route: Route) -> None:
            url = route.request.url
            if url == path.as_uri():
                route.continue_()
                return
            found.requests.append(url)
            route.abort()

        context.route(lambda url: not url.startswith("data:"), refuse)
        found.page.on("console", lambda message: found.complaints.append(f"{message.type}: {message.text}"))
        found.page.on("pageerror", lambda error: found.complaints.append(f"error: {error}"))
        found.page.on("dialog", lambda dialog: (found.dialogs.append(dialog.message), dialog.dismiss()))
        found.page.goto(path.as_uri())
        return found

    yield open_file
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def write_page(tmp_path_factory: pytest.TempPathFactory) -> Callable[[PageStudy], Path]:
    """Writes a study's page, and tells where."""

    def write(study: PageStudy) -> Path:
        folder = tmp_path_factory.mktemp("page")
        target = folder / "report.html"
        with StoreReader.open(study.write(folder)) as store:
            write_html(store, study.name, target)
        return target

    return write


@pytest.fixture(scope="session")
def plain(write_page: Callable[[PageStudy], Path]) -> Path:
    """The page of a study with ordinary names."""
    return write_page(PageStudy(n=300))


@pytest.fixture(scope="session")
def full(write_page: Callable[[PageStudy], Path]) -> Path:
    """The page of a long search on many pictures, of the size of real ones: as large as pages become."""
    classes = tuple(f"class {i}" for i in range(12))
    return write_page(PageStudy(classes=classes, n=1500, trials=200, picture=drawn_picture(0, side_px=96)))


@pytest.fixture(scope="session")
def many_classes(write_page: Callable[[PageStudy], Path]) -> Path:
    """The page of a study with more classes than a matrix shows."""
    return write_page(PageStudy(classes=tuple(f"class {i}" for i in range(35)), n=700))
