"""Draws the README's pictures of a page, in Debian's Chromium.

python docs/page_pictures.py PAGE.html   a page that `tlsearch report --html` wrote; writes docs/images/page-*.webp
"""

import argparse
import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

FOLDER = Path(__file__).parent / "images"
CHROMIUM = "/usr/bin/chromium"
DESKTOP, PHONE = (1180, 860), (380, 820)  # CSS pixels


def main() -> None:
    """Draw the top on a desktop, and on a phone in the dark; then the pictures behind a number, and the mistakes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    address = parser.parse_args().page.resolve().as_uri()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, size, scheme in (("desktop", DESKTOP, "light"), ("phone", PHONE, "dark")):
            scale = 1 if name == "desktop" else 1.5
            viewport = {"width": size[0], "height": size[1]}
            context = browser.new_context(viewport=viewport, color_scheme=scheme, device_scale_factor=scale)
            page = context.new_page()
            page.goto(address)
            keep(page, f"page-{name}")
            if name == "desktop":
                page.locator("#mistakes").scroll_into_view_if_needed()
                page.evaluate("document.querySelector('#mistakes').scrollIntoView()")
                keep(page, "page-mistakes")
                page.locator(".matrix button").nth(2).click()
                keep(page, "page-behind")
            context.close()
        browser.close()


def keep(page: Page, name: str) -> None:
    """Keep what is in view."""
    page.wait_for_timeout(400)  # for what is drawn when it comes into view
    with Image.open(io.BytesIO(page.screenshot())) as shot:
        shot.convert("RGB").save(FOLDER / f"{name}.webp", quality=82, method=6)


if __name__ == "__main__":
    main()
