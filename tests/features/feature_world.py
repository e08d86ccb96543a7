"""The small networks as features are computed with them, and providers that open a folder as a process would."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import engine_nets
import torch
from engine_world import DEVELOPMENT, RULES, SEED

from tlsearch.data.pixels import PixelStore
from tlsearch.features.cache import FeatureCache
from tlsearch.features.pictures import Pictures
from tlsearch.features.provider import Engine, FeatureProvider
from tlsearch.model import LoadedBackbone, build_backbone

MakeProvider = Callable[..., FeatureProvider]


def small(name: str = "small", *, image_px: int = 32) -> LoadedBackbone:
    """A small network with random weights."""
    spec = next(spec for spec in engine_nets.tlsearch_backbones() if spec.name == name)
    return build_backbone(spec, params={}, image_px=image_px, variant="", weights=None, seed=SEED)


def open_engine(folder: Path) -> Engine:
    """The engine of a process that keeps its things in a folder."""
    cache = FeatureCache(folder / "features", max_bytes=10**8)
    return Engine(cache=cache, prefixes=folder / "prefixes", device=torch.device("cpu"), threads=1)


def pictures_of(store: PixelStore) -> Pictures:
    """The development pictures: one full batch of PyTorch's, and a part of one."""
    return Pictures(
        store=store,
        indices=tuple(range(DEVELOPMENT)),
        preprocessing=RULES,
        image_px=32,
        seed=SEED,
        views=3,
        threads=2,
    )


def open_provider(store: PixelStore, engine: Engine, **changes: Any) -> FeatureProvider:
    """The small network's provider over the development pictures; what is told of them, or of it, may be changed."""
    pictures = replace(pictures_of(store), preprocessing=changes.get("preprocessing", RULES))
    of_pictures = {key: changes.pop(key) for key in ("indices", "image_px", "seed") if key in changes}
    values: dict[str, Any] = {
        "loaded": None,
        "weights": {"backbone": "small", "digest": str(SEED)},
        "preprocessing": RULES,
        "pictures": replace(pictures, **of_pictures),
        "cuts": (2, 3, 4),
        "maps": False,
        "augments": ("none", "flip"),
        "engine": engine,
        **changes,
    }
    values["loaded"] = values["loaded"] or small()
    return FeatureProvider(**values)


def repeating(
    compute: Callable[[], Sequence[torch.Tensor]], device: torch.device
) -> tuple[Callable[[], None], Sequence[torch.Tensor]]:
    """What a CUDA graph does, without one: compute again into the same tensors."""
    with torch.no_grad():
        outputs = compute()

    @torch.no_grad()
    def replay() -> None:
        for kept, new in zip(outputs, compute(), strict=True):
            kept.copy_(new)

    return replay, outputs
