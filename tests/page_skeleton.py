"""What a browser would build of a page, without one: elements, attributes, texts and scripts."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from page_world import PageStudy

from tlsearch.report.page.reading import load_material
from tlsearch.report.page.render import page
from tlsearch.store.reading import StoreReader


class Skeleton(HTMLParser):
    """Elements with the names of their attributes, and the texts; where a name may break is none of it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.values: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.inside: list[str] = []
        self.broken = False
        self.scripts: list[tuple[dict[str, str | None], str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "wbr" and not attrs:
            self.broken = True
            return
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.values += [(name, value or "") for name, value in attrs]
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag in ("script", "style"):
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.inside and tag == self.inside[-1]:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if not self.inside:
            self.texts.append(self.texts.pop() + data if self.broken else data)
            self.broken = False
        elif self.inside[-1] == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def having(self, attribute: str) -> list[str]:
        """The values of an attribute, in order."""
        return [value for name, value in self.values if name == attribute]


def written(study: PageStudy, folder: Path) -> str:
    """A study's page."""
    with StoreReader.open(study.write(folder)) as store:
        return page(load_material(store, study.name))


def built(html: str) -> Skeleton:
    found = Skeleton()
    found.feed(html)
    found.close()
    return found


def data_of(found: Skeleton) -> dict[str, Any]:
    """What the page's script is given."""
    data: dict[str, Any] = json.loads(next(text for attrs, text in found.scripts if attrs.get("id") == "page-data"))
    return data


def without(study: PageStudy, *names: str) -> PageStudy:
    """A study that did not store some files."""
    study.stored = tuple(name for name in study.stored if name not in names)
    return study
