"""The view of a run while it runs: repainted on a terminal, one line an event everywhere else."""

import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console, Group, OverflowMethod, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tlsearch.progress import EndedTrial, LiveState
from tlsearch.records import TrialState
from tlsearch.report.charts import gauge
from tlsearch.report.text import Words, duration, number, plural

REPAINTS_A_SECOND = 4
QUIET_S = 30.0  # after which a line says what is being done, where nothing is repainted
WIDE = 72  # columns from which gauges are long
SHOWN_RUNNING = 4
SHOWN_ENDED = 5
STATE_STYLES = {TrialState.COMPLETED: "green", TrialState.PRUNED: "yellow", TrialState.FAILED: "red"}


class LiveView:
    """Shows a run's progress between `start` and `stop`, or as a context manager.

    Args:
        console: Where to.
        title: The study's name.
        live: Whether to repaint; None: where the console is a terminal that can. Otherwise each trial and each phase
            becomes one line, and after half a minute without any one says what is being done.
        clock: Seconds, monotonic; time goes on between two updates.
    """

    def __init__(
        self,
        console: Console,
        title: str,
        *,
        live: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        can_repaint = console.is_terminal and not console.is_dumb_terminal
        self._console = console
        self._title = title
        self._clock = clock
        self._state: LiveState | None = None
        self._told_at = 0.0
        self._printed: set[int] = set()
        self._printed_at = 0.0
        self._repaints = can_repaint if live is None else live
        self._live = Live(
            get_renderable=self._draw,
            console=console,
            refresh_per_second=REPAINTS_A_SECOND,
            transient=True,
        )

    def start(self) -> None:
        """Begin to show."""
        if self._repaints:
            self._live.start()

    def stop(self) -> None:
        """Take the view off the screen; what was printed above it stays."""
        if self._repaints:
            self._live.stop()

    def __enter__(self) -> "LiveView":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def update(self, state: LiveState) -> None:
        """Show a new state; cheap, since painting has its own rhythm."""
        before, self._state, self._told_at = self._state, state, self._clock()
        if self._repaints:
            return
        words = self._words(state)
        if before is None or before.phase != state.phase:
            self._print(state, words.text(state.phase))
        for trial in state.ended:
            if trial.number not in self._printed:
                self._printed.add(trial.number)
                self._print(state, _ended_line(trial, state, words))
        if state.activity and self._told_at - self._printed_at >= QUIET_S:
            self._print(state, _activity_line(state, words))

    def _print(self, state: LiveState, text: Text) -> None:
        self._printed_at = self._told_at
        self._console.print(_stamped(state, text), soft_wrap=True)

    def notice(self, text: str) -> None:
        """Print a message that stays."""
        words = Words.for_console("accuracy", self._console)  # no score is shown
        self._console.print(words.text(text, "bold yellow"), soft_wrap=not self._repaints)

    def _words(self, state: LiveState) -> Words:
        return Words.for_console(state.metric, self._console)

    def _draw(self) -> RenderableType:
        words = Words.for_console("accuracy", self._console)
        if self._state is None:
            return words.name(self._title, "bold")
        passed = max(0.0, self._clock() - self._told_at)
        width = self._console.width - len("^C")  # whose echo would fold a full last line, and leave a line behind
        return panel(self._title, self._state, self._words(self._state), width, passed)


def panel(title: str, state: LiveState, words: Words, width: int, passed: float = 0.0) -> RenderableType:
    """A state as it is painted: every line fits the width, so that the height stays the same.

    Args:
        title: The study's name.
        state: What to show.
        words: How numbers are written.
        width: Columns.
        passed: Seconds since the state was told.
    """
    rows = Table.grid(padding=(0, 1))
    rows.add_column(style="dim", no_wrap=True, min_width=len("trials"))
    cut: OverflowMethod = "crop" if words.ascii_only else "ellipsis"
    rows.add_column(no_wrap=True, overflow=cut, max_width=width - len("trials "))
    columns = 24 if width >= WIDE else 12
    for label, line in (
        ("trials", _trials(state, words, columns)),
        ("time", _time(state, words, columns, passed)),
        ("best", _best(state, words)),
        *(("now" if first else "", line) for first, line in _firsts(_now(state, words, columns, passed))),
        ("pace", _pace(state)),
        ("cache", _cache(state)),
        *(("last" if first else "", line) for first, line in _firsts(_last(state, words))),
    ):
        rows.add_row(label, line)
    heading = words.name(title, "bold")
    heading.append_text(words.text(f"  {state.phase}", "cyan"))
    heading.truncate(width, overflow=cut)
    return Group(heading, rows)


def _trials(state: LiveState, words: Words, columns: int) -> Text:
    share = state.trials_done / state.trials_budget if state.trials_budget else 1.0
    left = max(0, state.trials_budget - state.trials_done)
    return _gauge(share, f"{state.trials_done} of {state.trials_budget}, {left} left", words, columns)


def _time(state: LiveState, words: Words, columns: int, passed: float) -> Text:
    used = state.seconds_used + passed
    if state.seconds_budget is None:
        return words.text(f"{duration(used, whole=True)}, no limit")
    left = max(0.0, state.seconds_budget - used)
    spent, allowed, rest = (duration(s, whole=True) for s in (used, state.seconds_budget, left))
    return _gauge(
        used / state.seconds_budget if state.seconds_budget else 1.0,
        f"{spent} of {allowed}, {rest} left",
        words,
        columns,
    )


def _best(state: LiveState, words: Words) -> Text:
    if state.best is None:
        return words.text("nothing completed yet", "dim")
    line = words.text(words.score(state.best.score), "bold green")
    line.append_text(words.text(f"  trial {state.best.number}: {state.best.what}"))
    return line


def _now(state: LiveState, words: Words, columns: int, passed: float) -> list[Text]:
    lines = [
        words.text(f"trial {one.number}, {duration(one.seconds + passed, whole=True)}: {one.what}")
        for one in state.running[:SHOWN_RUNNING]
    ]
    more = len(state.running) - SHOWN_RUNNING
    if more > 0:
        lines.append(words.text(f"and {plural(more, 'trial')} more", "dim"))
    if state.activity:
        share = state.activity_done / state.activity_total if state.activity_total else 0.0
        lines.append(_gauge(share, state.activity, words, columns if state.activity_total else 0))
    return lines or [words.text("waiting", "dim")]


def _pace(state: LiveState) -> Text:
    rate = "-" if state.trials_per_minute is None else f"{state.trials_per_minute:.1f}"
    said = f"{rate} trials a minute"
    for count, what in ((state.pruned, "pruned"), (state.failed, "failed")):
        said += f", {count} {what}" if count else ""
    return Text(said)


def _cache(state: LiveState) -> Text:
    asked = state.cache_hits + state.cache_misses
    share = f", {100 * state.cache_hits / asked:.0f} %" if asked else ""
    return Text(f"{plural(state.cache_hits, 'hit')} in {plural(asked, 'read')}{share}")


def _last(state: LiveState, words: Words) -> list[Text]:
    lines = []
    for trial in reversed(state.ended[-SHOWN_ENDED:]):
        line = words.text(f"{trial.number:>4} ", "dim")
        line.append_text(_outcome(trial, words, width=7))
        line.append_text(words.text(f"  {_what(trial)}, {duration(trial.seconds)}"))
        lines.append(line)
    return lines


def _ended_line(trial: EndedTrial, state: LiveState, words: Words) -> Text:
    line = words.text(f"trial {trial.number}: ")
    line.append_text(_outcome(trial, words))
    best = "" if state.best is None else f"; best {words.score(state.best.score)} (trial {state.best.number})"
    done = f"{state.trials_done} of {state.trials_budget} trials"
    line.append_text(words.text(f" {_what(trial)}, {duration(trial.seconds)}; {done}{best}"))
    return line


def _activity_line(state: LiveState, words: Words) -> Text:
    done = f", {number(state.activity_done)} of {number(state.activity_total)}" if state.activity_total else ""
    return words.text(f"{state.activity}{done}")


def _outcome(trial: EndedTrial, words: Words, *, width: int = 0) -> Text:
    said = words.score(trial.score) if trial.state is TrialState.COMPLETED else trial.state.value
    return words.text(f"{said:>{width}}", STATE_STYLES.get(trial.state, ""))


def _what(trial: EndedTrial) -> str:
    return f"{trial.what} ({trial.note})" if trial.note else trial.what


def _gauge(share: float, said: str, words: Words, columns: int) -> Text:
    if not columns:
        return words.text(said)
    return Text.assemble(gauge(share, columns, ascii_only=words.ascii_only), " ", words.text(said))


def _stamped(state: LiveState, line: Text) -> Text:
    stamped = Text(f"[{duration(state.seconds_used, whole=True):>9}] ", style="dim")
    stamped.append_text(line)
    return stamped


def _firsts(lines: list[Text]) -> list[tuple[bool, Text]]:
    return [(place == 0, line) for place, line in enumerate(lines)]
