"""A dataset plugin file: the solar photographs with few defective cells to learn from, and the rest to be tested on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tlsearch import Dataset, DatasetSpec, ImageFile, Params, hookimpl
from tlsearch_datasets.solar import SolarOptions
from tlsearch_datasets.solar import load as load_solar


class ThinnedOptions(Params):
    """Keys of `[data]` for this source."""

    draw: int = 0  # decides which photographs are learned from
    functional: int = 1000  # to learn from
    defective: int = 100  # likewise
    tested: int = 500  # of each class, from those that are left


def load(options: ThinnedOptions, cache_dir: Path) -> Dataset:
    """All cells of the data set, dealt at random: `train` is skewed, `test` holds both classes alike."""
    whole = load_solar(SolarOptions(), cache_dir)
    chance = np.random.default_rng(options.draw)
    images: list[ImageFile] = []
    for label, learned in enumerate((options.functional, options.defective)):
        of_class = [image for image in whole.images if image.label == label]
        own = [of_class[place] for place in chance.permutation(len(of_class))]
        images += [replace(image, part="train") for image in own[:learned]]
        images += [replace(image, part="test") for image in own[learned : learned + options.tested]]
    return replace(whole, images=tuple(images))


@hookimpl
def tlsearch_datasets() -> Sequence[DatasetSpec]:
    """The thinned photographs."""
    return [DatasetSpec(name="thinned_solar", options=ThinnedOptions, load=load)]
