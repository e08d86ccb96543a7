"""A section of the page: a question, and what answers it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tlsearch.report.page.charts import Chart
from tlsearch.report.page.gallery import Gallery
from tlsearch.report.page.material import Material
from tlsearch.report.text import Words

AT_THE_END = "This comes at the end of the run."
BEFORE_THE_FIRST = "This comes before the first trial."


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What every section is written from."""

    material: Material
    words: Words
    gallery: Gallery

    @property
    def has_chosen(self) -> bool:
        """Whether a run came to its end: only then what comes there can be missing."""
        best = self.material.summary.best
        return best is not None and best.chosen

    @property
    def has_tried(self) -> bool:
        """Whether a trial has begun: what comes before the first can be missing only then."""
        return bool(self.material.tries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of the page, drawn by the template of its key.

    Args:
        key: Its place on the page and its template's name.
        group: The heading that it is listed under.
        nav: Its name in the list of contents.
        title: Its heading.
        lead: What is seen here, in a sentence or two.
        missing: Why there is nothing to see; its content is left out then.
        content: What its template shows.
        charts: Figures by key, for the page's script.
        cells: Pictures behind the cells of a matrix, for the page's script.
    """

    key: str
    group: str
    nav: str
    title: str
    lead: str = ""
    missing: str = ""
    content: Mapping[str, object] = field(default_factory=dict)
    charts: tuple[Chart, ...] = ()
    cells: Mapping[str, object] = field(default_factory=dict)


Write = Callable[[Desk], Section]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A picture with what is written below it.

    Args:
        uri: Its data; "" draws an empty frame with the file's name.
        file: Its name.
        title: The line that is read first.
        note: The second line.
    """

    uri: str
    file: str
    title: str = ""
    note: str = ""


def per_cent(share: float) -> str:
    """`97 %`."""
    return f"{100 * share:.0f} %"


def sureness(probability: float) -> str:
    """`97 % sure`; no answer is said to be wholly sure."""
    if probability >= 0.9995:
        return ">99.9 % sure"
    return f"{100 * probability:.1f} % sure" if probability >= 0.995 else f"{per_cent(probability)} sure"
