"""What `tlsearch run` keeps in memory, and how long each phase takes, as the number of pictures grows.

    python benchmarks/memory.py                          # 20 000 and 100 000 pictures, one after the other
    python benchmarks/memory.py --images 5000            # a smaller run
    python benchmarks/memory.py --json memory.json       # the rows of the common table as well

Draws pictures of ten classes, no two alike, and runs a study on them with a small random network of 1 280 features
(`memory_network.py`): head-only trials and fine-tuning ones, flipped views, the comparison of all pictures, the check
of labels, confirmation, final fit and report. A run fails where its processes together keep more than 2 GB. A larger
network keeps more by its own weights and activations, and no more of it for more pictures.

Memory is what the system cannot take back from a process: anonymous pages, shared memory and what was swapped out
(RssAnon, RssShmem and VmSwap of /proc/PID/status; Linux only), five times a second. Pages of mapped files, such as
cached features, are the system's: it drops them when it needs the room.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from arguments import count
from figures import Figure, save

HERE = Path(__file__).parent
CLASSES = 10
PICTURE_PX = 64
EVERY_S = 0.2
LIMIT_MB = 2000  # a batch of these pictures adds 20
OUTSIDE = "start and report"  # of a run, what is in none of its phases
STUDY = """
[study]
name = "memory"
metric = "accuracy"
budget = {{ trials = {trials} }}

[data]
source = "folder"
path = "{pictures}"

[[backbones]]
name = "small_wide"
weights = "random"

