"""tlsearch on a GPU beside what people write by hand there: the targets of one, in minutes and without a network.

    python benchmarks/gpu.py             # on a machine with a GPU; writes results/gpu-<its name>.md
    python benchmarks/gpu.py --dry-run   # the same code on the CPU, a few trials; writes nothing

- Head trials a second: of the search alone, once features are there, in a study of 2 000 head-only trials; B1 and B2 by
  the seconds of a usual trial.
- Wall time of 200 head-only trials, from process start, with an empty cache: decoding, the comparison of pictures,
  features, the confirmation of the best, the final fit and the report are in tlsearch's time. B1 is timed on a few
  trials and multiplied.
- Extraction: MobileNetV2's pooled features from pixels that lie on the GPU, as a CUDA graph, held against the time that
  its memory alone would take: every convolution reads its input and weights and writes its output once, in float32, at
  the bandwidth of a large copy, measured in the same run.

B1 is Optuna with a plain PyTorch loop, B2 what an expert writes by hand (features once, heads one after another). All
have 2 000 drawings of five people at 160 px, resized on disk beforehand, and the same network, weights and space.
"""

import argparse
import functools
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import torch
from torch import nn

import machine
from drawn_people import DrawnOptions, load
from peers_material import IMAGE_PX, WEIGHTS, prepare_weights, save
from peers_processes import Timed, time_contender
from peers_rows import ALL, Contender, Row
from tlsearch.features.passes import cuda_graph
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.model import Prefix, build_backbone
from tlsearch.weights import resolve_weights

