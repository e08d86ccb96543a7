"""A small study on drawn noise: its pictures, its file, and everything that `run_study` is given."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from tlsearch.execution.inline import InlineExecutor
from tlsearch.execution.warm_up import WarmUp
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.progress import LiveState
from tlsearch.records import TrialRecord
from tlsearch.runner import Outcome, Places, run_study
from tlsearch.runner.story import MakeExecutor
from tlsearch.store.store import Store
from tlsearch.study import StudyConfig, load_study
from tlsearch.work import Workbench, WorkerContext
from tlsearch.workbench import open_workbench

NETS = Path(__file__).with_name("tiny_nets.py")
COLOURS = ((190, 60, 60), (60, 190, 60), (60, 60, 190))
STUDY = """
[study]
name = "tiny"
metric = "accuracy"
budget = { trials = 12 }
seed = 3
[data]
source = "folder"
path = PHOTOS
holdout = 0.2
folds = 3
[[backbones]]
name = "tiny_a"
weights = "random"
[[backbones]]
name = "tiny_b"
weights = "random"
[search]
unfrozen = { low = 0, high = 2 }
heads = ["linear"]
epochs = { low = 1, high = 3 }
batch_size = [16]
[[baselines]]
name = "a plain probe"
backbone = "tiny_a"
head = "linear"
learning_rate = 1e-2
epochs = 2
batch_size = 16
[run]
devices = ["cpu"]
grace = "5s"
"""


def draw_photos(root: Path, *, each: int = 14) -> Path:
    """Three classes of noise, each around a colour that is hard to see in it."""
    rng = np.random.default_rng(0)
    for name, colour in zip(("blue", "green", "red"), reversed(COLOURS), strict=True):
        (root / name).mkdir(parents=True)
        for number in range(each):
            noise = rng.integers(-120, 120, size=(40, 40, 3)) + np.array(colour)
            Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(root / name / f"{number:02d}.png")
    return root


def write_study(folder: Path, photos: Path, text: str = STUDY) -> Path:
    path = folder / "tiny.toml"
    path.write_text(text.replace("PHOTOS", json.dumps(str(photos))))
    return path


@dataclass
class Watch:
    """An observer that remembers."""

    states: list[LiveState] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def progress(self, state: LiveState) -> None:
        self.states.append(state)

    def notice(self, text: str) -> None:
        self.notices.append(text)


@dataclass
class World:
    """One study in one folder; each `run` is a run of its own, as a fresh process would begin it.

    Args:
        folder: Of the run.
        file: The study's.
        cache: Shared by worlds that may know each other's features.
    """

    folder: Path
    file: Path
    cache: Path
    plugins: tuple[Path, ...] = (NETS,)
    watch: Watch = field(default_factory=Watch)

    def config(self, *overrides: str) -> StudyConfig:
        return load_study(self.file, overrides=overrides, host=self.host())

    def host(self) -> PluginHost:
        return PluginHost.load(files=self.plugins)

    def run(
        self,
        *overrides: str,
        make_executor: MakeExecutor | None = None,
        warm_up: Callable[[WarmUp], None] | None = None,
    ) -> Outcome:
        self.watch = Watch()
        with self.store() as store:
            return run_study(
                self.config(*overrides),
                host=self.host(),
                store=store,
                places=Places(folder=self.folder, cache=self.cache, plugins=self.plugins),
                hubs=Hubs(offline=True),
                observer=self.watch,
                make_executor=make_executor or self.inline,
                warm_up=warm_up,
            )

    def inline(self, contexts: Sequence[WorkerContext]) -> InlineExecutor:
        return InlineExecutor(one_thread(contexts), results=self.folder / "results")

    def store(self) -> Store:
        return Store.open(f"sqlite:///{self.folder / 'study.db'}")

    def trials(self) -> list[TrialRecord]:
        with self.store() as store:
            return store.trials("tiny")

    def kinds(self) -> list[str]:
        """Of all events, in order."""
        with self.store() as store:
            return [event.kind for event in store.events("tiny")]

    def logged(self) -> list[dict[str, object]]:
        """All lines of the event log."""
        return [json.loads(line) for line in (self.folder / "logs" / "events.jsonl").read_text().splitlines()]


def one_thread(contexts: Sequence[WorkerContext]) -> Workbench:
    """The real workbench; on one thread equal jobs give equal bits."""
    (context,) = contexts
    return open_workbench(replace(context, threads=1))


MakeWorld = Callable[..., World]
