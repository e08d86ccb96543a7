"""The two ways of getting a frozen network's values that `extraction.py` holds beside each other, each in a process.

    python benchmarks/extraction_ways.py eager|tlsearch BACKBONE FOLDER PICTURES

Answers each line of its input with one of JSON: "run" with the seconds of one pass over all pictures, "first"
(tlsearch) with those of the first one, which measures and exports as well, "compare" (tlsearch) with contract C2's
two numbers at every cut, the values in the cache against PyTorch's.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tlsearch.data.pixels import PixelStore, resize_px
from tlsearch.devices import cpu_threads
from tlsearch.features.cache import FeatureCache
from tlsearch.features.pictures import Pictures
from tlsearch.features.provider import POOLED, Engine, FeatureProvider, Output
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.model import LoadedBackbone, Prefix, build_backbone
from tlsearch.specs import Preprocessing
from tlsearch.weights import resolve_weights

IMAGE_PX = 160
BATCH = 32  # of the plain loop; 8, 16 and 64 are no faster
UNFROZEN = 4  # every cut before one of the last four stages, and the pooled features
COMPARED = 512  # pictures, spread over all


class Material:
    """The photographs, and one network as a study loads it.

    Args:
        name: Of the backbone.
        folder: Where decoded pictures and weights are kept.
        most: Photographs, spread over all.
    """

    def __init__(self, name: str, folder: Path, most: int) -> None:
        host = PluginHost.load()
        spec = host.backbone(name)
        weights = resolve_weights(spec, "auto", cache_dir=folder / "weights", seed=0, hubs=Hubs())
        self.preprocessing: Preprocessing = weights.preprocessing
        self.loaded: LoadedBackbone = build_backbone(
            spec, params={}, image_px=IMAGE_PX, variant=weights.variant, weights=weights.path, seed=0
        )
        if spec.framework == "torch":
            for module in (*self.loaded.backbone.stages, self.loaded.backbone.pool):
                module.to(memory_format=torch.channels_last)
        stages = len(self.loaded.backbone.stages)
        self.cuts = tuple(range(stages - UNFROZEN, stages))
        dataset = host.dataset("solar")
        images = dataset.load(dataset.options(), folder / "solar").images
        places = np.unique(np.linspace(0, len(images) - 1, min(most, len(images))).astype(np.int64))
        files = [images[place].path for place in places]
        store = PixelStore.build(files, resize_px(self.preprocessing, IMAGE_PX), folder / "pixels")
        self.pictures = Pictures(
            store=store,
            indices=range(len(files)),
            preprocessing=self.preprocessing,
            image_px=IMAGE_PX,
            seed=0,
            views=1,
            threads=cpu_threads(),
        )

    def prefix(self) -> Prefix:
        """The network with every cut as an output."""
        return Prefix(self.preprocessing, self.loaded.backbone, self.cuts, pooled=True)


class Eager:
    """The network as people run it: eval mode, no gradient, float32, PyTorch's in channels_last, all cores.

    In its favour its squares are ready-made and its values stay in memory.
    """

    def __init__(self, material: Material) -> None:
        self._prefix = material.prefix()
        self._squares = np.concatenate(list(material.pictures.batches("none", 0, BATCH)))

    @torch.no_grad()
    def run(self) -> dict[str, Any]:
        """One pass."""
        began = time.monotonic()
        kept: list[NDArray[np.float32]] = []
        for start in range(0, len(self._squares), BATCH):
            values = self._prefix(torch.from_numpy(self._squares[start : start + BATCH]))
            for place, value in enumerate(values):
                if not start:
                    kept.append(np.empty((len(self._squares), *value.shape[1:]), np.float32))
                kept[place][start : start + len(value)] = value.numpy()
        return {"seconds": time.monotonic() - began, "pictures": len(self._squares)}


class Ours:
    """tlsearch: from decoded pixels to entries of the cache, their checksums written."""

    def __init__(self, material: Material, folder: Path) -> None:
        self._material, self._folder = material, folder

    def _provider(self) -> FeatureProvider:
        """As a process of its own opens the folder."""
        cache = FeatureCache(self._folder / "features", max_bytes=10**11)
        engine = Engine(
            cache=cache, prefixes=self._folder / "prefixes", device=torch.device("cpu"), threads=cpu_threads()
        )
        return FeatureProvider(
            loaded=self._material.loaded,
            weights={"backbone": self._material.loaded.spec.name},
            preprocessing=self._material.preprocessing,
            pictures=self._material.pictures,
            cuts=self._material.cuts,
            maps=False,
            augments=(),
            engine=engine,
        )

    def first(self) -> dict[str, Any]:
        """A pass of which nothing is known: rates are measured, the network is exported and held against PyTorch."""
        shutil.rmtree(self._folder, ignore_errors=True)
        return self.run()

    def run(self) -> dict[str, Any]:
        """One pass, of which only the way is known."""
        shutil.rmtree(self._folder / "features", ignore_errors=True)
        provider = self._provider()
        began = time.monotonic()
        provider.fill()
        seconds = time.monotonic() - began
        return {"seconds": seconds, "pictures": len(self._material.pictures), "runtime": provider.runtime}

    @torch.no_grad()
    def compare(self) -> dict[str, Any]:
        """Relative L2 and largest difference as a share of the largest value, by cut."""
        provider, prefix = self._provider(), self._material.prefix()
        total = len(self._material.pictures)
        places = np.unique(np.linspace(0, total - 1, COMPARED).astype(np.int64))
        squares = self._material.pictures.sample(COMPARED)
        pieces = [
            [value.numpy() for value in prefix(torch.from_numpy(squares[start : start + BATCH]))]
            for start in range(0, len(squares), BATCH)
        ]
        found = {}
        cuts: tuple[Output, ...] = (*self._material.cuts, POOLED)
        for cut, parts in zip(cuts, zip(*pieces, strict=True), strict=True):
            reference = np.concatenate(parts).astype(np.float64)
            difference = provider.views(cut, "none")[0][places].astype(np.float64) - reference
            found[str(cut)] = [
                float(np.linalg.norm(difference) / np.linalg.norm(reference)),
                float(np.abs(difference).max() / np.abs(reference).max()),
            ]
        return found


def main(way: str, backbone: str, folder: Path, most: int) -> None:
    """Answer lines until there are no more."""
    torch.set_num_threads(cpu_threads())
    material = Material(backbone, folder, most)
    made = Eager(material) if way == "eager" else Ours(material, folder / f"cache-{backbone}")
    print(json.dumps({"ready": way}), flush=True)
    for line in sys.stdin:
        asked: Callable[[], dict[str, Any]] = getattr(made, line.strip())
        print(json.dumps(asked()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
