"""Pictures in batches, as one backbone wants them: a view of each, made by a few threads from the decoded pixels."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tlsearch.ahead import in_order
from tlsearch.data.pixels import RULES_VERSION, PixelStore
from tlsearch.data.views import VIEW_RULE, make_view, view_count
from tlsearch.records import Json
from tlsearch.specs import Preprocessing


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Some pictures of a pixel store, at one size.

    Args:
        store: Decoded pictures.
        indices: Which, in order.
        preprocessing: How a picture becomes a square.
        image_px: Its side.
        seed: The study's; decides the views.
        views: Of "light".
        threads: That make views.
    """

    store: PixelStore
    indices: Sequence[int]
    preprocessing: Preprocessing
    image_px: int
    seed: int
    views: int
    threads: int

    def __len__(self) -> int:
        return len(self.indices)

    def count(self, augment: str) -> int:
        """Views of an augmentation."""
        return view_count(augment, self.views)

    def identity(self, augment: str, view: int) -> dict[str, Json]:
        """What decides the pixels of one view of all pictures: a part of a cache key.

        The plain view is the same in every augmentation, and shared.
        """
        plain = view == 0
        return {
            "pictures": [self.store.hashes[i] for i in self.indices],
            "pixel_rules": RULES_VERSION,
            "stored_px": self.store.shorter_px,
            "resize": [
                self.preprocessing.resize,
                self.preprocessing.crop_fraction,
                self.preprocessing.interpolation,
            ],
            "image_px": self.image_px,
            "view_rule": VIEW_RULE,
            "view": "plain" if plain else [augment, view],
            "seed": None if plain or augment == "flip" else self.seed,
        }

    def sample(self, most: int) -> NDArray[np.uint8]:
        """Some pictures as they are, at most so many, spread over all of them, `(n, image_px, image_px, 3)`."""
        places = np.unique(np.linspace(0, len(self.indices) - 1, min(most, len(self.indices))).astype(np.int64))
        (pictures,) = replace(self, indices=[self.indices[place] for place in places]).batches("none", 0, most)
        return pictures

    def batches(self, augment: str, view: int, size: int) -> Iterator[NDArray[np.uint8]]:
        """One view of every picture in order, `(at most size, image_px, image_px, 3)` at a time.

        The next batches are made while one is used, each by a thread.
        """

        def make(start: int) -> NDArray[np.uint8]:
            squares = [
                make_view(
                    self.store[index],
                    self.preprocessing,
                    self.image_px,
                    augment=augment,
                    view=view,
                    seed=self.seed,
                    image_hash=self.store.hashes[index],
                )
                for index in self.indices[start : start + size]
            ]
            return np.stack(squares)

        with ThreadPoolExecutor(self.threads, "views") as pool:
            yield from in_order(pool, make, range(0, len(self.indices), size), ahead=self.threads + 1)
