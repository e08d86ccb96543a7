"""tlsearch on a GPU beside what people write by hand there: the targets of one, in minutes and without a network.

    python benchmarks/gpu.py               # on a machine with a GPU; writes results/gpu-<its name>.json
    python benchmarks/gpu.py --dry-run     # the same code on the CPU, a few trials; writes nothing

`peers.py --gather` takes the file into the page of a machine.

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
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch
from torch import nn

import machine
from drawn_people import DrawnOptions, load
from figures import Figure, save, table
from gpu_rows import GPU, MANY, WALL, of_bound, rates, walls
from peers_material import IMAGE_PX, WEIGHTS, prepare_weights
from peers_material import save as save_pictures
from peers_processes import Timed, time_contender
from peers_rows import Row
from tlsearch.cuda_graph import cuda_graph
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.model import Prefix, build_backbone
from tlsearch.weights import resolve_weights

RESULTS = Path(__file__).parent / "results"
EACH, EACH_DRY = 400, 12  # drawings of each of five people
BATCH, BATCH_DRY = 256, 4
REPEATS, REPEATS_DRY = 50, 3


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

    def figure(self) -> Figure:
        """The share of the bound."""
        told = f"{self.rate:.0f} of {self.bound:.0f} pictures a second, {self.bandwidth / 1e9:.0f} GB/s"
        return of_bound(100 * self.rate / self.bound, told)


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


def extraction(device: torch.device, folder: Path, *, batch: int, repeats: int) -> Extraction:
    """Measure the pass and its bound."""
    spec = PluginHost.load().backbone("mobilenet_v2")
    found = resolve_weights(spec, WEIGHTS, cache_dir=folder, seed=0, hubs=Hubs(offline=True))
    loaded = build_backbone(spec, params={}, image_px=IMAGE_PX, variant=found.variant, weights=found.path, seed=0)
    prefix = Prefix(found.preprocessing, loaded.backbone, (), pooled=True)
    prefix.to(device).to(memory_format=torch.channels_last)
    pixels = torch.randint(256, (batch, IMAGE_PX, IMAGE_PX, 3), dtype=torch.uint8, device=device)
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


def measure(device: torch.device, material: Path, *, is_dry: bool) -> list[Figure]:
    """All figures, the quickest to know first."""
    each, batch, repeats = (EACH_DRY, BATCH_DRY, REPEATS_DRY) if is_dry else (EACH, BATCH, REPEATS)
    prepare_weights(material, keras=False)
    save_pictures(load(DrawnOptions(pictures=each), material / "draws"), material / WALL.data)
    bound = extraction(device, material, batch=batch, repeats=repeats).figure()
    times = compare(dry(WALL) if is_dry else WALL, material)
    return [*rates(times if is_dry else compare(MANY, material)), *walls(times), bound]


def main() -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dry-run", action="store_true", help="on the CPU, a few trials, nothing written")
    parser.add_argument("--to", type=Path, default=RESULTS, metavar="FOLDER")
    given = parser.parse_args()
    there = torch.cuda.is_available()
    if not there and not given.dry_run:
        raise SystemExit("this machine has no GPU that torch can use; --dry-run runs the same code on its CPU")
    device = torch.device("cuda:0" if there else "cpu")
    name = torch.cuda.get_device_name(device) if there else "a CPU, a dry run of few trials: its numbers mean nothing"
    with tempfile.TemporaryDirectory(prefix="tlsearch-gpu-") as material:
        found = measure(device, Path(material), is_dry=given.dry_run)
    print(f"{name}; {machine.machine()}\n\n{table(found)}")
    if not given.dry_run:
        file = given.to / f"gpu-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}.json"
        save(found, file, by=GPU, machine=f"{name}, {machine.machine()}")
        print(f"written to {file}")


if __name__ == "__main__":
    main()
