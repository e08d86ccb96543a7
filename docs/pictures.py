"""Draws the README's pictures of a terminal, from a real run and its real report.

python docs/pictures.py studies/celebs.toml                        runs the study in a folder of its own
python docs/pictures.py studies/celebs.toml --from-run runs/celebs  draws the report of a run that is there
"""

import argparse
import io
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from tlsearch.cli.live import panel
from tlsearch.errors import TlsearchError
from tlsearch.execution.local import LocalExecutor
from tlsearch.execution.lock import StudyLock
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.paths import DATABASE, cache_root
from tlsearch.progress import LiveState
from tlsearch.report import results
from tlsearch.report.load import load_summary
from tlsearch.report.terminal import render
from tlsearch.report.text import Words
from tlsearch.runner import Places, run_study
from tlsearch.store.reading import StoreReader
from tlsearch.store.store import Store
from tlsearch.study import StudyConfig, load_study
from tlsearch.work import WorkerContext

COLUMNS = 100
MIDDLE = 0.5  # of the trials: where the run is pictured
SHOWN = (results.how_sure, results.baselines, results.leaderboard)
# Pages show pictures without letting them load anything: a font from elsewhere would never arrive.
SVG = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


class MiddleOfTheSearch:
    """Watches a run, and keeps the last state before half of its trials were done."""

    def __init__(self) -> None:
        self.state: LiveState | None = None
        self.notices: list[str] = []

    def progress(self, state: LiveState) -> None:
        """Keep the state while the search is young."""
        if state.phase == "search" and state.running and state.trials_done <= MIDDLE * state.trials_budget:
            self.state = state

    def notice(self, text: str) -> None:
        """Keep what a person would have been told above the live view."""
        self.notices.append(text)


def main() -> None:
    """Draw the pictures that the arguments ask for."""
    parser = argparse.ArgumentParser(description="Draw the README's pictures of a terminal.")
    parser.add_argument("study", type=Path, help="a study file")
    parser.add_argument("--from-run", type=Path, metavar="FOLDER", help="draw only the report, of this run")
    parser.add_argument("--to", type=Path, default=Path(__file__).parent / "images", metavar="FOLDER")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a value")
    asked = parser.parse_args()
    config = load_study(asked.study, overrides=asked.set, host=PluginHost.load())
    if asked.from_run is not None:
        write_report(config, asked.from_run, asked.to, asked.study)
        return
    with tempfile.TemporaryDirectory() as folder:
        write_run(config, run(config, Path(folder)), asked.to, asked.study)
        write_report(config, Path(folder), asked.to, asked.study)


def run(config: StudyConfig, folder: Path) -> MiddleOfTheSearch:
    """Run a study in a folder of its own, as `tlsearch run` does, and return what was seen of it."""

    def workers(contexts: Sequence[WorkerContext]) -> LocalExecutor:
        return LocalExecutor(contexts, results=folder / "results", logs=folder / "logs")

    seen = MiddleOfTheSearch()
    with StudyLock(folder / "study.lock"), Store.open(f"sqlite:///{folder / DATABASE}") as store:
        run_study(
            config,
            host=PluginHost.load(),
            store=store,
            places=Places(folder=folder, cache=cache_root(), plugins=()),
            hubs=Hubs(notice=seen.notice),
            observer=seen,
            make_executor=workers,
        )
    return seen


def write_run(config: StudyConfig, seen: MiddleOfTheSearch, to: Path, study: Path) -> None:
    """Draw `run.svg`: the live view in the middle of the search."""
    if seen.state is None:
        raise TlsearchError("the search ended before it could be pictured: give the study more trials")
    console = _paper()
    words = Words.for_console(seen.state.metric, console)
    console.print(_typed(f"tlsearch run {study}"))
    for text in seen.notices:
        console.print(words.text(text, "bold yellow"))
    console.print(panel(config.study.name, seen.state, words, COLUMNS))
    _write(console, to / "run.svg", "tlsearch run")


def write_report(config: StudyConfig, folder: Path, to: Path, study: Path) -> None:
    """Draw `report.svg`: the first part of the report of the run in a folder."""
    with StoreReader.open(f"sqlite:///{folder / DATABASE}") as store:
        summary = load_summary(store, config.study.name)
    console = _paper()
    console.print(_typed(f"tlsearch report {study}"))
    render(summary, console, sections=SHOWN)
    _write(console, to / "report.svg", "tlsearch report")


def _paper() -> Console:
    return Console(
        record=True, file=io.StringIO(), width=COLUMNS, force_terminal=True, color_system="truecolor", highlight=False
    )


def _typed(command: str) -> Text:
    return Text.assemble(("$ ", "dim"), command)


def _write(console: Console, path: Path, title: str) -> None:
    console.print()  # the frame clips what hangs below the last line
    path.parent.mkdir(parents=True, exist_ok=True)
    console.save_svg(str(path), title=title, code_format=SVG)
    sys.stdout.write(f"wrote {path}\n")


if __name__ == "__main__":
    main()