RESULTS = Path(__file__).parent / "results"
EACH, EACH_DRY = 400, 12  # drawings of each of five people
BATCH, BATCH_DRY = 256, 4
REPEATS, REPEATS_DRY = 50, 3
MANY = Row(
    name="heads_2000",
    title="head trials a second, 2 000 trials",
    data="drawn",
    trials=2_000,
    contenders={
        "B1": Contender(trials=3, target=1000, stretch=3000),
        "B2": Contender(trials=30, target=50, stretch=200),
        "tlsearch": ALL,
    },
)
WALL = Row(
    name="wall_200",
    title="wall time of 200 trials, from process start",
    data="drawn",
    trials=200,
    contenders={
        "B1": Contender(trials=3, target=300, stretch=1000),
        "B2": Contender(target=8, stretch=15),
        "tlsearch": ALL,
    },
)
OF_BOUND, OF_BOUND_STRETCH = 0.6, 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of the table."""

    what: str
    measured: str
    target: str
    stretch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """How fast a network's values come, and how fast they could.

    Args:
        rate: Pictures a second.
        bound: Pictures a second that the memory's bandwidth allows.
        bandwidth: Bytes a second of a large copy, read and written.
    """

    rate: float
    bound: float
    bandwidth: float


def dry(row: Row) -> Row:
    """The same comparison with as few trials as show that it runs."""
    contenders = {who: replace(how, trials=None if who == "tlsearch" else 2) for who, how in row.contenders.items()}
    return replace(row, trials=12, epochs=1, contenders=contenders)


def compare(row: Row, material: Path) -> dict[str, Timed]:
    """Time everyone, one after another."""
    times = {}
    for who in row.contenders:
        with tempfile.TemporaryDirectory(prefix="tlsearch-gpu-") as scratch:
            times[who] = time_contender(who, row, material, Path(scratch), seed=0, keep_freed=False)
        print(f"{row.name}: {who} {times[who].seconds:.1f} s", flush=True)
    return times


def rate_lines(row: Row, times: dict[str, Timed]) -> list[Line]:
    """Trials a second of each, and how many times as many tlsearch does."""
    rates = {who: 1 / timed.trial_s for who, timed in times.items()}
    ours = rates["tlsearch"]
    told = {who: f"({rate:.2f}; tlsearch {ours:.1f})" for who, rate in rates.items()}
    return against(row, told, {who: f"{ours / rate:.0f} times" for who, rate in rates.items()})


def wall_lines(row: Row, times: dict[str, Timed]) -> list[Line]:
    """How often tlsearch's whole command fits into the others' time."""
    ours = times["tlsearch"].seconds
    told = {who: f"({timed.seconds:.1f} s; tlsearch {ours:.1f} s)" for who, timed in times.items()}
    return against(row, told, {who: f"{timed.seconds / ours:.1f} times" for who, timed in times.items()})


def against(row: Row, told: Mapping[str, str], measured: Mapping[str, str]) -> list[Line]:
    """A line for each peer of a row."""
    return [
        Line(
            what=f"{row.title}, against {who} {told[who]}",
            measured=measured[who],
            target=f"{how.target:g}",
            stretch=f"{how.stretch:g}",
        )
        for who, how in row.contenders.items()
        if who != "tlsearch"
    ]


def extraction(device: torch.device, folder: Path, *, batch: int, repeats: int) -> Extraction:
    """Measure the pass and its bound."""
    spec = PluginHost.load().backbone("mobilenet_v2")
    found = resolve_weights(spec, WEIGHTS, cache_dir=folder, seed=0, hubs=Hubs(offline=True))
    loaded = build_backbone(spec, params={}, image_px=IMAGE_PX, variant=found.variant, weights=found.path, seed=0)
    prefix = Prefix(found.preprocessing, loaded.backbone, (), pooled=True)
    prefix.to(device).to(memory_format=torch.channels_last)
    pixels = torch.zeros((batch, IMAGE_PX, IMAGE_PX, 3), dtype=torch.uint8, device=device)
    run: Callable[[], object] = torch.no_grad()(functools.partial(prefix, pixels))
    if device.type == "cuda":
        run, _ = cuda_graph(functools.partial(prefix, pixels), device)
    seconds = _seconds(run, device, repeats)
    large = torch.zeros(batch << 20, dtype=torch.uint8, device=device)
    bandwidth = 2 * large.nbytes / _seconds(large.clone, device, repeats)
    return Extraction(rate=batch / seconds, bound=batch * bandwidth / least_bytes(prefix, pixels), bandwidth=bandwidth)


@torch.no_grad()
def least_bytes(prefix: nn.Module, pixels: torch.Tensor) -> int:
    """What a pass must read and write at the least: the pixels, and of every convolution both sides and its weights."""
    moved = pixels.nbytes

    def count(layer: nn.Module, given: tuple[torch.Tensor, ...], made: torch.Tensor) -> None:
        nonlocal moved
        moved += given[0].nbytes + made.nbytes + sum(weight.nbytes for weight in layer.parameters())

    hooks = [layer.register_forward_hook(count) for layer in prefix.modules() if isinstance(layer, nn.Conv2d)]
    prefix(pixels)
    for hook in hooks:
        hook.remove()
    return moved


def _seconds(run: Callable[[], object], device: torch.device, repeats: int) -> float:
    """The median of some runs, each waited for, after one to warm up."""
    run()
    found = []
    for _ in range(repeats):
        _wait(device)
        began = time.perf_counter()
        run()
        _wait(device)
        found.append(time.perf_counter() - began)
    return median(found)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def extraction_line(found: Extraction) -> Line:
    """The share of the bound."""
    rates = f"{found.rate:.0f} of {found.bound:.0f} pictures a second, {found.bandwidth / 1e9:.0f} GB/s"
    return Line(
        what=f"MobileNetV2 extraction from pixels on the device, of the bandwidth bound ({rates})",
        measured=f"{100 * found.rate / found.bound:.0f} %",
        target=f"{100 * OF_BOUND:.0f} %",
        stretch=f"{100 * OF_BOUND_STRETCH:.0f} %",
    )


def table(lines: list[Line], device: str) -> str:
    """The lines as Markdown."""
    told = [
        f"# On {device}",
        "",
        f"{machine.machine()}; {machine.versions('tlsearch', 'torch', 'optuna')}; {datetime.now(UTC):%Y-%m-%d}.",
        "Command: `python benchmarks/gpu.py`; what is in each time stands at the top of that file.",
        "",
        "| what | measured | target | stretch |",
        "|---|---|---|---|",
        *(f"| {line.what} | {line.measured} | {line.target} | {line.stretch} |" for line in lines),
        "",
    ]
    return "\n".join(told)


def measure(device: torch.device, material: Path, *, is_dry: bool) -> list[Line]:
    """All lines, the quickest to know first."""
    each, batch, repeats = (EACH_DRY, BATCH_DRY, REPEATS_DRY) if is_dry else (EACH, BATCH, REPEATS)
    prepare_weights(material)
    save(load(DrawnOptions(pictures=each), material / "draws"), material / WALL.data)
    lines = [extraction_line(extraction(device, material, batch=batch, repeats=repeats))]
    times = compare(dry(WALL) if is_dry else WALL, material)
    lines += wall_lines(WALL, times)
    return lines + rate_lines(MANY, times if is_dry else compare(MANY, material))


def main() -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry-run", action="store_true", help="on the CPU, a few trials, nothing written")
    given = parser.parse_args()
    there = torch.cuda.is_available()
    if not there and not given.dry_run:
        raise SystemExit("this machine has no GPU that torch can use; --dry-run runs the same code on its CPU")
    device = torch.device("cuda:0" if there else "cpu")
    name = torch.cuda.get_device_name(device) if there else "a CPU, a dry run of few trials: its numbers mean nothing"
    with tempfile.TemporaryDirectory(prefix="tlsearch-gpu-") as material:
        found = table(measure(device, Path(material), is_dry=given.dry_run), name)
    print(found)
    if not given.dry_run:
        file = RESULTS / f"gpu-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.md"
        file.write_text(found, encoding="utf-8")
        print(f"written to {file}")


if __name__ == "__main__":
    main()