[search]
unfrozen = [0, 1]
heads = ["linear"]
epochs = 1
batch_size = 256
augment = ["none", "flip"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one process held at one moment.

    Args:
        at: Seconds of the system's clock.
        role: "coordinator", "worker", or "together" of all at that moment.
        megabytes: That the system cannot take back.
    """

    at: float
    role: str
    megabytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One part of a run.

    Args:
        name: As the run's journal calls it.
        seconds: How long it took.
        peaks: The most megabytes, by role; of a role that had no process there, none.
    """

    name: str
    seconds: float
    peaks: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run.

    Args:
        images: Pictures in its folder.
        seconds: Of the whole process.
        phases: In the order in which they ended; the last is what lies outside of all of them.
    """

    images: int
    seconds: float
    phases: tuple[Phase, ...]

    def peak(self, role: str) -> float:
        """The most megabytes that a process of this role held."""
        return max((phase.peaks[role] for phase in self.phases if role in phase.peaks), default=0.0)


@dataclass(slots=True)
class Watch:
    """Samples a process and all that it starts until it ends."""

    process: subprocess.Popen[bytes]
    samples: list[Sample] = field(default_factory=list)

    def until_it_ends(self) -> int:
        """Its exit status."""
        while self.process.poll() is None:
            now = time.time()
            held = {pid: _held(pid) for pid in _with_children(self.process.pid)}
            for pid, megabytes in held.items():
                role = "coordinator" if pid == self.process.pid else "worker"
                self.samples.append(Sample(at=now, role=role, megabytes=megabytes))
            self.samples.append(Sample(at=now, role="together", megabytes=sum(held.values())))
            time.sleep(EVERY_S)
        return self.process.returncode


def measured(images: int, *, trials: int, folder: Path) -> Measured:
    """Run one study on so many pictures in a folder that is empty.

    Raises:
        RuntimeError: Where the run fails; holds what it said.
    """
    draw_pictures(folder / "pictures", images)
    study = folder / "memory.toml"
    study.write_text(STUDY.format(trials=trials, pictures=folder / "pictures"), encoding="utf-8")
    program = Path(sys.executable).parent / "tlsearch"
    command = [str(program), "run", str(study), "--plugin", str(HERE / "memory_network.py")]
    environment = {**os.environ, "TLSEARCH_CACHE": str(folder / "cache"), "TLSEARCH_OFFLINE": "1"}
    began = time.time()
    with (folder / "said.txt").open("wb") as said:
        watch = Watch(subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=said))
        status = watch.until_it_ends()
    ended = time.time()
    if status:
        raise RuntimeError(f"the run on {images} pictures failed:\n{(folder / 'said.txt').read_text()[-2000:]}")
    spans = dict(_spans(folder / "runs" / "memory" / "logs" / "events.jsonl"))
    phases = [Phase(name=name, seconds=b - a, peaks=_peaks(watch.samples, [(a, b)])) for name, (a, b) in spans.items()]
    inside = sum(phase.seconds for phase in phases)
    outside = [*zip([began, *(b for _, b in spans.values())], [*(a for a, _ in spans.values()), ended], strict=True)]
    phases.append(Phase(name=OUTSIDE, seconds=ended - began - inside, peaks=_peaks(watch.samples, outside)))
    return Measured(images=images, seconds=ended - began, phases=tuple(phases))


def draw_pictures(folder: Path, images: int, classes: int = CLASSES) -> None:
    """Draw pictures: a shape in a colour on a ground of its own, with noise; no two are alike.

    Of more than ten classes every tenth looks the same.
    """
    rng = np.random.default_rng(images)
    noise = rng.integers(0, 24, size=(1 << 20), dtype=np.uint8)
    for label in range(classes):
        (folder / f"class{label}").mkdir(parents=True)
    for index in range(images):
        picture = _picture(index % CLASSES, rng, noise)
        picture.save(folder / f"class{index % classes}" / f"{index:06d}.jpg", quality=90)


def _picture(label: int, rng: np.random.Generator, noise: NDArray[np.uint8]) -> Image.Image:
    ground = Image.fromarray(rng.integers(0, 200, size=(5, 5, 3), dtype=np.uint8))
    picture = ground.resize((PICTURE_PX, PICTURE_PX), Image.Resampling.BICUBIC)
    left, top, side = rng.integers((0, 0, 16), PICTURE_PX // 2).tolist()
    box = (left, top, left + side, top + side)
    colour = (200, 60 + 100 * (label % 2), 40)
    draw = ImageDraw.Draw(picture)
    match label // 2:
        case 0:
            draw.rectangle(box, fill=colour)
        case 1:
            draw.ellipse(box, fill=colour)
        case 2:
            draw.polygon([(left, top + side), (left + side, top + side), (left + side // 2, top)], fill=colour)
        case 3:
            draw.arc(box, 0, 360, fill=colour, width=4)
        case _:
            draw.line([(left, top), (left + side, top + side)], fill=colour, width=6)
    pixels = np.asarray(picture)
    at = int(rng.integers(len(noise) - pixels.size))
    return Image.fromarray(np.minimum(pixels, 231) + noise[at : at + pixels.size].reshape(pixels.shape))


def _with_children(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for one in found:  # grows while it is gone through
        try:
            tasks = list(Path(f"/proc/{one}/task").iterdir())
            found += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except OSError:
            continue  # it ended
    return found


def _held(pid: int) -> float:
    """Megabytes that the system cannot take back from a process; 0 of one that ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return sum(int(kilobytes) for kilobytes in re.findall(r"^(?:RssAnon|RssShmem|VmSwap):\s+(\d+)", status, re.M)) / 1e3


def _spans(journal: Path) -> Iterator[tuple[str, tuple[float, float]]]:
    """When each phase of a run began and ended."""
    for line in journal.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["kind"] == "phase_timed":
            ended = datetime.fromisoformat(event["at"]).astimezone(UTC).timestamp()
            yield event["phase"], (ended - event["seconds"], ended)


def _peaks(samples: Sequence[Sample], spans: Sequence[tuple[float, float]]) -> dict[str, float]:
    peaks: dict[str, float] = {}
    for sample in samples:
        if any(began <= sample.at < ended for began, ended in spans):
            peaks[sample.role] = max(peaks.get(sample.role, 0.0), sample.megabytes)
    return peaks


def table(runs: Sequence[Measured]) -> str:
    """Seconds and megabytes by phase, the runs side by side, as Markdown."""
    names = list(dict.fromkeys(phase.name for run in runs for phase in run.phases))
    head = [f"{run.images:,} images: s | coordinator MB | worker MB".replace(",", " ") for run in runs]
    lines = [f"| phase | {' | '.join(head)} |", "|---" * (1 + 3 * len(runs)) + "|"]
    for name in names:
        cells = [_cells(next((phase for phase in run.phases if phase.name == name), None)) for run in runs]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    total = [f"{run.seconds:.0f} | {run.peak('coordinator'):.0f} | {run.peak('worker'):.0f}" for run in runs]
    together = [f" | {run.peak('together'):.0f} | " for run in runs]
    lines.append(f"| **whole run, peaks** | {' | '.join(total)} |")
    return "\n".join([*lines, f"| at one moment, all processes | {' | '.join(together)} |"])


def _cells(phase: Phase | None) -> str:
    if phase is None:
        return " | | "
    peaks = [f"{phase.peaks[role]:.0f}" if role in phase.peaks else "" for role in ("coordinator", "worker")]
    return " | ".join([f"{phase.seconds:.1f}", *peaks])


def figures(runs: Sequence[Measured]) -> list[Figure]:
    """The rows of the common table: the largest run's peaks, and by how much they exceed the smallest one's."""
    most, least = max(runs, key=lambda run: run.images), min(runs, key=lambda run: run.images)
    found = []
    for role, whose in (("coordinator", "the coordinator"), ("worker", "the worker"), ("together", "all processes")):
        row = f"private memory of {whose}, {most.images} images of {PICTURE_PX} px"
        held = most.peak(role)
        found.append(Figure(row=row, target=LIMIT_MB, stretch=None, measured=held, unit="MB"))
        if most.images > least.images:
            row = f"private memory of {whose}, {most.images} images against {least.images}"
            ratio = held / least.peak(role)
            found.append(Figure(row=row, target=None, stretch=1.1, measured=ratio, unit="times as much"))
    return found


def main() -> None:
    """Measure, print, and fail over the limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=count, nargs="+", default=[20_000, 100_000], help="pictures of each run")
    parser.add_argument("--trials", type=count, default=4, help="of each run")
    parser.add_argument("--json", type=Path, help="where to write the rows of the common table")
    asked = parser.parse_args()
    runs = []
    for images in asked.images:
        with tempfile.TemporaryDirectory(prefix="tlsearch-memory-") as folder:
            runs.append(measured(images, trials=asked.trials, folder=Path(folder)))
        print(table(runs[-1:]), end="\n\n", flush=True)
    if len(runs) > 1:
        print(table(runs))
    if asked.json is not None:
        save(figures(runs), asked.json, by="memory")
    if any(run.peak("together") > LIMIT_MB for run in runs):
        sys.exit(f"more than {LIMIT_MB} MB")


if __name__ == "__main__":
    main()
